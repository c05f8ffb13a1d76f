//! One block per table: struct, defaults, decoding, unknown keys, schema and reference text.

use super::decode::{Decode, wrong_type};
use super::place::{Place, join};
use super::problem::Problems;
use super::shape::SectionShape;
use super::suggest::{misspelled, unknown_key};
use super::tree::{Entry, Node, Table, Value};

/// What the `..` line of a section may be: it takes keys that the section does not name itself.
pub trait Further: Sized {
    /// Reads what it takes of `table`, which is none of the section's `own` keys. The rest is left
    /// to whoever looks for unknown keys. `None` only after a report.
    fn others(table: &Table, own: &[&'static str], section: &Place, problems: &mut Problems) -> Option<Self>;

    /// Adds what it takes to the shape of the section.
    fn extend(section: &mut SectionShape);
}

/// A section whose keys stand in another one's table, so that it can be declared elsewhere. It
/// has no `..` line itself.
#[derive(Clone, Debug)]
pub struct Part<T>(pub T);

impl<T: Decode> Further for Part<T> {
    fn others(table: &Table, own: &[&'static str], section: &Place, problems: &mut Problems) -> Option<Self> {
        let shape = T::shape();
        let keys = shape.as_section()?;
        let is_part = |entry: &&Entry| !own.contains(&entry.name.as_str()) && keys.find(&entry.name).is_some();
        let entries = table.iter().filter(is_part).cloned().collect();
        let node = Node { value: Value::Table(Table::new(entries)), span: section.span };
        T::decode(&node, section, problems).map(Self)
    }

    fn extend(section: &mut SectionShape) {
        if let Some(part) = T::shape().as_section() {
            section.keys.extend(part.keys.iter().cloned());
        }
    }
}

/// Declares a table of the configuration.
///
/// The doc comments are the reference text. A field is a `Setting<T>` with a default, written as
/// it would be in the file; a `Setting<T>` without one, then it is required; or an
/// `Option<Setting<T>>`. One line may be `..name: Named<K, T>,`, which takes all further keys that
/// hold tables, or `..name: Part<T>,`, which takes the keys of another section. See
/// [`config`](crate::config) for an example.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                $field:ident : $type:ty $(= $default:tt)?,
            )*
            $(
                .. $others:ident : $others_type:ty,
                $(
                    $(#[doc = $later_doc:literal])+
                    $later:ident : $later_type:ty $(= $later_default:tt)?,
                )*
            )?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        $visibility struct $name {
            $( $(#[doc = $field_doc])+ pub $field: $type, )*
            $(
                #[doc = "The further keys."]
                pub $others: $others_type,
                $( $(#[doc = $later_doc])+ pub $later: $later_type, )*
            )?
        }

        impl $crate::config::Decode for $name {
            fn decode(
                node: &$crate::config::Node,
                place: &$crate::config::Place,
                problems: &mut $crate::config::Problems,
            ) -> Option<Self> {
                const OWN: &[&str] = &[ $( stringify!($field), )* $( $( stringify!($later), )* )? ];
                let table = $crate::config::decode_table::<Self>(node, place, problems)?;
                $(
                    let $field = $crate::section!(@decode table, place, problems, $field: $type $(= $default)?);
                )*
                $(
                    let $others = <$others_type as $crate::config::Further>::others(table, OWN, place, problems);
                    $(
                        let $later = $crate::section!(
                            @decode table, place, problems, $later: $later_type $(= $later_default)?
                        );
                    )*
                )?
                $crate::config::refuse_unknown::<Self>(table, OWN, place, problems);
                Some(Self { $( $field: $field?, )* $( $others: $others?, $( $later: $later?, )* )? })
            }

            fn shape() -> $crate::config::Shape {
                #[allow(unused_mut, reason = "only a `..` line adds to it")]
                let mut section = $crate::config::SectionShape {
                    doc: concat!($($doc, "\n"),+),
                    keys: vec![ $(
                        $crate::section!(@key $field: $type $(= $default)?, $($field_doc)+),
                    )* ],
                    named: None,
                };
                $(
                    <$others_type as $crate::config::Further>::extend(&mut section);
                    section.keys.extend([ $(
                        $crate::section!(@key $later: $later_type $(= $later_default)?, $($later_doc)+),
                    )* ]);
                )?
                $crate::config::Shape::Section(section)
            }
        }
    };

    (@decode $table:ident, $place:ident, $problems:ident, $field:ident : $type:ty $(= $default:tt)?) => {
        <$type as $crate::config::Field>::decode(
            $table, stringify!($field), $crate::section!(@default $($default)?), $place, $problems,
        )
    };

    (@key $field:ident : $type:ty $(= $default:tt)?, $($doc:literal)+) => {
        $crate::config::KeyShape {
            name: stringify!($field),
            doc: concat!($($doc, "\n"),+),
            presence: <$type as $crate::config::Field>::presence($crate::section!(@default $($default)?)),
            shape: <$type as $crate::config::Field>::shape(),
        }
    };

    (@default) => { None };
    (@default $value:tt) => { Some($crate::section!(@value $value)) };

    (@value [ $($item:tt),* $(,)? ]) => {
        $crate::config::Value::List(vec![
            $( $crate::config::Node::unplaced($crate::section!(@value $item)), )*
        ])
    };
    (@value { $($key:tt = $item:tt),* $(,)? }) => {
        $crate::config::Value::Table($crate::config::Table::new(vec![
            $( $crate::config::Entry {
                name: stringify!($key).trim_matches('"').to_owned(),
                name_span: None,
                node: $crate::config::Node::unplaced($crate::section!(@value $item)),
            }, )*
        ]))
    };
    (@value $value:literal) => { $crate::config::Value::from($value) };
}

/// The table that a section's node must be.
pub fn decode_table<'a, T: super::Decode>(node: &'a Node, place: &Place, problems: &mut Problems) -> Option<&'a Table> {
    if let Value::Table(table) = &node.value {
        return Some(table);
    }
    problems.report(wrong_type(&T::shape(), &node.value).at(place));
    None
}

/// Reports every key that the section does not have.
pub fn refuse_unknown<T: Decode>(table: &Table, own: &[&'static str], place: &Place, problems: &mut Problems) {
    let mut others = table.iter().filter(|entry| !own.contains(&entry.name.as_str())).peekable();
    // Mostly there is none, and the shape is worth nothing then.
    if others.peek().is_none() {
        return;
    }
    let shape = T::shape();
    let Some(section) = shape.as_section() else { return };
    let known: Vec<_> = section.keys.iter().map(|key| key.name).collect();
    for entry in others {
        let is_named_table = section.named.is_some() && entry.node.as_table().is_some();
        if is_named_table || known.contains(&entry.name.as_str()) {
            continue;
        }
        if problems.is_full() {
            return;
        }
        if let Some(meant) = misspelled(&entry.name, &known) {
            problems.forget_missing(&join(&place.key, meant));
        }
        problems.report(unknown_key(entry, place, &known));
    }
}
