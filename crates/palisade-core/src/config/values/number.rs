//! Whole numbers within bounds.

use super::super::decode::{Decode, wrong_type};
use super::super::place::Place;
use super::super::problem::Problems;
use super::super::shape::Shape;
use super::super::tree::{Node, Value};
use super::check_range;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Decode for Whole<MIN, MAX> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let read = match node.value {
            Value::Integer(number) => match u64::try_from(number) {
                Ok(number) => check_range(number, MIN, MAX, |bound| bound.to_string()),
                Err(_) => Err(super::Fault::out_of_range("must not be negative")),
            },
            ref other => Err(wrong_type(&Self::shape(), other)),
        };
        read.map(Self).map_err(|fault| problems.report(fault.at(place))).ok()
    }

    fn shape() -> Shape {
        Shape::Integer { min: MIN, max: MAX }
    }
}
