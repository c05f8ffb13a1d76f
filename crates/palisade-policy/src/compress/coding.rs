//! The codings that can be offered.

/// A way to write content in fewer bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Zstandard (RFC 8878): the fastest, and as small as any.
    Zstd,
    /// Brotli (RFC 7932): knows words of the web before it has read any.
    Brotli,
    /// gzip (RFC 1952): what every client reads.
    Gzip,
}

impl Coding {
    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Whether a client means this coding. `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    pub(super) fn is_called(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.token().as_bytes())
            || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"))
    }
}

palisade_core::words! { Coding: "zstd" = Self::Zstd, "br" = Self::Brotli, "gzip" = Self::Gzip }
