//! Documented fields whose feature is not built yet: rejected by name, never silently accepted.
//!
//! Every section is opened through [`open`]. To add a feature, remove its lines from [`NOT_YET`] and read the fields in
//! their section.

use crate::spanned_yaml::{ConfigError, Cursor, Data, Fields, Node};

/// Which value is accepted anyway, because it is the behaviour in force.
#[derive(Clone, Copy, Debug)]
enum InForce {
    /// None.
    Nothing,
    /// This scalar.
    Only(&'static str),
}

struct Line {
    section: &'static str,
    field: &'static str,
    in_force: InForce,
}

/// Null means the default and is always accepted.
const NOT_YET: &[Line] = &[
    line("limits", "streams", InForce::Nothing),
    line("old", "http2", InForce::Only("false")),
    line("old.tls", "ca", InForce::Nothing),
    line("old.tls", "cert", InForce::Nothing),
    line("old.tls", "key", InForce::Nothing),
    line("old.tls", "server_name", InForce::Nothing),
    line("new", "http2", InForce::Only("false")),
    line("new.tls", "ca", InForce::Nothing),
    line("new.tls", "cert", InForce::Nothing),
    line("new.tls", "key", InForce::Nothing),
    line("new.tls", "server_name", InForce::Nothing),
];

const fn line(section: &'static str, field: &'static str, in_force: InForce) -> Line {
    Line {
        section,
        field,
        in_force,
    }
}

/// Opens a section and handles the fields that are not available yet.
pub(super) fn open(at: Cursor<'_>) -> Fields<'_> {
    let section = at.path.clone();
    let mut fields = Fields::of(at);
    for line in NOT_YET.iter().filter(|line| line.section == section) {
        let Some(at) = fields.take(line.field) else {
            continue;
        };
        if !line.in_force.admits(at.node) {
            let fault = line.in_force.refuse(&at);
            fields.fault(fault);
        }
    }
    fields
}

/// A section without any available field.
pub(super) fn skip(at: &Cursor<'_>) -> Result<(), crate::spanned_yaml::ConfigErrors> {
    open(at.clone()).finish().into_result(())
}

// === impl InForce ===

impl InForce {
    fn admits(self, node: &Node) -> bool {
        node.is_null()
            || match self {
                Self::Nothing => false,
                Self::Only(value) => {
                    matches!(&node.data, Data::Plain(text) | Data::Quoted(text) if text == value)
                }
            }
    }

    fn refuse(self, at: &Cursor<'_>) -> ConfigError {
        match self {
            Self::Nothing => at.fault("not available yet"),
            Self::Only(value) => at.fault(format!("not available yet, only `{value}` is")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn every_line_refuses_a_value_and_accepts_what_is_in_force() {
        let file = Arc::from("f.yaml");
        for line in NOT_YET {
            let read = |value: &str| {
                let node = Node::parse(&file, &format!("{}: {value}", line.field)).unwrap();
                let at = Cursor {
                    file: &file,
                    path: line.section.to_owned(),
                    node: &node,
                    source: None,
                };
                open(at).finish()
            };
            assert!(read("null").is_empty(), "{}", line.field);
            let faults = read("anything").to_string();
            assert!(faults.contains("not available yet"), "{faults}");
            if let InForce::Only(value) = line.in_force {
                assert!(read(value).is_empty(), "{}", line.field);
            }
        }
    }
}
