//! The line that gives a chunk's size (RFC 9112 §7.1).
//!
//! Extensions mean nothing to anyone here; they are counted and dropped.

use crate::fault::Fault;
use crate::token::has_control;

/// What such a line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChunkSize {
    pub(crate) bytes: u64,
    pub(crate) extension_bytes: usize,
}

impl ChunkSize {
    /// Reads a line without its end: 1 to 16 hexadecimal digits, a size below 2^63.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Fault> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at_checked(digits).ok_or(Fault::Malformed)?;
        if size.len() > 16 || !matches!(extension, [] | [b';', ..]) || has_control(extension) {
            return Err(Fault::Malformed);
        }
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
        match size {
            Some(bytes) if i64::try_from(bytes).is_ok() => Ok(Self { bytes, extension_bytes: extension.len() }),
            Some(_) | None => Err(Fault::Malformed),
        }
    }
}
