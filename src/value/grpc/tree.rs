//! Writes messages as JSON.

use super::{MessageType, frames::Unreadable};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes};
use prost_reflect::{
    DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
    prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use std::{borrow::Cow, collections::BTreeMap, io::Write as _};

/// Bounds of what is written.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In bytes, of all JSON of a body.
    pub max_text: usize,
    /// Levels of messages.
    pub max_depth: usize,
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    TooLarge,
    TooDeep,
    Malformed,
}

#[derive(Debug)]
struct Writer {
    out: Vec<u8>,
    limits: Limits,
    /// How many more values may be decoded.
    room: usize,
    /// Bytes decoded again because an `Any` held them.
    again: usize,
}

/// Values of one body: while it is decoded, each takes about a hundred bytes.
const MAX_VALUES: usize = 1 << 20;

const ANY: &str = "google.protobuf.Any";

/// The messages of a body as a JSON text: an array of them for a stream, else the only one.
///
/// # Errors
/// A unary method with another number of messages than one, a message that does not fit its type, or more than the
/// limits allow.
pub fn json(messages: &[Bytes], of: &MessageType, limits: Limits) -> Result<Vec<u8>, Unreadable> {
    if !of.is_stream && messages.len() != 1 {
        return Err(Unreadable::NotOne {
            messages: messages.len(),
        });
    }
    let mut writer = Writer::new(limits);
    if of.is_stream {
        writer.out.push(b'[');
    }
    for (index, message) in messages.iter().enumerate() {
        writer.separate(index);
        let written = writer.decode(message, &of.message, 0);
        written.map_err(|stop| stop.at(index, &of.message))?;
    }
    if of.is_stream {
        writer.out.push(b']');
    }
    Ok(writer.out)
}

/// One message as a JSON text.
pub(super) fn message(
    bytes: &Bytes,
    of: &MessageDescriptor,
    limits: Limits,
) -> Result<Vec<u8>, Unreadable> {
    let mut writer = Writer::new(limits);
    let written = writer.decode(bytes, of, 0);
    written.map_err(|stop| stop.at(0, of))?;
    Ok(writer.out)
}

// === impl Stop ===

impl Stop {
    fn at(self, index: usize, of: &MessageDescriptor) -> Unreadable {
        match self {
            Self::TooLarge => Unreadable::TooLarge,
            Self::TooDeep => Unreadable::TooDeep,
            Self::Malformed => Unreadable::Malformed {
                index,
                name: of.full_name().to_owned(),
            },
        }
    }
}

// === impl Writer ===

impl Writer {
    fn new(limits: Limits) -> Self {
        Self {
            out: Vec::new(),
            limits,
            room: MAX_VALUES,
            again: 0,
        }
    }

    fn decode(&mut self, bytes: &Bytes, of: &MessageDescriptor, depth: usize) -> Result<(), Stop> {
        self.count(bytes, of, depth)?;
        let message = DynamicMessage::decode(of.clone(), bytes.clone());
        self.message(&message.map_err(|_| Stop::Malformed)?, depth)
    }

    /// Counts the values of a message before it is decoded, because a decoded one takes many times its bytes.
    fn count(&mut self, mut rest: &[u8], of: &MessageDescriptor, depth: usize) -> Result<(), Stop> {
        if depth >= self.limits.max_depth {
            return Err(Stop::TooDeep);
        }
        while rest.has_remaining() {
            let (number, wire) = decode_key(&mut rest).map_err(|_| Stop::Malformed)?;
            self.spend(1)?;
            if wire != WireType::LengthDelimited {
                let before = rest.len();
                skip_field(wire, number, &mut rest, DecodeContext::default())
                    .map_err(|_| Stop::Malformed)?;
                if wire == WireType::StartGroup {
                    // No field takes less than two bytes.
                    self.spend((before - rest.len()) / 2)?;
                }
                continue;
            }
            let length = decode_varint(&mut rest).map_err(|_| Stop::Malformed)?;
            let length = usize::try_from(length)
                .ok()
                .filter(|length| *length <= rest.len());
            let (content, behind) = rest.split_at(length.ok_or(Stop::Malformed)?);
            rest = behind;
            let extension = || of.get_extension(number).map(|extension| extension.kind());
            let kind = of.get_field(number).map(|field| field.kind());
            match kind.or_else(extension) {
                Some(Kind::Message(inner)) => self.count(content, &inner, depth + 1)?,
                Some(Kind::String | Kind::Bytes) | None => {}
                Some(Kind::Double | Kind::Fixed64 | Kind::Sfixed64) => {
                    self.spend(content.len() / 8)?;
                }
                Some(Kind::Float | Kind::Fixed32 | Kind::Sfixed32) => {
                    self.spend(content.len() / 4)?;
                }
                // Each packed varint ends with a byte below 0x80.
                Some(_) => self.spend(content.iter().filter(|byte| **byte < 0x80).count())?,
            }
        }
        Ok(())
    }

    fn spend(&mut self, values: usize) -> Result<(), Stop> {
        self.room = self.room.checked_sub(values).ok_or(Stop::TooLarge)?;
        Ok(())
    }

    fn message(&mut self, message: &DynamicMessage, depth: usize) -> Result<(), Stop> {
        if depth >= self.limits.max_depth {
            return Err(Stop::TooDeep);
        }
        let of = message.descriptor();
        if of.full_name() == ANY && self.any(message, depth)? {
            return Ok(());
        }
        self.out.push(b'{');
        self.members(message, 0, depth)?;
        self.out.push(b'}');
        Ok(())
    }

    /// Writes the members behind the `written` first ones.
    fn members(
        &mut self,
        message: &DynamicMessage,
        mut written: usize,
        depth: usize,
    ) -> Result<(), Stop> {
        for field in message.descriptor().fields() {
            if field.supports_presence() && !message.has_field(&field) {
                continue;
            }
            self.name(field.name(), &mut written)?;
            self.value(&message.get_field(&field), &field.kind(), depth)?;
        }
        for (extension, value) in message.extensions() {
            self.name(&format!("[{}]", extension.full_name()), &mut written)?;
            self.value(value, &extension.kind(), depth)?;
        }
        let mut unknown = BTreeMap::<u32, Vec<u8>>::new();
        for field in message.unknown_fields() {
            field.encode(unknown.entry(field.number()).or_default());
        }
        for (number, bytes) in unknown {
            self.name(&format!("#{number}"), &mut written)?;
            self.text(&STANDARD.encode(bytes));
        }
        Ok(())
    }

    /// Writes the message that an `Any` holds, if its type is described. Returns whether it did.
    fn any(&mut self, any: &DynamicMessage, depth: usize) -> Result<bool, Stop> {
        if any.unknown_fields().next().is_some() {
            return Ok(false);
        }
        let part = |name| any.get_field_by_name(name).map(Cow::into_owned);
        let (Some(Value::String(url)), Some(Value::Bytes(bytes))) =
            (part("type_url"), part("value"))
        else {
            return Ok(false);
        };
        let name = url.rsplit('/').next().unwrap_or_default();
        let pool = any.descriptor().parent_pool().clone();
        let Some(of) = pool.get_message_by_name(name) else {
            return Ok(false);
        };
        // Each level of `Any` in `Any` copies all bytes within.
        self.again = self.again.saturating_add(bytes.len());
        if self.again > self.limits.max_text {
            return Err(Stop::TooLarge);
        }
        match self.count(&bytes, &of, depth) {
            Err(Stop::Malformed) => return Ok(false),
            counted => counted?,
        }
        let Ok(message) = DynamicMessage::decode(of, bytes) else {
            return Ok(false);
        };
        let mut written = 0;
        self.out.push(b'{');
        self.name("@type", &mut written)?;
        self.text(&url);
        if message.descriptor().full_name() == ANY {
            // Its own `@type` would be a second one.
            self.name("value", &mut written)?;
            self.message(&message, depth + 1)?;
        } else {
            self.members(&message, written, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(true)
    }

    fn value(&mut self, value: &Value, kind: &Kind, depth: usize) -> Result<(), Stop> {
        match value {
            Value::Message(message) => self.message(message, depth + 1)?,
            Value::List(items) => {
                self.out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    self.separate(index);
                    self.value(item, kind, depth)?;
                }
                self.out.push(b']');
            }
            Value::Map(entries) => {
                let of = match kind {
                    Kind::Message(entry) => entry.map_entry_value_field().kind(),
                    other => other.clone(),
                };
                // In one order, so that equal maps have equal texts.
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                let mut written = 0;
                self.out.push(b'{');
                for (key, item) in entries {
                    self.name(&key_text(key), &mut written)?;
                    self.value(item, &of, depth)?;
                }
                self.out.push(b'}');
            }
            scalar => self.scalar(scalar, kind),
        }
        self.check()
    }

    fn scalar(&mut self, value: &Value, kind: &Kind) {
        match value {
            Value::Bool(value) => self.plain(value),
            Value::I32(value) => self.plain(value),
            Value::I64(value) => self.plain(value),
            Value::U32(value) => self.plain(value),
            Value::U64(value) => self.plain(value),
            Value::F32(value) if value.is_finite() => self.shortest(value),
            Value::F64(value) if value.is_finite() => self.shortest(value),
            Value::F32(value) => self.text(not_finite(f64::from(*value))),
            Value::F64(value) => self.text(not_finite(*value)),
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => self.text(&STANDARD.encode(bytes)),
            Value::EnumNumber(number) => {
                let of = kind.as_enum().and_then(|of| of.get_value(*number));
                match of {
                    Some(value) => self.text(value.name()),
                    None => self.plain(number),
                }
            }
            Value::Message(_) | Value::List(_) | Value::Map(_) => {
                unreachable!("invariant: containers must be written by `value`")
            }
        }
    }

    fn name(&mut self, name: &str, written: &mut usize) -> Result<(), Stop> {
        self.separate(*written);
        *written += 1;
        self.text(name);
        self.out.push(b':');
        self.check()
    }

    fn text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.out, text).expect(INTO_MEMORY);
    }

    fn plain(&mut self, value: impl std::fmt::Display) {
        write!(self.out, "{value}").expect(INTO_MEMORY);
    }

    /// The shortest decimal that reads as the same float.
    fn shortest(&mut self, value: impl serde::Serialize) {
        serde_json::to_writer(&mut self.out, &value).expect(INTO_MEMORY);
    }

    fn separate(&mut self, written: usize) {
        if written > 0 {
            self.out.push(b',');
        }
    }

    fn check(&self) -> Result<(), Stop> {
        if self.out.len() > self.limits.max_text {
            Err(Stop::TooLarge)
        } else {
            Ok(())
        }
    }
}

const INTO_MEMORY: &str = "invariant: writing into memory must succeed";

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn key_text(key: &MapKey) -> Cow<'_, str> {
    match key {
        MapKey::String(text) => Cow::Borrowed(text),
        MapKey::Bool(value) => Cow::Owned(value.to_string()),
        MapKey::I32(value) => Cow::Owned(value.to_string()),
        MapKey::I64(value) => Cow::Owned(value.to_string()),
        MapKey::U32(value) => Cow::Owned(value.to_string()),
        MapKey::U64(value) => Cow::Owned(value.to_string()),
    }
}
