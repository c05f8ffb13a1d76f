//! Bytes on their way out, in the order in which they were put in.
//!
//! A head and what is small lie in one buffer, so that they leave with one system call. A large part
//! is not copied: it lies beside the buffer and leaves with it.

use std::io::IoSlice;

use arrayvec::ArrayVec;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::write;

/// What is to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    front: BytesMut,
    /// After the front.
    large: Bytes,
    /// After the large part.
    rear: &'static [u8],
}

/// Parts up to this size are copied: that costs less than another slice for the kernel to walk.
const COPIED_MAX: usize = 4 << 10;

/// What the front may hold before it has to be sent.
const FRONT_MAX: usize = 16 << 10;

impl Outbox {
    /// Where heads and interim answers are written. To be used while there is room.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.front
    }

    /// Whether more may be put in before some of it was sent.
    pub fn has_room(&self) -> bool {
        self.large.is_empty() && self.rear.is_empty() && self.front.len() < FRONT_MAX
    }

    /// Puts in a part of a body whose length is known. To be used while there is room.
    pub fn put(&mut self, data: Bytes) {
        if data.len() <= COPIED_MAX {
            self.front.extend_from_slice(&data);
        } else {
            self.large = data;
        }
    }

    /// Puts in a chunk; an empty one would end the body and is left out. To be used while there is
    /// room.
    pub fn put_chunk(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        write::chunk_size(&mut self.front, data.len());
        if data.len() <= COPIED_MAX {
            self.front.extend_from_slice(&data);
            self.front.put_slice(write::CRLF);
        } else {
            self.large = data;
            self.rear = write::CRLF;
        }
    }

    /// Whether everything was sent.
    pub fn is_empty(&self) -> bool {
        self.front.is_empty() && self.large.is_empty() && self.rear.is_empty()
    }

    /// What is to be sent next.
    pub fn slices(&self) -> ArrayVec<IoSlice<'_>, 3> {
        let parts = [&self.front[..], &self.large[..], self.rear];
        parts.into_iter().filter(|part| !part.is_empty()).map(IoSlice::new).collect()
    }

    /// So many bytes were sent.
    pub fn advance(&mut self, mut sent: usize) {
        let front = sent.min(self.front.len());
        self.front.advance(front);
        sent -= front;
        let large = sent.min(self.large.len());
        self.large.advance(large);
        if self.large.is_empty() {
            // Nothing of it is needed, and whoever has read it may want its memory back.
            self.large = Bytes::new();
        }
        sent -= large;
        self.rear = self.rear.get(sent..).unwrap_or_default();
        if self.front.is_empty() && self.front.capacity() > FRONT_MAX {
            self.front = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends at most so many bytes.
    fn send(outbox: &mut Outbox, bytes_max: usize, sent: &mut Vec<u8>) {
        let taken: Vec<u8> = outbox.slices().iter().flat_map(|slice| slice.to_vec()).take(bytes_max).collect();
        outbox.advance(taken.len());
        sent.extend(taken);
    }

    proptest! {
        /// However little is sent at a time, bytes leave in the order in which they were put in.
        #[test]
        fn bytes_leave_in_their_order(
            parts in prop::collection::vec((any::<bool>(), 0_usize..3 * COPIED_MAX), 1..12),
            steps in prop::collection::vec(1_usize..2 * COPIED_MAX, 1..8),
        ) {
            let (mut outbox, mut sent, mut expected) = (Outbox::default(), Vec::new(), Vec::new());
            let mut steps = steps.into_iter().cycle();
            for (place, (chunked, size)) in parts.into_iter().enumerate() {
                while !outbox.has_room() {
                    send(&mut outbox, steps.next().unwrap(), &mut sent);
                }
                let data = Bytes::from(vec![place as u8; size]);
                if chunked && size > 0 {
                    expected.extend(format!("{size:x}\r\n").into_bytes());
                    expected.extend_from_slice(&data);
                    expected.extend_from_slice(b"\r\n");
                    outbox.put_chunk(data);
                } else {
                    expected.extend_from_slice(&data);
                    outbox.put(data);
                }
            }
            while !outbox.is_empty() {
                send(&mut outbox, steps.next().unwrap(), &mut sent);
            }
            prop_assert_eq!(sent, expected);
        }
    }
}
