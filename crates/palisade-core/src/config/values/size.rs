//! Sizes: `64KiB 1MB`.

use super::super::decode::{Fault, Text};
use super::super::shape::Shape;
use super::{check_range, split_number};

/// A number of bytes from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size<const MIN: u64, const MAX: u64>(u64);

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// The bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Text for Size<MIN, MAX> {
    const UNITS: &'static [&'static str] = &["B", "KB", "KiB", "MB", "MiB", "GB", "GiB"];

    fn parse(text: &str) -> Result<Self, Fault> {
        let Some((number, unit)) = split_number(text) else {
            return Err(Fault::invalid("is not a size").label("for example \"64KiB\""));
        };
        if unit.is_empty() {
            return Err(Fault::no_unit(Self::UNITS));
        }
        let Some((_, unit_bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let label = format!("units are {}", Self::UNITS.join(" "));
            return Err(Fault::invalid("has an unknown unit").label(label));
        };
        check_range(number.saturating_mul(*unit_bytes), MIN, MAX, show).map(Self)
    }

    fn shape() -> Shape {
        Shape::Text {
            syntax: format!("size, {} to {}", show(MIN), show(MAX)),
            examples: &["512B", "64KiB", "1MB", "2GiB"],
        }
    }
}

/// Bytes in the largest unit that divides them.
fn show(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}
