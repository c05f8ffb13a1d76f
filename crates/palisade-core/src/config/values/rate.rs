//! Rates: `300/m`, `60/m burst 10`, `5/15m`.

use std::time::Duration;

use super::super::decode::{Fault, Text};
use super::super::shape::Shape;
use super::split_number;
use crate::Rate;

const FORM: &str = "<count>/<window>, windows in s m h d: \"60/m\", \"5/15m\", \"60/m burst 10\"";
const COUNT_MAX: u64 = 1_000_000_000;
const WINDOW_MAX_S: u64 = 31 * 86_400;

impl Text for Rate {
    fn parse(text: &str) -> Result<Self, Fault> {
        let invalid = || Fault::invalid("is not a rate").label(FORM);
        let mut words = text.split_ascii_whitespace();
        let (count, window) = words.next().and_then(|word| word.split_once('/')).ok_or_else(invalid)?;
        let count = parse_count(count).ok_or_else(invalid)?;
        let window_s = parse_window(window).ok_or_else(|| unknown_window(count, window))?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, _, _) => count,
            (Some("burst"), Some(burst), None) => parse_count(burst).ok_or_else(invalid)?,
            _ => return Err(invalid()),
        };
        if count == 0 || burst == 0 || count.max(burst) > COUNT_MAX {
            return Err(Fault::out_of_range("counts must be between 1 and 1000000000"));
        }
        if window_s == 0 || window_s > WINDOW_MAX_S {
            return Err(Fault::out_of_range("window must be between 1s and 31d"));
        }
        let too_wide = || Fault::out_of_range("needs longer than 31 days to refill, or less than 1 µs for one");
        let count = u32::try_from(count).map_err(|_| too_wide())?;
        let burst = u32::try_from(burst).map_err(|_| too_wide())?;
        Rate::new(count, Duration::from_secs(window_s), burst).ok_or_else(too_wide)
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "rate".to_owned(), examples: &["300/m", "60/m burst 10", "5/15m"] }
    }
}

fn parse_count(text: &str) -> Option<u64> {
    split_number(text).filter(|(_, rest)| rest.is_empty()).map(|(count, _)| count)
}

/// Seconds of `m` or `15m`.
fn parse_window(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text).unwrap_or((1, text));
    Some(number.saturating_mul(unit_seconds(unit)?))
}

fn unit_seconds(unit: &str) -> Option<u64> {
    match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    }
}

/// People write `20/min`; say what it is here.
fn unknown_window(count: u64, window: &str) -> Fault {
    let short = match window.trim_end_matches('s') {
        "sec" | "second" => Some("s"),
        "min" | "minute" => Some("m"),
        "hr" | "hour" => Some("h"),
        "day" => Some("d"),
        _ => None,
    };
    let fault = Fault::invalid("has an unknown window");
    match short {
        Some(short) => fault.label(format!("write `{count}/{short}`")),
        None => fault.label(FORM),
    }
}
