//! How large the parts of a message may be.
//!
//! Everything that is kept until it is complete has a bound here; what passes piece by piece needs
//! none.

/// The bounds of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, its first line and the final empty line included.
    pub head_bytes_max: usize,
    /// Fields of a head.
    pub fields_max: usize,
    /// Bytes of a request target.
    pub target_bytes_max: usize,
    /// Bytes of the line that gives a chunk's size, its end included.
    pub chunk_line_bytes_max: usize,
    /// Bytes of chunk extensions in one message.
    pub chunk_extension_bytes_max: usize,
    /// Bytes of a message's trailers, the final empty line included.
    pub trailer_bytes_max: usize,
}

impl Limits {
    /// For requests, which come from anyone.
    const REQUEST: Self = Self {
        head_bytes_max: 32 << 10,
        fields_max: 100,
        target_bytes_max: 8 << 10,
        chunk_line_bytes_max: 256,
        chunk_extension_bytes_max: 4 << 10,
        trailer_bytes_max: 8 << 10,
    };

    /// For answers: an application may say more than its clients.
    pub const ANSWER: Self = Self { head_bytes_max: 64 << 10, fields_max: 256, ..Self::REQUEST };
}

impl Default for Limits {
    fn default() -> Self {
        Self::REQUEST
    }
}
