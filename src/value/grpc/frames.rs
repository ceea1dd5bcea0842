//! Length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message").

use crate::value::coding::{self, Undecodable};
use bytes::{BufMut, Bytes, BytesMut};

/// Why a body is not compared message by message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Reading it would take more memory than allowed.
    #[error("too large to be read")]
    TooLarge,
    /// The body ends within a message.
    #[error("cut short after {messages} whole messages")]
    Cut {
        /// The number of whole messages before.
        messages: usize,
    },
    /// The first byte of a message says neither plain nor compressed.
    #[error("message {index} begins with {flag} in place of its compression flag")]
    Flag {
        /// From 0.
        index: usize,
        /// The byte.
        flag: u8,
    },
    /// A message is not what `grpc-encoding` says.
    #[error("message {index}: {why}")]
    Compressed {
        /// From 0.
        index: usize,
        /// The reason.
        why: Undecodable,
    },
    /// A message is compressed, and `grpc-encoding` names no coding.
    #[error("message {index} is compressed, and grpc-encoding does not say how")]
    NoCoding {
        /// From 0.
        index: usize,
    },
    /// A unary method has one message.
    #[error("{messages} messages where the method has one")]
    NotOne {
        /// How many there are.
        messages: usize,
    },
    /// The bytes of a message do not fit its type.
    #[error("message {index} is no {name}")]
    Malformed {
        /// From 0.
        index: usize,
        /// The full name of the type.
        name: String,
    },
    /// Messages are nested too deep.
    #[error("nested too deep")]
    TooDeep,
}

/// A flag, and the length as four bytes.
const PREFIX: usize = 5;

/// The messages of a body, decompressed.
///
/// # Errors
/// A body that is no sequence of messages in that coding, or has more than `max` bytes once decompressed.
pub fn frames(body: &Bytes, coding: &str, max: usize) -> Result<Vec<Bytes>, Unreadable> {
    let mut messages = Vec::new();
    let (mut at, mut total) = (0, 0);
    while at < body.len() {
        let index = messages.len();
        let (flag, end) = prefix(&body[at..]).ok_or(Unreadable::Cut { messages: index })?;
        let end = at.checked_add(end).filter(|end| *end <= body.len());
        let end = end.ok_or(Unreadable::Cut { messages: index })?;
        let message = body.slice(at + PREFIX..end);
        let message = match flag {
            0 => message,
            1 if coding.is_empty() => return Err(Unreadable::NoCoding { index }),
            1 => match coding::undo(coding, &message, max) {
                Err(Undecodable::TooLarge) => return Err(Unreadable::TooLarge),
                undone => undone.map_err(|why| Unreadable::Compressed { index, why })?,
            },
            flag => return Err(Unreadable::Flag { index, flag }),
        };
        total += message.len();
        if total > max {
            return Err(Unreadable::TooLarge);
        }
        messages.push(message);
        at = end;
    }
    Ok(messages)
}

/// The messages of a body without compression, each with its prefix.
///
/// # Errors
/// As [`frames`].
pub fn plain(body: &Bytes, coding: &str, max: usize) -> Result<Bytes, Unreadable> {
    if coding.is_empty() {
        // Nothing is copied.
        return frames(body, coding, max).map(|_| body.clone());
    }
    let messages = frames(body, coding, max)?;
    let mut plain = BytesMut::with_capacity(messages.iter().map(|one| one.len() + PREFIX).sum());
    for message in messages {
        plain.put_u8(0);
        plain.put_u32(u32::try_from(message.len()).map_err(|_| Unreadable::TooLarge)?);
        plain.put_slice(&message);
    }
    Ok(plain.freeze())
}

/// Whether a body is exactly one message, compressed or not.
pub fn is_one_message(body: &[u8]) -> bool {
    prefix(body).is_some_and(|(flag, end)| flag <= 1 && end == body.len())
}

/// The flag of the first message, and where the message ends.
fn prefix(bytes: &[u8]) -> Option<(u8, usize)> {
    let [flag, length @ ..] = *bytes.first_chunk::<PREFIX>()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    Some((flag, length.checked_add(PREFIX)?))
}
