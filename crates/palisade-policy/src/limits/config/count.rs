//! `count`: which answers a limit counts.

use palisade_core::config::{Decode, Fault, Node, Place, Problems, Setting, Shape, Value, Whole};

use super::super::Count;

/// A status that an answer may have.
type Status = Whole<100, 599>;

/// Statuses, alone or in a table that says more.
#[derive(Clone, Debug)]
pub struct RawCount(pub Count);

palisade_core::section! {
    /// Which answers count.
    pub struct RawFullCount {
        /// Those with one of these statuses.
        status: Setting<Vec<Setting<Status>>>,
        /// Also redirects whose `Location` contains this text, as those of sign-ins that failed.
        location_contains: Option<Setting<String>>,
    }
}

impl Decode for RawCount {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let full = match &node.value {
            Value::Table(_) => RawFullCount::decode(node, place, problems)?,
            _ => {
                let value = Vec::decode(node, place, problems)?;
                RawFullCount { status: Setting { value, place: place.clone() }, location_contains: None }
            }
        };
        let RawFullCount { status, location_contains } = full;
        let statuses: Vec<u16> =
            status.value.iter().filter_map(|status| u16::try_from(status.value.get()).ok()).collect();
        let location = location_contains.map(|text| text.value.into_boxed_str()).filter(|text| !text.is_empty());
        if statuses.is_empty() && location.is_none() {
            problems.report(Fault::invalid("names no answer that counts").at(place));
            return None;
        }
        Some(Self(Count { statuses, location }))
    }

    fn shape() -> Shape {
        Shape::Either(vec![Vec::<Setting<Status>>::shape(), RawFullCount::shape()])
    }
}
