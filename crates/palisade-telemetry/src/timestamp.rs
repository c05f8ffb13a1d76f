//! Writing instants as RFC 3339 with microseconds.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use palisade_core::Utc;

use crate::json;

/// The date and time of the last second that was written: a busy log writes the same one again and
/// again, and only the calendar is expensive.
#[derive(Debug, Default)]
pub(crate) struct Timestamps {
    second: Option<u64>,
    text: Vec<u8>,
}

impl Timestamps {
    /// Writes `2026-01-10T14:02:31.123456Z`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, instant: Utc) {
        let (second, nanos) = (instant.as_nanos() / 1_000_000_000, instant.as_nanos() % 1_000_000_000);
        if self.second != Some(second) {
            self.second = Some(second);
            self.text.clear();
            let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(second));
            // Writing into a Vec can't fail; without its `Z` the text is what stays for a second.
            let _ = write!(self.text, "{time}");
            self.text.pop();
        }
        out.extend_from_slice(&self.text);
        let micros = (nanos / 1_000) as u32;
        let ([a, b, c], [d, e, f]) = (json::digits(micros / 1_000), json::digits(micros));
        out.extend_from_slice(&[b'.', a, b, c, d, e, f, b'Z']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_six_decimals() {
        let mut timestamps = Timestamps::default();
        let mut written = |nanos| {
            let mut out = Vec::new();
            timestamps.write(&mut out, Utc::from_nanos(nanos));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(1_768_053_751_123_456_789), "2026-01-10T14:02:31.123456Z");
        assert_eq!(written(1_768_053_751_000_000_999), "2026-01-10T14:02:31.000000Z");
        assert_eq!(written(1_768_053_752_000_001_000), "2026-01-10T14:02:32.000001Z");
        assert_eq!(written(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(u64::MAX), "2554-07-21T23:34:33.709551Z");
    }
}
