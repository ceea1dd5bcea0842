//! What can never happen: entries that no request reaches, and names that no route has.

use super::{METHODS, Routes, Selector, Template, collapsed, selector::Path, template::Segment};
use regex_automata::{
    Anchored, Input,
    hybrid::{LazyStateID, dfa::DFA},
};
use std::collections::HashSet;

/// More states of a pattern are not looked at.
const MAX_STATES: usize = 5_000;

// === impl Routes ===

impl Routes {
    /// Whether some route can have a name that `pattern` matches, in which `*` stands for any text.
    pub(crate) fn can_be_named(&self, pattern: &str) -> bool {
        self.can_be_declared(pattern)
            || can_meet(pattern, super::OTHER)
            || self.can_be_collapsed(pattern)
            || can_be_called(pattern)
    }

    /// Whether an entry can give such a name, in which `*` stands for any text.
    pub(crate) fn can_be_declared(&self, pattern: &str) -> bool {
        let mut declared = self.entries.iter();
        declared.any(|entry| can_meet(pattern, &entry.name_pattern()))
    }

    /// Whether an undeclared path can have such a name: `METHOD /path`, in which no segment looks like an id.
    fn can_be_collapsed(&self, pattern: &str) -> bool {
        let has_placeholder = pattern.replace("{}", "").contains(['{', '}']);
        let mut methods = METHODS.iter().map(|method| format!("{method} *"));
        if has_placeholder || !methods.any(|names| can_meet(pattern, &names)) {
            return false;
        }
        pattern.contains('*') || self.collapsed_name(pattern).as_deref() == Some(pattern)
    }

    /// The name that a path written as `METHOD /path` gets if no entry matches it.
    pub(crate) fn collapsed_name(&self, name: &str) -> Option<String> {
        let (method, path) = name.split_once(' ')?;
        let method = method.parse().ok().filter(|_| path.starts_with('/'))?;
        Some(collapsed(&method, path, &self.secrets))
    }
}

/// Whether some call of gRPC can have such a name.
fn can_be_called(pattern: &str) -> bool {
    pattern.split_once('/').is_some_and(|(service, method)| {
        let (service, method) = (service.replace('*', "x.x"), method.replace('*', "x"));
        super::is_call_name(&format!("{service}/{method}"))
    })
}

// === impl Selector ===

impl Selector {
    /// Whether no request has a path that it matches: each begins with `/`, and has no `?`, `#`, blank or control.
    pub(crate) fn is_impossible(&self) -> bool {
        match &self.path {
            None => false,
            Some(Path::Template(template)) => !template.is_possible(),
            Some(Path::Pattern(pattern)) => !may_match_a_path(pattern.as_str()),
        }
    }

    /// Whether it matches every request that `other` matches. Only what is certain counts.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let has_methods = self.methods.is_empty()
            || !other.methods.is_empty()
                && other
                    .methods
                    .iter()
                    .all(|method| self.methods.contains(method));
        let has_path = match (&self.path, &other.path) {
            (None, _) => true,
            (Some(Path::Template(own)), Some(Path::Template(other))) => own.covers(other),
            (Some(Path::Pattern(own)), Some(Path::Pattern(other))) => {
                own.as_str() == other.as_str()
            }
            _ => false,
        };
        has_methods && has_path && self.headers.is_empty() && self.json.is_empty()
    }
}

// === impl Template ===

impl Template {
    fn is_possible(&self) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Literal(literal) => literal.bytes().all(can_be_in_a_path),
            Segment::One(_) | Segment::Rest(_) => true,
        })
    }

    fn covers(&self, other: &Self) -> bool {
        for (index, own) in self.segments.iter().enumerate() {
            match (own, other.segments.get(index)) {
                (Segment::Rest(_), Some(_)) => return true,
                (Segment::One(_), Some(Segment::One(_))) => {}
                (Segment::One(_), Some(Segment::Literal(literal))) if !literal.is_empty() => {}
                (Segment::Literal(own), Some(Segment::Literal(literal))) if own == literal => {}
                _ => return false,
            }
        }
        self.segments.len() == other.segments.len()
    }
}

/// Whether the live path accepts the byte in a path. It encodes some of the others.
fn can_be_in_a_path(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'?' | b'#' | b'<' | b'>' | b'`' | 0x7f)
}

/// Whether some path matches the pattern. Also true if that takes too long to find out.
fn may_match_a_path(pattern: &str) -> bool {
    let Ok(dfa) = DFA::new(pattern) else {
        return true;
    };
    let mut cache = dfa.create_cache();
    let Ok(start) = dfa.start_state_forward(&mut cache, &Input::new("/").anchored(Anchored::No))
    else {
        return true;
    };
    let Ok(first) = dfa.next_state(&mut cache, start, b'/') else {
        return true;
    };
    let mut seen: HashSet<LazyStateID> = HashSet::from([first]);
    let mut left = vec![first];
    while let Some(state) = left.pop() {
        let ends = dfa.next_eoi_state(&mut cache, state);
        if state.is_match() || ends.is_ok_and(|state| state.is_match()) {
            return true;
        }
        for byte in (0..=u8::MAX).filter(|byte| can_be_in_a_path(*byte)) {
            match dfa.next_state(&mut cache, state, byte) {
                Ok(next) if next.is_dead() => {}
                Ok(next) if next.is_quit() => return true,
                Ok(next) if seen.insert(next) => left.push(next),
                Ok(_) => {}
                Err(_) => return true,
            }
        }
        // States that were dropped from the cache have no meaning any more.
        if seen.len() > MAX_STATES || cache.clear_count() > 0 {
            return true;
        }
    }
    false
}

/// Whether a text matches both patterns, in which `*` stands for any text.
fn can_meet(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let width = other.len() + 1;
    let mut reached = vec![false; (one.len() + 1) * width];
    reached[0] = true;
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            if !reached[i * width + j] {
                continue;
            }
            let (left, right) = (one.get(i), other.get(j));
            let is_any = left == Some(&'*') || right == Some(&'*');
            if is_any && left.is_some() {
                reached[(i + 1) * width + j] = true;
            }
            if is_any && right.is_some() {
                reached[i * width + j + 1] = true;
            }
            if left.is_some() && left == right {
                reached[(i + 1) * width + j + 1] = true;
            }
        }
    }
    reached.last() == Some(&true)
}
