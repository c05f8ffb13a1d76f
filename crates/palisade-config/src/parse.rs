//! TOML text to a located tree.
//!
//! The parser bounds each key and each nesting to 80 parts, which still multiply; the tree keeps
//! [`DEPTH_MAX`] levels, far more than any table of the configuration has.

use palisade_core::config::{Code, Entry, FileId, Node, Place, Problem, Problems, Span, Table, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// How deep tables and lists may be nested.
pub(crate) const DEPTH_MAX: usize = 16;

/// Beyond this, only the first syntax error of a text is looked for: what recovers from errors
/// keeps one for nearly every byte of garbage.
const RECOVERABLE_BYTES_MAX: usize = 64 << 10;

/// After so many syntax errors the rest are echoes.
const SYNTAX_PROBLEMS_MAX: usize = 10;

/// How many bytes of a text may be ones that TOML is punctuated with. The parser keeps a few dozen
/// bytes for each, so this, and not the length alone, bounds its memory.
const PUNCTUATION_MAX: usize = 200_000;

/// The tree of a text; `None` if it is not TOML, after reports.
pub(crate) fn parse(text: &str, file: FileId, problems: &mut Problems) -> Option<Node> {
    if text.bytes().filter(|byte| b"\n,.=[]{}\"'".contains(byte)).count() > PUNCTUATION_MAX {
        let place = Place::top().spanning(Some(Span { file, start: 0, end: 0 }));
        problems.report(Problem::new(Code::Syntax, &place, "the file holds more values than a configuration can have"));
        return None;
    }
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(first) => {
            let (_, errors) = if text.len() <= RECOVERABLE_BYTES_MAX {
                DeTable::parse_recoverable(text)
            } else {
                (Spanned::new(0..0, DeTable::new()), vec![first])
            };
            for error in errors.iter().take(SYNTAX_PROBLEMS_MAX) {
                problems.report(syntax_problem(error, file));
            }
            return None;
        }
    };
    let mut convert = Convert { file, too_deep: None };
    let value = convert.table(table, 0);
    if let Some(span) = convert.too_deep {
        let place = Place::top().spanning(Some(span));
        let message = format!("tables and lists are nested more than {DEPTH_MAX} deep");
        problems.report(Problem::new(Code::Syntax, &place, message));
        return None;
    }
    Some(Node { value, span: Some(Span { file, start: 0, end: 0 }) })
}

struct Convert {
    file: FileId,
    too_deep: Option<Span>,
}

impl Convert {
    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = Some(self.span(value.span()));
        let value = match value.into_inner() {
            nested @ (DeValue::Array(_) | DeValue::Table(_)) if depth > DEPTH_MAX => {
                self.too_deep = self.too_deep.or(span);
                dismantle(nested);
                Value::Unusable("nested too deep")
            }
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Unusable("a number out of range"), Value::Integer),
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect()),
            DeValue::Table(table) => self.table(table, depth),
            DeValue::Float(_) => Value::Unusable("a decimal number"),
            DeValue::Datetime(_) => Value::Unusable("a date or time"),
        };
        Node { value, span }
    }

    /// Entries in the order of the text; the parser gives them in the order of the alphabet.
    fn table(&mut self, table: DeTable<'_>, depth: usize) -> Value {
        let mut entries: Vec<Entry> = Vec::with_capacity(table.len());
        for (name, value) in table {
            let name_span = Some(self.span(name.span()));
            let node = self.node(value, depth + 1);
            entries.push(Entry { name: name.into_inner().into_owned(), name_span, node });
        }
        entries.sort_by_key(|entry| entry.name_span);
        Value::Table(Table::new(entries))
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span { file: self.file, start: range.start, end: range.end }
    }
}

/// Drops a value without one stack frame per level.
fn dismantle(value: DeValue<'_>) {
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            DeValue::Array(items) => rest.extend(items.into_iter().map(Spanned::into_inner)),
            DeValue::Table(table) => rest.extend(table.into_iter().map(|(_, value)| value.into_inner())),
            _ => {}
        }
    }
}

fn syntax_problem(error: &Error, file: FileId) -> Problem {
    let span = error.span().map(|range| Span { file, start: range.start, end: range.end });
    let place = Place::top().spanning(span.or(Some(Span { file, start: 0, end: 0 })));
    let mut parts = error.message().splitn(2, ", expected ");
    let problem = Problem::new(Code::Syntax, &place, parts.next().unwrap_or("not TOML"));
    match parts.next() {
        Some(expected) => problem.label(format!("expected {expected}")),
        None => problem.label("here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Problems::default();
        let tree = parse(text, FileId(0), &mut problems);
        assert_eq!(tree.is_none(), problems.has_errors());
        let show = |problem: &Problem| format!("{} {:?}", problem.message, problem.place.span.map(|span| span.start));
        problems.iter().map(show).collect()
    }

    #[test]
    fn nesting_is_bounded_however_it_is_written() {
        let dotted = |parts: usize| format!("{}a = 1", "a.".repeat(parts - 1));
        assert_eq!(problems(&dotted(DEPTH_MAX)), Vec::<String>::new());
        assert_eq!(problems(&dotted(DEPTH_MAX + 2)).len(), 1);
        assert_eq!(problems(&format!("a = {}{}", "[".repeat(60), "]".repeat(60))).len(), 1);
        // Far deeper than a stack could follow.
        let level = format!("{{ {}a = ", "a.".repeat(75));
        assert_eq!(problems(&format!("a = {}1{}", level.repeat(75), "}".repeat(75))).len(), 1);
        assert!(!problems(&format!("[{}a]", "a.".repeat(10_000))).is_empty());
        assert!(!problems(&"[".repeat(500_000)).is_empty());
    }

    #[test]
    fn several_syntax_errors_are_several_problems() {
        let found = problems("[app]\nlisten = \nb = 1\nb = 2\nname = \"x\n");
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(problems("a b\n").len(), problems("a b\r\n").len());
    }

    #[test]
    fn entries_keep_their_order() {
        let tree = parse("z = 1\na = 2\n[m]\nb.c = 1", FileId(0), &mut Problems::default());
        let names: Vec<_> = tree.iter().flat_map(Node::as_table).flatten().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["z", "a", "m"]);
    }
}
