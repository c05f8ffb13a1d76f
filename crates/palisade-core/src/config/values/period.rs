//! Durations: `250ms 30s 5m 12h 30d`.

use std::time::Duration;

use super::super::decode::{Fault, Text};
use super::super::shape::Shape;
use super::{check_range, split_number};

/// A duration from `MIN` to `MAX` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period<const MIN: u64, const MAX: u64>(Duration);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl<const MIN: u64, const MAX: u64> Period<MIN, MAX> {
    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Text for Period<MIN, MAX> {
    const UNITS: &'static [&'static str] = &["ms", "s", "m", "h", "d"];

    fn parse(text: &str) -> Result<Self, Fault> {
        let Some((number, unit)) = split_number(text) else {
            return Err(Fault::invalid("is not a duration").label("for example \"30s\""));
        };
        if unit.is_empty() {
            return Err(Fault::no_unit(Self::UNITS));
        }
        let Some((_, unit_ms)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let label = format!("units are {}", Self::UNITS.join(" "));
            return Err(Fault::invalid("has an unknown unit").label(label));
        };
        let ms = check_range(number.saturating_mul(*unit_ms), MIN, MAX, show)?;
        Ok(Self(Duration::from_millis(ms)))
    }

    fn shape() -> Shape {
        Shape::Text {
            syntax: format!("duration, {} to {}", show(MIN), show(MAX)),
            examples: &["250ms", "30s", "5m", "12h", "30d"],
        }
    }
}

/// Milliseconds in the largest unit that divides them.
fn show(ms: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{ms}ms"), |(name, unit)| format!("{}{name}", ms / unit))
}
