//! Where HTTP/2 frames begin and end, in one direction of a connection.
//!
//! Reads frame headers (RFC 9113 §4.1) and counts past payloads; holds nine bytes and no payload.
//! What the frames mean is for the engine behind; this only sees them go by.

/// Follows the frames of one direction.
#[derive(Debug)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES],
    have: usize,
    /// Bytes still to come of what isn't a frame: the client's connection preface.
    preface: usize,
    payload: usize,
    block: Block,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) length: usize,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    Unknown,
}

/// Whether a header block is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    None,
    /// Its last frame is arriving.
    Ending,
    /// More frames will follow.
    Open,
}

/// The client's first bytes (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADER_BYTES: usize = 9;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

impl Frame {
    pub(crate) fn is_ack(self) -> bool {
        self.flags & ACK != 0
    }

    pub(crate) fn ends_stream(self) -> bool {
        self.flags & END_STREAM != 0
    }

    fn ends_headers(self) -> bool {
        self.flags & END_HEADERS != 0
    }

    fn parse(header: [u8; HEADER_BYTES]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = header;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::Reset,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Unknown,
        };
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        Self { kind, flags, stream, length: u32::from_be_bytes([0, l0, l1, l2]) as usize }
    }
}

impl Frames {
    /// The client's direction: the preface comes first.
    pub(crate) fn of_client() -> Self {
        Self { preface: PREFACE.len(), ..Self::of_server() }
    }

    /// Our direction.
    pub(crate) fn of_server() -> Self {
        Self { header: [0; HEADER_BYTES], have: 0, preface: 0, payload: 0, block: Block::None }
    }

    /// Between two frames: another one may be written here.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.have == 0 && self.payload == 0 && self.preface == 0
    }

    /// A header block has begun and isn't complete.
    pub(crate) fn is_in_head(&self) -> bool {
        match self.block {
            Block::None => false,
            Block::Ending => self.payload > 0,
            Block::Open => true,
        }
    }

    /// Takes bytes up to and including the next frame header, which it returns; `None` once all
    /// bytes are taken.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        skip(&mut self.preface, bytes);
        skip(&mut self.payload, bytes);
        while self.have < HEADER_BYTES {
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            if let Some(place) = self.header.get_mut(self.have) {
                *place = *byte;
            }
            self.have += 1;
        }
        self.have = 0;
        let frame = Frame::parse(self.header);
        self.payload = frame.length;
        self.block = match frame.kind {
            Kind::Headers | Kind::Continuation | Kind::PushPromise if frame.ends_headers() => Block::Ending,
            Kind::Headers | Kind::Continuation | Kind::PushPromise => Block::Open,
            // Any other frame inside a block is an error that the engine answers.
            Kind::Data
            | Kind::Priority
            | Kind::Reset
            | Kind::Settings
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Unknown => Block::None,
        };
        Some(frame)
    }
}

fn skip(left: &mut usize, bytes: &mut &[u8]) {
    let here = (*left).min(bytes.len());
    *left -= here;
    *bytes = bytes.get(here..).unwrap_or_default();
}

/// The GOAWAY frame (RFC 9113 §6.8) that ends a connection with `ENHANCE_YOUR_CALM`.
pub(crate) fn calm_down(last_stream: u32) -> [u8; 17] {
    let [s0, s1, s2, s3] = last_stream.to_be_bytes();
    [0, 0, 8, 7, 0, 0, 0, 0, 0, s0, s1, s2, s3, 0, 0, 0, 0xb]
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with an empty-looking payload of `length` bytes.
    pub(crate) fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let [_, l0, l1, l2] = length.to_be_bytes();
        let mut frame = vec![l0, l1, l2, kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.resize(HEADER_BYTES + length as usize, 0);
        frame
    }

    fn seen(frames: &mut Frames, mut bytes: &[u8]) -> Vec<Frame> {
        std::iter::from_fn(|| frames.next(&mut bytes)).collect()
    }

    #[test]
    fn frames_follow_the_preface() {
        let mut frames = Frames::of_client();
        let text = [PREFACE.to_vec(), frame(6, 4, 0, 0), frame(5, 1, 4, 0x8000_0003), frame(0, 77, 9, 1)].concat();
        assert_eq!(
            seen(&mut frames, &text),
            [
                Frame { kind: Kind::Settings, flags: 0, stream: 0, length: 6 },
                Frame { kind: Kind::Headers, flags: 4, stream: 3, length: 5 },
                Frame { kind: Kind::Unknown, flags: 9, stream: 1, length: 0 },
            ]
        );
        assert!(frames.is_at_boundary());
    }

    #[test]
    fn a_head_ends_with_its_last_byte() {
        let mut frames = Frames::of_server();
        let mut check = |bytes: &[u8], in_head: bool| {
            seen(&mut frames, bytes);
            assert_eq!(frames.is_in_head(), in_head, "{bytes:?}");
        };
        let head = frame(3, 1, 0, 1);
        check(&head, true);
        let end = frame(2, 9, 4, 1);
        check(&end[..10], true);
        check(&end[10..], false);
        check(&frame(4, 1, 4, 3), false);
    }

    #[test]
    fn the_last_word_is_a_whole_frame() {
        let mut frames = Frames::of_server();
        let seen = seen(&mut frames, &calm_down(7));
        assert_eq!(seen, [Frame { kind: Kind::GoAway, flags: 0, stream: 0, length: 8 }]);
        assert!(frames.is_at_boundary());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(lengths in prop::collection::vec(0_u32..50, 1..20), piece in 1_usize..30) {
            let text: Vec<u8> = lengths.iter().flat_map(|length| frame(*length, 0, 0, 1)).collect();
            let mut frames = Frames::of_server();
            let found: Vec<u32> = text
                .chunks(piece)
                .flat_map(|piece| seen(&mut frames, piece))
                .map(|frame| frame.length as u32)
                .collect();
            prop_assert_eq!(found, lengths);
            prop_assert!(frames.is_at_boundary());
        }
    }
}
