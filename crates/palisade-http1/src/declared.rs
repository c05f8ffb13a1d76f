//! What the fields of a head say about where its message ends, and its connection.
//!
//! Both are settled while the fields are read. A contradiction is found here once and is a fault;
//! whoever gets a [`Framing`] can trust it.

use crate::fault::Fault;
use crate::framing::Framing;
use crate::token::{decimal, members};
use crate::version::Version;

/// As far as the fields were read.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) version: Version,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    continues: bool,
}

impl Declared {
    pub(crate) fn new(version: Version) -> Self {
        Self { version, length: None, chunked: false, close: false, keep_alive: false, continues: false }
    }

    /// Takes from a field what matters. Its name is in lower case, its value trimmed.
    pub(crate) fn learn(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        match name {
            b"content-length" => {
                // A second field is refused even if it is equal: the next reader may take a list.
                let length = decimal(value).ok_or(Fault::Malformed)?;
                if self.length.replace(length).is_some() {
                    return Err(Fault::Malformed);
                }
            }
            b"transfer-encoding" => {
                let again = std::mem::replace(&mut self.chunked, true);
                if again || self.version == Version::Http10 || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Malformed);
                }
            }
            b"connection" => {
                for option in members(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            b"expect" => self.continues |= members(value).any(|all| all.eq_ignore_ascii_case(b"100-continue")),
            _ => {}
        }
        Ok(())
    }

    /// The body that was declared, if one was.
    pub(crate) fn framing(&self) -> Result<Option<Framing>, Fault> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Fault::Malformed),
            (true, None) => Ok(Some(Framing::Chunked)),
            (false, Some(length)) => Ok(Some(Framing::Length(length))),
            (false, None) => Ok(None),
        }
    }

    /// Whether the connection may be kept after this message (RFC 9112 §9.3).
    pub(crate) fn is_persistent(&self) -> bool {
        match self.version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// Whether the sender waits for a 100 before it sends a body. In HTTP/1.0 nobody would send
    /// one (RFC 9110 §10.1.1).
    pub(crate) fn expects_continue(&self) -> bool {
        let has_body = self.chunked || self.length.is_some_and(|length| length > 0);
        self.continues && has_body && self.version == Version::Http11
    }
}
