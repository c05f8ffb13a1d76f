//! Where a body ends.

/// What a head says about the body after it (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes; none of them if it is 0.
    Length(u64),
    /// Chunks, until an empty one, then trailers.
    Chunked,
    /// Everything until the connection ends. Only answers can say so.
    Close,
}
