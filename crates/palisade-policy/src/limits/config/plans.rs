//! One value, or a table with one for each plan.

use super::super::ByPlan;
use super::super::plan::Strict;
use palisade_core::config::{Decode, Fault, Map, Name, Node, Place, Problems, Setting, Shape, Value};

/// A value for everybody, or for each plan; each may be `"unlimited"`.
#[derive(Clone, Debug, PartialEq)]
pub enum RawByPlan<T> {
    /// For everybody.
    One(OrUnlimited<T>),
    /// By plan.
    Plans(Vec<(Setting<Name>, Setting<OrUnlimited<T>>)>),
}

/// With so many, everything that all limits may hold has a number of 16 bits.
const PLANS_MAX: usize = 64;

/// A value, or the word `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrUnlimited<T>(pub Option<T>);

impl<T: Decode> Decode for OrUnlimited<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "unlimited" => Some(Self(None)),
            _ => T::decode(node, place, problems).map(|value| Self(Some(value))),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![T::shape(), Shape::Words(vec!["unlimited"])])
    }
}

impl<T: Decode> Decode for RawByPlan<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let Value::Table(_) = &node.value else {
            return OrUnlimited::decode(node, place, problems).map(Self::One);
        };
        let plans = Map::<Name, OrUnlimited<T>>::decode(node, place, problems)?;
        if plans.is_empty() {
            problems.report(Fault::invalid("names no plan").at(place));
            return None;
        }
        if plans.iter().count() > PLANS_MAX {
            problems.report(Fault::out_of_range(format!("names more than {PLANS_MAX} plans")).at(place));
            return None;
        }
        Some(Self::Plans(plans.into_iter().collect()))
    }

    fn shape() -> Shape {
        let plans = Shape::Map { key: "plan".to_owned(), value: Box::new(OrUnlimited::<T>::shape()) };
        Shape::Either(vec![OrUnlimited::<T>::shape(), plans])
    }
}

impl<T: Copy> RawByPlan<T> {
    /// The values by plan.
    pub(super) fn compile<U: Clone + Strict>(&self, make: impl Fn(T) -> U) -> ByPlan<U> {
        match self {
            Self::One(value) => ByPlan::everybody(value.0.map(make)),
            Self::Plans(plans) => {
                let entry = |(plan, value): &(Setting<Name>, Setting<OrUnlimited<T>>)| {
                    (plan.value.as_str().into(), value.value.0.map(&make))
                };
                ByPlan::plans(plans.iter().map(entry).collect())
            }
        }
    }
}

impl<T> RawByPlan<T> {
    /// The plans that are named; none if it is for everybody.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Plans(plans) => plans.iter().map(|(plan, _)| plan.value.as_str()).collect(),
        }
    }
}
