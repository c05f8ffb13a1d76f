//! The `Date` of answers that have none, written once a second (RFC 9110 §6.6.1).

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use palisade_http1::write as http1;

/// A second, and its text.
struct Cached {
    second: u64,
    text: String,
}

thread_local! {
    static CACHED: RefCell<Cached> = const { RefCell::new(Cached { second: 0, text: String::new() }) };
}

/// Writes the field.
pub(crate) fn write(out: &mut BytesMut) {
    // A clock before 1970 tells no date that anybody could use.
    let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    CACHED.with_borrow_mut(|cached| {
        if cached.second != second || cached.text.is_empty() {
            cached.second = second;
            cached.text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        http1::field(out, "date", cached.text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_now() {
        let mut out = BytesMut::new();
        write(&mut out);
        write(&mut out);
        let text = std::str::from_utf8(&out).unwrap();
        let dates: Vec<_> = text.lines().map(|line| line.strip_prefix("date: ").unwrap()).collect();
        for date in &dates {
            let told = httpdate::parse_http_date(date).unwrap();
            assert!(told.elapsed().unwrap_or_default() < Duration::from_secs(5), "{date}");
        }
        assert_eq!(dates.len(), 2);
    }
}
