//! Problems for people, and for programs.

use std::fmt::Write as _;

use palisade_core::config::{File, Files, Problem, Problems, Severity, Span};
use serde_json::{Value, json};

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

    /// The last line for people: `2 problems, 0 warnings. Nothing was changed.`
    pub fn summary(&self) -> String {
        let errors = self.problems.count(Severity::Error);
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let mut text = count(errors, "problem") + ", " + &count(self.problems.count(Severity::Warning), "warning");
        let notices = self.problems.count(Severity::Notice);
        if notices > 0 {
            text = text + ", " + &count(notices, "notice");
        }
        text + if errors > 0 { ". Nothing was changed." } else { "." }
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
            (Some((file @ File::Toml { .. }, span)), Some(label)) => excerpt(text, file, span, label, (on, off)),
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
        if let Some(help) = &problem.help {
            let _ = writeln!(text, "  help: {help}");
        }
    }

    fn json(&self) -> Value {
        let problems: Vec<Value> = self.problems.iter().map(|problem| self.json_problem(problem)).collect();
        json!({ "schema_version": 1, "problems": problems })
    }

    fn json_problem(&self, problem: &Problem) -> Value {
        let place = problem.place.span.and_then(|span| Some((self.files.find(span.file)?, span)));
        let begin = place.map(|(file, span)| file.position(span.start));
        let end = place.map(|(file, span)| file.position(span.end));
        let help = match (&problem.label, &problem.help) {
            (Some(label), Some(help)) => Some(format!("{label}; {help}")),
            (label, help) => label.clone().or_else(|| help.clone()),
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

/// The line that a problem is in, with carets below the spot.
fn excerpt(text: &mut String, file: &File, span: Span, label: &str, (on, off): (&str, &str)) {
    let begin = file.position(span.start);
    let end = file.position(span.end);
    let line = file.line(span.start);
    let line_chars = line.chars().count();
    let marked = if end.line == begin.line { end.column.saturating_sub(begin.column) } else { line_chars };
    // The window slides so that a spot far to the right is still seen.
    let skipped = if begin.column > EXCERPT_CHARS_MAX / 2 { begin.column - EXCERPT_CHARS_MAX / 4 } else { 0 };
    let shown: String = line.chars().skip(skipped).take(EXCERPT_CHARS_MAX).map(printable).collect();
    let before = begin.column.saturating_sub(1).saturating_sub(skipped);
    let carets = marked.clamp(1, shown.chars().count().saturating_sub(before).max(1));
    let number = begin.line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(text, "  {}", location(file, span));
    let _ = writeln!(text, "   {number} | {shown}");
    let _ = writeln!(text, "   {gutter} | {}{on}{}{off} {label}", " ".repeat(before), "^".repeat(carets));
}

/// A file must not send escape sequences to the terminal of whoever reads its problems.
fn printable(char: char) -> char {
    match char {
        '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    }
}
