//! The texts that places point into.

use std::sync::Arc;

use super::place::Place;
use super::tree::{FileId, Span};

/// A text that settings came from.
#[derive(Clone, Debug)]
pub enum File {
    /// A configuration file.
    Toml {
        /// Its name as it is shown.
        name: Arc<str>,
        /// Its text, without a byte order mark.
        text: Arc<str>,
    },
    /// A single value from the command line or the environment.
    Override {
        /// The option or variable.
        name: Arc<str>,
        /// The value.
        text: Arc<str>,
    },
}

/// All texts, in the order they were merged: later ones win.
#[derive(Clone, Debug, Default)]
pub struct Files(Vec<File>);

/// A line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl File {
    /// The name as it is shown.
    pub const fn name(&self) -> &Arc<str> {
        match self {
            Self::Toml { name, .. } | Self::Override { name, .. } => name,
        }
    }

    /// The text.
    pub const fn text(&self) -> &Arc<str> {
        match self {
            Self::Toml { text, .. } | Self::Override { text, .. } => text,
        }
    }

    /// The line and column of a byte. Bytes inside a character count as its beginning.
    pub fn position(&self, offset: usize) -> Position {
        let text = self.text();
        let before = text.get(..text.floor_char_boundary(offset)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The line that a byte is in, without its end.
    pub fn line(&self, offset: usize) -> &str {
        let text = self.text();
        let offset = text.floor_char_boundary(offset);
        let (before, after) = text.split_at(offset);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(text.len(), |newline| offset + newline);
        text.get(start..end).unwrap_or_default().trim_end_matches('\r')
    }
}

impl Files {
    /// Adds a text that wins over those before.
    pub fn push(&mut self, file: File) -> FileId {
        let id = FileId(u16::try_from(self.0.len()).unwrap_or(u16::MAX));
        self.0.push(file);
        id
    }

    /// The text with this id.
    pub fn find(&self, id: FileId) -> Option<&File> {
        self.0.get(usize::from(id.0))
    }

    /// The characters of a stretch.
    pub fn excerpt(&self, span: Span) -> Option<&str> {
        self.find(span.file)?.text().get(span.start..span.end)
    }

    /// Where a setting came from: `palisade.toml:12`, `PALISADE_LISTEN`, or `default`.
    pub fn describe(&self, place: &Place) -> Arc<str> {
        let Some(span) = place.span else { return Arc::from("default") };
        match self.find(span.file) {
            Some(file @ File::Toml { name, .. }) => format!("{name}:{}", file.position(span.start).line).into(),
            Some(File::Override { name, .. }) => Arc::clone(name),
            None => Arc::from("default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_anywhere() {
        let file = File::Toml { name: "a".into(), text: "x = 1\r\näö = \"ü\"\n".into() };
        let check = |offset, line, column, text: &str| {
            assert_eq!(file.position(offset), Position { line, column }, "{offset}");
            assert_eq!(file.line(offset), text, "{offset}");
        };
        check(0, 1, 1, "x = 1");
        check(4, 1, 5, "x = 1");
        check(7, 2, 1, "äö = \"ü\"");
        check(8, 2, 1, "äö = \"ü\"");
        check(11, 2, 3, "äö = \"ü\"");
        check(usize::MAX, 3, 1, "");
    }
}
