//! One block per table: struct, defaults, decoding, unknown keys, schema and reference text.

use super::decode::wrong_type;
use super::place::Place;
use super::problem::Problems;
use super::suggest::unknown_key;
use super::tree::{Node, Table, Value};

/// What a key may be that the section does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// A mistake.
    Refused,
    /// The name of a further table.
    Tables,
}

/// Declares a table of the configuration.
///
/// The doc comments are the reference text. A field is a `Setting<T>` with a default, written as
/// it would be in the file; a `Setting<T>` without one, then it is required; or an
/// `Option<Setting<T>>`. A last line `..name: Named<K, T>,` takes all further keys that hold
/// tables. See [`config`](crate::config) for an example.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                $field:ident : $type:ty $(= $default:tt)?,
            )*
            $( .. $others:ident : $others_type:ty, )?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        $visibility struct $name {
            $( $(#[doc = $field_doc])+ pub $field: $type, )*
            $( #[doc = "The further tables, by name."] pub $others: $others_type, )?
        }

        impl $crate::config::Decode for $name {
            fn decode(
                node: &$crate::config::Node,
                place: &$crate::config::Place,
                problems: &mut $crate::config::Problems,
            ) -> Option<Self> {
                const OWN: &[&str] = &[ $( stringify!($field), )* ];
                let table = $crate::config::decode_table::<Self>(node, place, problems)?;
                $(
                    let default = $crate::section!(@default $($default)?);
                    let $field = <$type as $crate::config::Field>::decode(
                        table, stringify!($field), default, place, problems,
                    );
                )*
                $( let $others = <$others_type>::others(table, OWN, place, problems); )?
                let others = $crate::section!(@others $($others)?);
                $crate::config::refuse_unknown(table, OWN, others, place, problems);
                Some(Self { $( $field: $field?, )* $( $others, )? })
            }

            fn shape() -> $crate::config::Shape {
                $crate::config::Shape::Section($crate::config::SectionShape {
                    doc: concat!($($doc, "\n"),+),
                    keys: vec![ $(
                        $crate::config::KeyShape {
                            name: stringify!($field),
                            doc: concat!($($field_doc, "\n"),+),
                            presence: <$type as $crate::config::Field>::presence(
                                $crate::section!(@default $($default)?),
                            ),
                            shape: <$type as $crate::config::Field>::shape(),
                        },
                    )* ],
                    named: $crate::section!(@named $($others_type)?),
                })
            }
        }
    };

    (@others) => { $crate::config::Others::Refused };
    (@others $others:ident) => { $crate::config::Others::Tables };

    (@named) => { None };
    (@named $type:ty) => { Some(Box::new(<$type>::shape())) };

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
pub fn refuse_unknown(table: &Table, own: &[&'static str], others: Others, place: &Place, problems: &mut Problems) {
    for entry in table {
        let is_named_table = others == Others::Tables && entry.node.as_table().is_some();
        if is_named_table || own.contains(&entry.name.as_str()) {
            continue;
        }
        if problems.is_full() {
            return;
        }
        problems.report(unknown_key(entry, place, own));
    }
}
