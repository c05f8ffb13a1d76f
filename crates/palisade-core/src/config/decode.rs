//! From a node to a typed value, with every problem on the way.

use super::code::Code;
use super::place::Place;
use super::problem::{Problem, Problems, Spot};
use super::shape::{Presence, Shape};
use super::tree::{Node, Table, Value};

/// A value that can be read from a configuration.
pub trait Decode: Sized {
    /// Reads it, reporting everything that is wrong. `None` only after a report.
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self>;

    /// What it may look like.
    fn shape() -> Shape;
}

/// A value that is written as text of a certain form. Gives [`Decode`].
pub trait Text: Sized {
    /// Its units, if it is a number with a unit. A bare number is then told apart from a mistake
    /// of another kind.
    const UNITS: &'static [&'static str] = &[];

    /// Reads the text.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// What the text may look like.
    fn shape() -> Shape;
}

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of problem it is.
    pub code: Code,
    /// What is wrong, to be read after the key's name: `has no unit`.
    pub message: String,
    /// A few words for the spot itself: ``write `20/m` ``.
    pub label: Option<String>,
    /// Whether the text may be repeated.
    pub spot: Spot,
}

/// A value with its place, so that checks made later can still point at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it is from. A default has no span.
    pub place: Place,
}

/// What the field of a section may be: [`Setting`] with a default or required, or an optional one.
pub trait Field: Sized {
    /// Reads the field called `name`. `None` only after a report.
    fn decode(
        table: &Table,
        name: &str,
        default: Option<Value>,
        section: &Place,
        problems: &mut Problems,
    ) -> Option<Self>;

    /// What it may look like.
    fn shape() -> Shape;

    /// What happens without it.
    fn presence(default: Option<Value>) -> Presence;
}

/// A value, or the word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrOff<T> {
    /// The value.
    On(T),
    /// `"off"`
    Off,
}

/// A value, or `false`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrFalse<T> {
    /// The value.
    On(T),
    /// `false`
    False,
}

/// A short form as text, or a table that says more.
#[derive(Clone, Debug, PartialEq)]
pub enum TextOr<A, B> {
    /// The short form.
    Text(A),
    /// The table.
    Table(B),
}

/// A value, or a list of such values, which is not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMany<T>(pub Vec<Setting<T>>);

impl Fault {
    /// The text does not have the form.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidValue, message: message.into(), label: None, spot: Spot::Shown }
    }

    /// The number has no unit.
    pub fn no_unit(units: &[&str]) -> Self {
        let fault = Self { code: Code::MissingUnit, message: "has no unit".to_owned(), label: None, spot: Spot::Shown };
        fault.label(format!("units are {}", units.join(" ")))
    }

    /// The value is too small or too large.
    pub fn out_of_range(message: impl Into<String>) -> Self {
        Self { code: Code::OutOfRange, message: message.into(), label: None, spot: Spot::Shown }
    }

    /// The same with a few words for the spot itself.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same about a text that must not be repeated.
    pub fn masked(mut self) -> Self {
        self.spot = Spot::Masked;
        self
    }

    /// The problem that this is at a place.
    pub fn at(self, place: &Place) -> Problem {
        let problem = Problem::new(self.code, place, format!("`{}` {}", place.key, self.message));
        let problem = Problem { spot: self.spot, ..problem };
        match self.label {
            Some(label) => problem.label(label),
            None => problem,
        }
    }
}

impl<T> Setting<T> {
    /// The setting with its value made into something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), place: self.place }
    }

    /// Whether somebody wrote it, as opposed to a default.
    pub const fn is_written(&self) -> bool {
        self.place.span.is_some()
    }
}

impl<T: Text> Decode for T {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let fault = match &node.value {
            Value::Text(text) => match T::parse(text) {
                Ok(value) => return Some(value),
                Err(fault) => fault,
            },
            Value::Integer(_) if !T::UNITS.is_empty() => Fault::no_unit(T::UNITS),
            other => wrong_type(&<T as Text>::shape(), other),
        };
        problems.report(fault.at(place));
        None
    }

    fn shape() -> Shape {
        <T as Text>::shape()
    }
}

impl Decode for bool {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        if let Value::Boolean(value) = node.value {
            return Some(value);
        }
        problems.report(wrong_type(&Self::shape(), &node.value).at(place));
        None
    }

    fn shape() -> Shape {
        Shape::Boolean
    }
}

impl<T: Decode> Decode for Vec<Setting<T>> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let Value::List(items) = &node.value else {
            problems.report(wrong_type(&Self::shape(), &node.value).at(place));
            return None;
        };
        // Every item is looked at before the first failure counts.
        let settings: Vec<_> = items.iter().map(|item| decode_item(item, place, problems)).collect();
        settings.into_iter().collect()
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                problems.report(Fault::invalid("is an empty list").at(place));
                None
            }
            Value::List(_) => Vec::decode(node, place, problems).map(Self),
            _ => decode_item(node, place, problems).map(|one| Self(vec![one])),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![T::shape(), Shape::List(Box::new(T::shape()))])
    }
}

/// The fault of a text that nothing was similar to: the table may have been meant.
fn or_table(fault: Fault, table: &Shape) -> Fault {
    match table.as_section().and_then(|section| section.keys.first()) {
        Some(key) if fault.label.is_none() => fault.label(format!("or a table: {{ {} = … }}", key.name)),
        Some(_) | None => fault,
    }
}

impl<A: Text, B: Decode> Decode for TextOr<A, B> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Table(_) => B::decode(node, place, problems).map(Self::Table),
            Value::Text(text) => A::parse(text)
                .map_err(|fault| problems.report(or_table(fault, &B::shape()).at(place)))
                .map(Self::Text)
                .ok(),
            other => {
                problems.report(wrong_type(&<Self as Decode>::shape(), other).at(place));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![<A as Text>::shape(), B::shape()])
    }
}

impl<T: Decode> Decode for OrOff<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "off" => Some(Self::Off),
            _ => T::decode(node, place, problems).map(Self::On),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![T::shape(), Shape::Words(vec!["off"])])
    }
}

impl<T: Decode> Decode for OrFalse<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Boolean(false) => Some(Self::False),
            _ => T::decode(node, place, problems).map(Self::On),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![T::shape(), Shape::False])
    }
}

impl<T: Decode> Field for Setting<T> {
    fn decode(
        table: &Table,
        name: &str,
        default: Option<Value>,
        section: &Place,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(entry) = table.find(name) else {
            let place = section.child(name, None);
            let Some(default) = default else {
                let message = format!("{} needs the key `{name}`", section.table());
                problems.report(Problem::new(Code::MissingKey, &place.spanning(section.span), message));
                return None;
            };
            let value = T::decode(&Node::unplaced(default), &place, problems)?;
            return Some(Self { value, place });
        };
        let place = section.child(name, entry.node.span);
        let value = match T::decode(&entry.node, &place, problems) {
            Some(value) => value,
            // After a report the default stands in, so that the rest is still checked. What would
            // be wrong with the default is not what the author should hear about.
            None => T::decode(&Node::unplaced(default?), &place, &mut Problems::default())?,
        };
        Some(Self { value, place })
    }

    fn shape() -> Shape {
        T::shape()
    }

    fn presence(default: Option<Value>) -> Presence {
        default.map_or(Presence::Required, Presence::Default)
    }
}

impl<T: Decode> Field for Option<Setting<T>> {
    fn decode(
        table: &Table,
        name: &str,
        _default: Option<Value>,
        section: &Place,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(entry) = table.find(name) else { return Some(None) };
        let place = section.child(name, entry.node.span);
        let value = T::decode(&entry.node, &place, problems);
        Some(value.map(|value| Setting { value, place }))
    }

    fn shape() -> Shape {
        T::shape()
    }

    fn presence(_default: Option<Value>) -> Presence {
        Presence::Optional
    }
}

/// The fault of a value of another type than was expected.
pub(super) fn wrong_type(expected: &Shape, found: &Value) -> Fault {
    let message = format!("is {}; expected {}", found.kind(), expected.expected());
    Fault { code: Code::WrongType, message, label: None, spot: Spot::Shown }
}

fn decode_item<T: Decode>(item: &Node, place: &Place, problems: &mut Problems) -> Option<Setting<T>> {
    let place = place.spanning(item.span);
    let value = T::decode(item, &place, problems)?;
    Some(Setting { value, place })
}
