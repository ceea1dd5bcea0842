//! Follows the frames of one direction of a connection (RFC 9113 4.1) without keeping their content.

use bytes::Buf as _;

/// The position within the stream of frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The beginning of an incomplete head.
    head: [u8; RESET],
    known: usize,
    /// Bytes of payload until the next frame.
    left: usize,
    /// A header block goes on in the next frame.
    is_block_open: bool,
    kind: u8,
    has_begun: bool,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) stream: u32,
}

/// The kinds of frames that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Headers,
    /// With content, or the last one of its stream.
    Data,
    /// With this error code (RFC 9113 7).
    Reset(u32),
    /// Everything else: what a message can do without.
    Control,
}

/// What the stream is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No frame has begun.
    Untouched,
    /// A header block, or any frame but `DATA`.
    Head,
    Data,
    Between,
}

/// Length, type, flags and stream of each frame.
const HEAD: usize = 9;
/// `RST_STREAM` as a whole: its payload is the error code.
const RESET: usize = HEAD + 4;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

// === impl Frames ===

impl Frames {
    /// Reads the next bytes of the stream, and shows each frame once its head is complete.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut show: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes.advance(skipped);
                continue;
            }
            let taken = (self.wanted() - self.known).min(bytes.len());
            self.head[self.known..][..taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            self.has_begun = true;
            bytes.advance(taken);
            if self.known == self.wanted() {
                show(self.begin());
            }
        }
    }

    /// Bytes of the head, which are more than [`HEAD`] once it is known to be that of a reset.
    fn wanted(&self) -> usize {
        let is_reset = self.known >= HEAD && self.head[3] == RST_STREAM && self.length() == 4;
        if is_reset { RESET } else { HEAD }
    }

    fn length(&self) -> usize {
        (&self.head[..3]).get_uint(3) as usize
    }

    /// Leaves the head, which is complete.
    fn begin(&mut self) -> Frame {
        let length = self.length();
        let [kind, flags] = [self.head[3], self.head[4]];
        let stream = (&self.head[5..]).get_u32() & (u32::MAX >> 1);
        self.left = length - (self.known - HEAD);
        self.kind = kind;
        if matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) {
            self.is_block_open = flags & END_HEADERS == 0;
        }
        let kind = match kind {
            HEADERS => Kind::Headers,
            DATA if length > 0 || flags & END_STREAM != 0 => Kind::Data,
            RST_STREAM if self.known == RESET => Kind::Reset((&self.head[HEAD..]).get_u32()),
            _ => Kind::Control,
        };
        self.known = 0;
        Frame { kind, stream }
    }

    pub(crate) fn stage(&self) -> Stage {
        let is_within = self.left > 0;
        if !self.has_begun {
            Stage::Untouched
        } else if is_within && self.kind == DATA {
            Stage::Data
        } else if is_within || self.known > 0 || self.is_block_open {
            Stage::Head
        } else {
            Stage::Between
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }

    fn shown(kind: Kind, stream: u32) -> Frame {
        Frame { kind, stream }
    }

    #[test]
    fn a_header_block_is_open_until_its_last_frame() {
        let mut frames = Frames::default();
        assert_eq!(frames.stage(), Stage::Untouched);
        for (bytes, stage) in [
            (frame(4, 0, 0, &[0; 6]), Stage::Between),
            (frame(HEADERS, END_STREAM, 1, b"ab"), Stage::Head),
            (frame(CONTINUATION, 0, 1, b""), Stage::Head),
            (frame(CONTINUATION, END_HEADERS, 1, b"c"), Stage::Between),
            (frame(DATA, 0, 1, b"ab")[..10].to_vec(), Stage::Data),
            (b"b".to_vec(), Stage::Between),
            (frame(6, 0, 0, &[0; 8])[..4].to_vec(), Stage::Head),
        ] {
            frames.read(&bytes, |_| {});
            assert_eq!(frames.stage(), stage, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn each_frame_is_shown_however_the_bytes_come_in(
            cuts in prop::collection::vec(0usize..100, 0..12),
        ) {
            let all = [
                (frame(4, 0, 0, &[0; 6]), shown(Kind::Control, 0)),
                (frame(HEADERS, END_HEADERS, 1, b"abc"), shown(Kind::Headers, 1)),
                (frame(DATA, 0, 1, b""), shown(Kind::Control, 1)),
                (frame(DATA, 0, 1, b"abcde"), shown(Kind::Data, 1)),
                (frame(DATA, END_STREAM, 1, b""), shown(Kind::Data, 1)),
                (frame(RST_STREAM, 0, 0x8000_0003, &[0, 0, 0, 8]), shown(Kind::Reset(8), 3)),
                (frame(RST_STREAM, 0, 3, &[0; 5]), shown(Kind::Control, 3)),
                (frame(77, 255, 9, b"?"), shown(Kind::Control, 9)),
            ];
            let bytes = all.iter().flat_map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                frames.read(&bytes[pair[0]..pair[1]], |frame| found.push(frame));
            }
            prop_assert_eq!(found, all.map(|(_, frame)| frame));
        }
    }
}
