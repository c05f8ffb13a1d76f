//! The versions that this engine speaks.

/// What the first line of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunks, and a connection ends with its answer unless both sides want it kept.
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// Reads it as the first line spells it; other spellings and versions are none.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"HTTP/1.1" => Some(Self::Http11),
            b"HTTP/1.0" => Some(Self::Http10),
            _ => None,
        }
    }
}
