//! Values with a form of their own: numbers with units, rates, addresses.

mod number;
mod period;
mod quota;
mod rate;
mod share;
mod size;
mod text;

pub use number::Whole;
pub use period::Period;
pub use share::Share;
pub use size::Size;
pub use text::{PORTS, has_impossible_port};

use super::decode::Fault;

/// A bound is not a value: it has to be between two others.
fn check_range<T: PartialOrd>(value: T, min: T, max: T, show: impl Fn(T) -> String) -> Result<T, Fault> {
    if value >= min && value <= max {
        return Ok(value);
    }
    Err(Fault::out_of_range(format!("must be between {} and {}", show(min), show(max))))
}

/// Digits and what follows them. `None` if there are no digits or too many.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}
