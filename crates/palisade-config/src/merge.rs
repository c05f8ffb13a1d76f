//! Several trees into one: an overlay over a file, single values over both.

use std::collections::BTreeMap;

use palisade_core::config::{Entry, Node, Table, Value};

/// Lays `over` on `base`. Tables merge key by key; every other value replaces.
pub(crate) fn merge(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::Table(below), Value::Table(above)) => {
            // The first place where a table is written stands for it.
            Node { value: Value::Table(merge_tables(below, above)), span: base.span.or(over.span) }
        }
        (_, value) => Node { value, span: over.span },
    }
}

fn merge_tables(base: Table, over: Table) -> Table {
    let mut entries = base.into_entries();
    let places: BTreeMap<String, usize> =
        entries.iter().enumerate().map(|(index, entry)| (entry.name.clone(), index)).collect();
    for above in over.into_entries() {
        match places.get(&above.name).and_then(|index| entries.get_mut(*index)) {
            Some(below) => {
                let node = std::mem::replace(&mut below.node, Node::unplaced(Value::Boolean(false)));
                below.name_span = above.name_span;
                below.node = merge(node, above.node);
            }
            None => entries.push(above),
        }
    }
    Table::new(entries)
}

/// Puts one value at this path. If something other than a table is in the way, it stays: it is a
/// mistake that must be reported, not covered up.
pub(crate) fn put(root: Node, path: &[&str], value: Node) -> Node {
    let Some((first, rest)) = path.split_first() else { return value };
    let Value::Table(table) = root.value else { return root };
    let span = value.span;
    let mut entries = table.into_entries();
    match entries.iter_mut().find(|entry| entry.name == *first) {
        Some(entry) => {
            let below = std::mem::replace(&mut entry.node, Node::unplaced(Value::Boolean(false)));
            entry.node = put(below, rest, value);
        }
        None => {
            let empty = Node { value: Value::Table(Table::default()), span };
            let node = put(empty, rest, value);
            entries.push(Entry { name: (*first).to_owned(), name_span: span, node });
        }
    }
    Node { value: Value::Table(Table::new(entries)), span: root.span }
}
