//! Problems for people, and for programs.

use std::fmt::Write as _;

use palisade_core::config::{File, Files, Problem, Problems, Severity, Span, Spot, typed};
use serde_json::{Value, json};

use crate::guess::nearest_key;
use crate::reference::key_doc;

/// What was found while a configuration was read, with the texts it is about.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The texts.
    pub files: Files,
    /// The problems, in the order of the text.
    pub problems: Problems,
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A person.
    Human(Color),
    /// A program: one JSON document.
    Json,
}

/// Whether escape sequences may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// No.
    Plain,
    /// Yes: it is a terminal, and nobody set `NO_COLOR`.
    Ansi,
}

/// A line of the file is shown up to so many characters.
const EXCERPT_CHARS_MAX: usize = 160;

impl Report {
    /// The report as text, with a newline at its end.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Human(color) => self.human(color),
            Format::Json => format!("{}\n", self.json()),
        }
    }

    /// The last line for people: `2 problems, 0 warnings.`
    pub fn summary(&self) -> String {
        let errors = self.problems.count(Severity::Error);
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let mut text = count(errors, "problem") + ", " + &count(self.problems.count(Severity::Warning), "warning");
        let notices = self.problems.count(Severity::Notice);
        if notices > 0 {
            text = text + ", " + &count(notices, "notice");
        }
        text + "."
    }

    fn human(&self, color: Color) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            self.human_problem(&mut text, problem, color);
        }
        text + &self.summary() + "\n"
    }

    fn human_problem(&self, text: &mut String, problem: &Problem, color: Color) {
        let severity = problem.code.severity();
        let (on, off) = match (color, severity) {
            (Color::Plain, _) => ("", ""),
            (Color::Ansi, Severity::Error) => ("\x1b[1;31m", "\x1b[0m"),
            (Color::Ansi, Severity::Warning) => ("\x1b[1;33m", "\x1b[0m"),
            (Color::Ansi, Severity::Notice) => ("\x1b[1;36m", "\x1b[0m"),
        };
        // Writing to a string can't fail.
        let _ = writeln!(text, "{on}{}[{}]{off}: {}", severity.name(), problem.code.code(), problem.message);
        match (problem.place.span.and_then(|span| Some((self.files.find(span.file)?, span))), &problem.label) {
            (Some((file @ File::Toml { .. }, span)), label) => {
                self.excerpt(text, file, span, label.as_deref().unwrap_or_default(), (on, off));
            }
            (Some((file, span)), label) => {
                let key =
                    if problem.place.key.is_empty() { String::new() } else { format!(" ({})", problem.place.key) };
                let _ = writeln!(text, "  {}{key}", location(file, span));
                write_label(text, label.as_deref());
            }
            (None, label) => {
                if !problem.place.key.is_empty() {
                    let _ = writeln!(text, "  {}", problem.place.key);
                }
                write_label(text, label.as_deref());
            }
        }
        let _ = writeln!(text, "  help: {}", help(problem));
    }

    /// The line that a problem is in, with carets below the spot.
    fn excerpt(&self, text: &mut String, file: &File, span: Span, label: &str, (on, off): (&str, &str)) {
        let begin = file.position(span.start);
        let end = file.position(span.end);
        let line = self.line(file, span);
        let line_chars = line.chars().count();
        let marked = if end.line == begin.line { end.column.saturating_sub(begin.column) } else { line_chars };
        // The window slides so that a spot far to the right is still seen.
        let skipped = if begin.column > EXCERPT_CHARS_MAX / 2 { begin.column - EXCERPT_CHARS_MAX / 4 } else { 0 };
        let shown: String = line.chars().skip(skipped).take(EXCERPT_CHARS_MAX).map(printable).collect();
        let before = begin.column.saturating_sub(1).saturating_sub(skipped);
        let carets = marked.clamp(1, shown.chars().count().saturating_sub(before).max(1));
        let number = begin.line.to_string();
        let gutter = " ".repeat(number.len());
        let label = if label.is_empty() { String::new() } else { format!(" {label}") };
        let _ = writeln!(text, "  {}", location(file, span));
        let _ = writeln!(text, "   {number} | {shown}");
        let _ = writeln!(text, "   {gutter} | {}{on}{}{off}{label}", " ".repeat(before), "^".repeat(carets));
    }

    /// The line of a spot, with stars for everything in it that must not be repeated, whichever
    /// problem says so.
    fn line(&self, file: &File, span: Span) -> String {
        let line = file.position(span.start).line;
        let mut chars: Vec<char> = file.line(span.start).chars().collect();
        let masked = self.problems.iter().filter(|problem| problem.spot == Spot::Masked);
        for secret in masked.filter_map(|problem| problem.place.span).filter(|secret| secret.file == span.file) {
            let (begin, end) = (file.position(secret.start), file.position(secret.end));
            if begin.line > line || end.line < line {
                continue;
            }
            let from = if begin.line == line { begin.column.saturating_sub(1) } else { 0 };
            let to = if end.line == line { end.column.saturating_sub(1) } else { chars.len() };
            chars.iter_mut().take(to).skip(from).for_each(|char| *char = '*');
        }
        chars.into_iter().collect()
    }

    fn json(&self) -> Value {
        let problems: Vec<Value> = self.problems.iter().map(|problem| self.json_problem(problem)).collect();
        json!({ "schema_version": 1, "problems": problems })
    }

    fn json_problem(&self, problem: &Problem) -> Value {
        let place = problem.place.span.and_then(|span| Some((self.files.find(span.file)?, span)));
        let begin = place.map(|(file, span)| file.position(span.start));
        let end = place.map(|(file, span)| file.position(span.end));
        let help = match &problem.label {
            Some(label) => format!("{label}; {}", help(problem)),
            None => help(problem),
        };
        json!({
            "code": problem.code.code(),
            "severity": problem.code.severity().name(),
            "file": place.map(|(file, _)| file.name().as_ref()),
            "line": begin.map(|position| position.line),
            "column": begin.map(|position| position.column),
            "end_line": end.map(|position| position.line),
            "end_column": end.map(|position| position.column),
            "key": if problem.place.key.is_empty() { None } else { Some(problem.place.key.as_ref()) },
            "message": problem.message,
            "help": help,
        })
    }
}

/// What to do, or else where it is told what the key means.
fn help(problem: &Problem) -> String {
    problem.help.clone().unwrap_or_else(|| {
        let key = &*problem.place.key;
        // A key may be one of another table: `upstream` above `[app]`.
        let key = key_doc(key).map(|doc| doc.key).or_else(|| nearest_key(key));
        match key {
            Some(key) => format!("palisade explain {}", typed(&key)),
            None => format!("palisade explain {}", problem.code.code()),
        }
    })
}

fn location(file: &File, span: Span) -> String {
    match file {
        File::Toml { name, .. } => {
            let position = file.position(span.start);
            format!("{name}:{}:{}", position.line, position.column)
        }
        File::Override { name, .. } => name.to_string(),
    }
}

fn write_label(text: &mut String, label: Option<&str>) {
    if let Some(label) = label {
        let _ = writeln!(text, "  {label}");
    }
}

/// A file must not send escape sequences to the terminal of whoever reads its problems.
fn printable(char: char) -> char {
    match char {
        '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    }
}
