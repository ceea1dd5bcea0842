//! Server reflection: asks a stack which files describe its services (`grpc.reflection.v1`; `v1alpha` has the same
//! messages). Sends nothing itself.

use super::{Descriptors, status_name};
use bytes::{BufMut, Bytes, BytesMut};
use prost_reflect::{
    prost::{Message, Oneof},
    prost_types::FileDescriptorProto,
};
use std::collections::{BTreeMap, HashSet};

/// Collects the files in rounds of questions, all of a round in one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reflection {
    services: Vec<String>,
    /// By name.
    files: BTreeMap<String, FileDescriptorProto>,
    /// Those of the round under way.
    questions: Vec<Question>,
    asked: HashSet<Question>,
    gaps: Vec<String>,
    bytes: usize,
}

/// What a stack says about its services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reflected {
    /// By name; each with all that it imports, apart from the well-known ones.
    pub(crate) files: Vec<FileDescriptorProto>,
    /// What the stack lists, and does not describe completely.
    pub(crate) gaps: Vec<String>,
}

/// Why answers describe nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreflected {
    #[error("it has more than {MAX_NAMES} services and files")]
    TooMany,
    #[error("its files have more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("it does not list its services ({0})")]
    Unlisted(String),
    #[error("what it answers is no server reflection")]
    Malformed,
}

#[derive(Clone, PartialEq, Eq, Hash, Oneof)]
#[prost(prost_path = "::prost_reflect::prost")]
enum Question {
    #[prost(string, tag = "3")]
    File(String),
    /// The file that defines it.
    #[prost(string, tag = "4")]
    Symbol(String),
    /// The text has no meaning.
    #[prost(string, tag = "7")]
    Services(String),
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct ServerReflectionRequest {
    #[prost(oneof = "Question", tags = "3, 4, 7")]
    question: Option<Question>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct ServerReflectionResponse {
    #[prost(oneof = "Reply", tags = "4, 6, 7")]
    reply: Option<Reply>,
}

#[derive(Clone, PartialEq, Oneof)]
#[prost(prost_path = "::prost_reflect::prost")]
enum Reply {
    #[prost(message, tag = "4")]
    Files(FileDescriptorResponse),
    #[prost(message, tag = "6")]
    Services(ListServiceResponse),
    #[prost(message, tag = "7")]
    Error(ErrorResponse),
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct FileDescriptorResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct ListServiceResponse {
    #[prost(message, repeated, tag = "1")]
    services: Vec<ServiceResponse>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct ServiceResponse {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct ErrorResponse {
    #[prost(uint32, tag = "1")]
    code: u32,
}

/// The most bytes of all files together, and of one answer.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// The most services, files, and names that are asked for.
const MAX_NAMES: usize = 4_096;

// === impl Reflection ===

impl Reflection {
    /// The body of the next call; `None` if there is nothing left to ask.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let mut questions = if self.asked.is_empty() {
            vec![Question::Services(String::new())]
        } else {
            let symbols = self.services.iter().cloned().map(Question::Symbol);
            let imports = self.files.values().flat_map(|file| &file.dependency);
            let missing = imports.filter(|name| !self.has(name));
            let files = missing.cloned().map(Question::File);
            symbols.chain(files).collect()
        };
        questions.retain(|question| self.asked.insert(question.clone()));
        self.questions = questions;
        let mut body = BytesMut::new();
        for question in &self.questions {
            let question = Some(question.clone());
            let message = ServerReflectionRequest { question }.encode_to_vec();
            body.put_u8(0);
            body.put_u32(u32::try_from(message.len()).expect("names must be shorter than answers"));
            body.put_slice(&message);
        }
        (!self.questions.is_empty()).then(|| body.freeze())
    }

    /// Takes the messages that answer the last call.
    ///
    /// # Errors
    /// [`Unreflected`].
    pub(crate) fn take(&mut self, messages: &[Bytes]) -> Result<(), Unreflected> {
        let questions = std::mem::take(&mut self.questions);
        if messages.len() != questions.len() {
            return Err(Unreflected::Malformed);
        }
        for (question, message) in questions.into_iter().zip(messages) {
            let response = ServerReflectionResponse::decode(message.clone());
            let reply = response.map_err(|_| Unreflected::Malformed)?.reply;
            match (question, reply.ok_or(Unreflected::Malformed)?) {
                (Question::Services(_), Reply::Services(listed)) => {
                    let services = listed.services.into_iter().map(|service| service.name);
                    self.services.extend(services);
                }
                (Question::Services(_), Reply::Error(error)) => {
                    return Err(Unreflected::Unlisted(status_name(error.code).into_owned()));
                }
                (Question::Symbol(_) | Question::File(_), Reply::Files(found)) => {
                    found.files.iter().try_for_each(|file| self.add(file))?;
                }
                (Question::Symbol(name), Reply::Error(error)) => {
                    let code = status_name(error.code);
                    self.gaps.push(format!("{name} ({code})"));
                }
                // What imports the file is a gap.
                (Question::File(_), Reply::Error(_)) => {}
                _ => return Err(Unreflected::Malformed),
            }
        }
        if self.services.len() + self.files.len() + self.asked.len() > MAX_NAMES {
            return Err(Unreflected::TooMany);
        }
        Ok(())
    }

    /// The complete files; those that cannot be used are gaps.
    pub(crate) fn finish(mut self) -> Reflected {
        loop {
            let flaw = |file: &FileDescriptorProto| {
                let mut imports = file.dependency.iter();
                match imports.find(|name| !self.has(name)) {
                    Some(import) => Some(format!("{} (without {import})", file.name())),
                    None if is_edition(file) => Some(format!("{} (an edition)", file.name())),
                    None => None,
                }
            };
            let flawed = self.files.iter();
            let flawed = flawed.filter_map(|(name, file)| Some((name.clone(), flaw(file)?)));
            let flawed: Vec<_> = flawed.collect();
            if flawed.is_empty() {
                break;
            }
            for (name, gap) in flawed {
                self.files.remove(&name);
                self.gaps.push(gap);
            }
        }
        Reflected {
            files: self.files.into_values().collect(),
            gaps: self.gaps,
        }
    }

    fn add(&mut self, file: &Bytes) -> Result<(), Unreflected> {
        self.bytes += file.len();
        if self.bytes > MAX_BYTES {
            return Err(Unreflected::TooLarge);
        }
        let file = FileDescriptorProto::decode(file.clone()).map_err(|_| Unreflected::Malformed)?;
        if !is_well_known(file.name()) {
            self.files.entry(file.name().to_owned()).or_insert(file);
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || is_well_known(name)
    }
}

fn is_well_known(file: &str) -> bool {
    Descriptors::builtin().get_file_by_name(file).is_some()
}

/// Whether a file is written in an edition. Presence, packing and groups depend on it in ways that are not read here.
pub(crate) fn is_edition(file: &FileDescriptorProto) -> bool {
    !matches!(file.syntax(), "" | "proto2" | "proto3")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{
        grpc::frames,
        tests::wire::{described, length},
    };
    use prost_reflect::prost_types::ServiceDescriptorProto;

    fn file(name: &str, imports: &[&str]) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(name.to_owned()),
            dependency: imports.iter().map(ToString::to_string).collect(),
            ..FileDescriptorProto::default()
        }
    }

    fn files(files: &[FileDescriptorProto]) -> Bytes {
        let files = files.iter().map(|file| length(1, file.encode_to_vec()));
        length(4, files.collect::<Vec<_>>().concat()).into()
    }

    fn services(names: &[&str]) -> Bytes {
        let names = names.iter().map(|name| length(1, length(1, name)));
        length(6, names.collect::<Vec<_>>().concat()).into()
    }

    fn not_found() -> Bytes {
        length(7, [8, 5]).into()
    }

    /// The tag of each question, and its text.
    fn questions(reflection: &mut Reflection) -> Vec<(u8, String)> {
        let body = reflection.next().unwrap_or_default();
        let questions = frames(&body, "", MAX_BYTES).unwrap().into_iter();
        let text = |bytes: Bytes| String::from_utf8(bytes[2..].to_vec()).unwrap();
        questions
            .map(|bytes| (bytes[0] >> 3, text(bytes)))
            .collect()
    }

    #[test]
    fn what_is_imported_is_asked_for_once_and_gaps_are_named() {
        let mut reflection = Reflection::default();
        assert_eq!(questions(&mut reflection), [(7, String::new())]);
        reflection.take(&[services(&["a.A", "b.B"])]).unwrap();
        let symbols = [(4, "a.A".to_owned()), (4, "b.B".to_owned())];
        assert_eq!(questions(&mut reflection), symbols);
        let a = file(
            "a.proto",
            &["google/protobuf/any.proto", "c.proto", "d.proto"],
        );
        let c = file("c.proto", &[]);
        let e = file("e.proto", &["a.proto"]);
        reflection.take(&[files(&[a, c, e]), not_found()]).unwrap();
        assert_eq!(questions(&mut reflection), [(3, "d.proto".to_owned())]);
        reflection.take(&[not_found()]).unwrap();
        assert_eq!(reflection.next(), None);
        let reflected = reflection.finish();
        assert_eq!(reflected.files, [file("c.proto", &[])]);
        let gaps = [
            "b.B (NOT_FOUND)",
            "a.proto (without d.proto)",
            "e.proto (without a.proto)",
        ];
        assert_eq!(reflected.gaps, gaps);
    }

    #[test]
    fn answers_that_are_none_or_too_many_are_refused() {
        let listed = |answer: Bytes| {
            let mut reflection = Reflection::default();
            reflection.next().unwrap();
            reflection.take(&[answer]).map(|()| reflection)
        };
        let refused = |answer| listed(answer).unwrap_err();
        assert_eq!(
            refused(not_found()),
            Unreflected::Unlisted("NOT_FOUND".into())
        );
        assert_eq!(refused(files(&[])), Unreflected::Malformed);
        assert_eq!(refused(Bytes::new()), Unreflected::Malformed);
        assert_eq!(refused(vec![0xff].into()), Unreflected::Malformed);
        assert_eq!(refused(services(&["s"; MAX_NAMES])), Unreflected::TooMany);

        let mut reflection = listed(services(&["a.A", "b.B"])).unwrap();
        reflection.next().unwrap();
        let fewer = reflection.clone().take(&[not_found()]);
        assert_eq!(fewer, Err(Unreflected::Malformed));
        let long = file(&"n".repeat(MAX_BYTES / 2), &[]);
        let both = [files(std::slice::from_ref(&long)), files(&[long])];
        assert_eq!(reflection.take(&both), Err(Unreflected::TooLarge));
    }

    #[test]
    fn listed_files_win_for_what_they_define() {
        let listed =
            described("syntax = \"proto3\"; package p; message M { string own = 1; } service S {}");
        let given = |proto| {
            let given = described(proto)
                .call("/p.T/Get")
                .unwrap()
                .request
                .message
                .clone();
            let mut file = given.parent_file().file_descriptor_proto().clone();
            file.name = Some("given.proto".to_owned());
            file
        };
        let other = given(
            "syntax = \"proto3\"; package p; message M { string other = 1; } message N { M m = 1; } \
             service S {} service T { rpc Get(N) returns (M); }",
        );
        let same_name = FileDescriptorProto {
            service: vec![ServiceDescriptorProto::default()],
            ..file("test.proto", &[])
        };
        let all = listed.extended(&[other, same_name]).unwrap();
        let call = all.call("/p.T/Get").unwrap();
        assert!(call.answer.message.get_field_by_name("own").is_some());
        assert_eq!(call.request.message.full_name(), "p.N");
        assert_ne!(all.fingerprint(), listed.fingerprint());
    }
}
