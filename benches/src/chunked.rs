//! The end of a chunked body, without parsing it.

/// Notices the last chunk by the bytes that end it. A body that holds those bytes itself would be
/// cut short; ours don't.
#[derive(Clone, Copy, Debug)]
pub struct LastChunk {
    tail: [u8; END.len()],
}

const END: &[u8; 7] = b"\r\n0\r\n\r\n";

impl LastChunk {
    /// At the start of a body, where an empty one has no line before its last chunk.
    pub fn new() -> Self {
        Self { tail: *b"\0\0\0\0\0\r\n" }
    }

    /// Takes the next bytes; whether they end the body.
    pub fn ends(&mut self, bytes: &[u8]) -> bool {
        let bytes = bytes.get(bytes.len().saturating_sub(END.len())..).unwrap_or_default();
        for byte in bytes {
            self.tail.rotate_left(1);
            if let Some(last) = self.tail.last_mut() {
                *last = *byte;
            }
        }
        self.tail == *END
    }
}

impl Default for LastChunk {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_once_however_it_is_cut() {
        for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5\r\n0\r\n0\r\r\n0\r\n\r\n"] {
            for size in 1..=body.len() {
                let mut last = LastChunk::new();
                let ends: Vec<bool> = body.as_bytes().chunks(size).map(|piece| last.ends(piece)).collect();
                assert_eq!(ends.iter().filter(|ends| **ends).count(), 1, "{body:?} in pieces of {size}: {ends:?}");
                assert_eq!(ends.last(), Some(&true));
            }
        }
    }
}
