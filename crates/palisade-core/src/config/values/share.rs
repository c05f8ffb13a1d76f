//! Shares: `99.9%`.

use super::super::decode::{Fault, Text};
use super::super::shape::Shape;

/// A share of a whole, exact to a ten-thousandth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// The share in millionths: `1%` is 10,000.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl Text for Share {
    const UNITS: &'static [&'static str] = &["%"];

    fn parse(text: &str) -> Result<Self, Fault> {
        let invalid = || Fault::invalid("is not a share").label("for example \"1%\" or \"99.9%\"");
        let Some(number) = text.strip_suffix('%') else {
            return Err(if text.parse::<f64>().is_ok() { Fault::no_unit(Self::UNITS) } else { invalid() });
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 4 || whole.len() > 3 {
            return Err(invalid());
        }
        let millionths = format!("{whole}{fraction:0<4}").parse::<u32>().map_err(|_| invalid())?;
        if millionths > 1_000_000 {
            return Err(Fault::out_of_range("must be between 0% and 100%"));
        }
        Ok(Self(millionths))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "share, 0% to 100%".to_owned(), examples: &["1%", "0.5%", "99.9%"] }
    }
}
