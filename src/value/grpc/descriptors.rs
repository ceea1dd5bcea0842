//! Which messages the calls of a service exchange.

use prost_reflect::{
    DescriptorError, DescriptorPool, FileDescriptor, MessageDescriptor,
    prost::Message as _,
    prost_types::{
        DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
        field_descriptor_proto::{Label, Type},
    },
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
};
use xxhash_rust::xxh3::Xxh3Default;

/// The described services and messages. Clones share them.
#[derive(Clone, Default)]
pub struct Descriptors(
    /// `None` for the well-known types alone, which take a megabyte once they are needed.
    Option<Arc<Pool>>,
);

struct Pool {
    pool: DescriptorPool,
    /// By path, `/package.Service/Method`.
    calls: HashMap<String, Call>,
    fingerprint: Option<String>,
}

/// One method of a service.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the caller sends.
    pub request: MessageType,
    /// What the stack answers.
    pub answer: MessageType,
}

/// What one side of a call sends.
#[derive(Clone, Debug)]
pub struct MessageType {
    /// The type of each message.
    pub message: MessageDescriptor,
    /// Whether there may be any number of messages.
    pub is_stream: bool,
}

/// The type of `grpc-status-details-bin`, which every pool has.
pub(super) const STATUS: &str = "google.rpc.Status";

// === impl Descriptors ===

impl Descriptors {
    /// The well-known types alone, and no service.
    pub fn builtin() -> DescriptorPool {
        DescriptorPool::global()
    }

    /// Takes a pool that extends [`builtin`](Self::builtin).
    ///
    /// # Errors
    /// The pool has something else in the place of `google.rpc.Status`.
    pub fn new(mut pool: DescriptorPool) -> Result<Self, DescriptorError> {
        let fingerprint = fingerprint(&pool);
        add_status(&mut pool)?;
        let services: Vec<_> = pool.services().collect();
        let methods = services.iter().flat_map(|service| service.methods());
        let calls = methods.map(|method| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let call = Call {
                request: MessageType {
                    message: method.input(),
                    is_stream: method.is_client_streaming(),
                },
                answer: MessageType {
                    message: method.output(),
                    is_stream: method.is_server_streaming(),
                },
            };
            (path, call)
        });
        let calls = calls.collect();
        Ok(Self(Some(Arc::new(Pool {
            pool,
            calls,
            fingerprint,
        }))))
    }

    fn pool(&self) -> &DescriptorPool {
        static BUILTIN: LazyLock<DescriptorPool> = LazyLock::new(|| {
            let mut pool = Descriptors::builtin();
            add_status(&mut pool).expect("invariant: the well-known types must be consistent");
            pool
        });
        self.0.as_ref().map_or(&*BUILTIN, |own| &own.pool)
    }

    /// Adds the files that a stack gave. What these descriptors define, by whatever file, stays as it is.
    pub(crate) fn extended(&self, files: &[FileDescriptorProto]) -> Result<Self, DescriptorError> {
        let own = self.pool();
        let mut all: Vec<_> = own.file_descriptor_protos().cloned().collect();
        let imports: Vec<_> = all.iter().map(|file| file.name().to_owned()).collect();
        let others = files.iter().cloned();
        all.extend(others.filter_map(|mut file| {
            if own.get_file_by_name(file.name()).is_some() {
                return None;
            }
            self.leave_out_own(&mut file);
            // What is left out may be in any of them.
            let missing = imports
                .iter()
                .filter(|name| !file.dependency.contains(name));
            let missing: Vec<_> = missing.cloned().collect();
            file.dependency.extend(missing);
            Some(file)
        }));
        DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file: all })
            .and_then(Self::new)
    }

    fn leave_out_own(&self, file: &mut FileDescriptorProto) {
        let own = self.pool();
        let package = file.package().to_owned();
        let full = |name: &str| match &*package {
            "" => name.to_owned(),
            package => format!("{package}.{name}"),
        };
        file.message_type
            .retain(|one| own.get_message_by_name(&full(one.name())).is_none());
        file.enum_type
            .retain(|one| own.get_enum_by_name(&full(one.name())).is_none());
        file.service
            .retain(|one| own.get_service_by_name(&full(one.name())).is_none());
        file.extension
            .retain(|one| own.get_extension_by_name(&full(one.name())).is_none());
    }

    /// The call with that path: `/package.Service/Method`.
    pub fn call(&self, path: &str) -> Option<&Call> {
        self.0.as_ref()?.calls.get(path)
    }

    /// Every described call by its path.
    pub fn calls(&self) -> impl Iterator<Item = (&str, &Call)> {
        let calls = self.0.iter().flat_map(|pool| &pool.calls);
        calls.map(|(path, call)| (&**path, call))
    }

    /// The message of that full name.
    pub fn message(&self, name: &str) -> Option<MessageDescriptor> {
        self.pool().get_message_by_name(name)
    }

    /// A hash of everything that the descriptors add to the well-known types, without comments and places in sources;
    /// `None` if they add nothing.
    pub fn fingerprint(&self) -> Option<&str> {
        self.0.as_ref()?.fingerprint.as_deref()
    }
}

impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls().count();
        f.debug_struct("Descriptors")
            .field("calls", &calls)
            .finish_non_exhaustive()
    }
}

/// Adds `google.rpc.Status` unless the pool has it.
fn add_status(pool: &mut DescriptorPool) -> Result<(), DescriptorError> {
    match pool.get_message_by_name(STATUS) {
        Some(_) => Ok(()),
        None => pool.add_file_descriptor_proto(status_file()),
    }
}

fn fingerprint(pool: &DescriptorPool) -> Option<String> {
    let is_builtin = |file: &FileDescriptor| file.name().starts_with("google/protobuf/");
    let files = pool.files().filter(|file| !is_builtin(file));
    let mut files: Vec<_> = files
        .map(|file| FileDescriptorProto {
            source_code_info: None,
            ..file.file_descriptor_proto().clone()
        })
        .collect();
    if files.is_empty() {
        return None;
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let mut hash = Xxh3Default::new();
    for file in files {
        hash.update(&file.encode_length_delimited_to_vec());
    }
    Some(format!("{:032x}", hash.digest128()))
}

/// `google/rpc/status.proto`, as <https://grpc.io/docs/guides/error/> describes it.
fn status_file() -> FileDescriptorProto {
    let field = |name: &str, number, label: Label, kind: Type| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        type_name: (kind == Type::Message).then(|| ".google.protobuf.Any".to_owned()),
        ..FieldDescriptorProto::default()
    };
    FileDescriptorProto {
        name: Some("google/rpc/status.proto".to_owned()),
        package: Some("google.rpc".to_owned()),
        syntax: Some("proto3".to_owned()),
        dependency: vec!["google/protobuf/any.proto".to_owned()],
        message_type: vec![DescriptorProto {
            name: Some("Status".to_owned()),
            field: vec![
                field("code", 1, Label::Optional, Type::Int32),
                field("message", 2, Label::Optional, Type::String),
                field("details", 3, Label::Repeated, Type::Message),
            ],
            ..DescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    }
}
