//! `cost` and `reserve`: what a request costs.

use palisade_core::config::{Decode, Node, Place, Problems, Shape, Value, Whole};

use super::super::Reserve;

/// Units, or the tokens that a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawCost {
    /// So many for each request.
    Units(Whole<1, 1_000_000_000>),
    /// `"tokens"`
    Tokens,
}

/// What a request reserves of a budget of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawReserve(pub Reserve);

impl Decode for RawCost {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "tokens" => Some(Self::Tokens),
            _ => Whole::decode(node, place, problems).map(Self::Units),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![Whole::<1, 1_000_000_000>::shape(), Shape::Words(vec!["tokens"])])
    }
}

impl Decode for RawReserve {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "auto" => Some(Self(Reserve::Auto)),
            _ => Whole::<1, 1_000_000_000>::decode(node, place, problems)
                .map(|tokens| Self(Reserve::Fixed(u32::try_from(tokens.get()).unwrap_or(u32::MAX)))),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![Whole::<1, 1_000_000_000>::shape(), Shape::Words(vec!["auto"])])
    }
}
