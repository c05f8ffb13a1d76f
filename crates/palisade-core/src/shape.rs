//! Guessed routes: labels for paths that no pattern names.
//!
//! A bare gateway knows no routes, yet its operator wants to see them. So a path's *shape* becomes
//! its label: what looks like a name stays, what looks like an id is left out. A client can invent
//! shapes at will, so one is admitted only after the application answered three requests to it,
//! and only so many are. A guess is a label: no policy ever sees it.

use std::collections::HashMap;
use std::sync::Arc;

use arrayvec::ArrayString;
use http::StatusCode;

use crate::{Outcome, Path};

/// How many shapes become labels.
pub const SHAPES_MAX: usize = 200;
/// How many shapes are counted that may become labels.
const CANDIDATES_MAX: usize = 1_000;
/// How many requests show that a shape is real.
const REQUESTS_MIN: u8 = 3;

const SEGMENTS_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 32;
/// Eight names with their slashes, and `/**`.
const SHAPE_BYTES_MAX: usize = SEGMENTS_MAX * (NAME_BYTES_MAX + 1) + 3;

/// The shape of a path: `/api/users/{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape(ArrayString<SHAPE_BYTES_MAX>);

/// The shapes that have become labels, and those that may.
#[derive(Debug, Default)]
pub struct Guesses {
    admitted: HashMap<Shape, Arc<str>>,
    candidates: HashMap<Shape, u8>,
}

impl Shape {
    /// The shape of `path`: a segment of at most 32 letters, `-` and `_` stays, any other becomes
    /// `{}`; what follows the eighth becomes `**`. `None` for `*` and for no path.
    pub fn of(path: &Path<'_>) -> Option<Self> {
        let mut shape = ArrayString::new();
        for (at, segment) in path.segments()?.split('/').enumerate() {
            let is_cut = at == SEGMENTS_MAX;
            let name = match segment {
                _ if is_cut => "**",
                name if is_name(name) => name,
                _ => "{}",
            };
            // Both fit: the capacity is that of the longest shape.
            shape.try_push('/').ok()?;
            shape.try_push_str(name).ok()?;
            if is_cut {
                break;
            }
        }
        Some(Self(shape))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Guesses {
    /// The label of a finished request to `shape`, once the shape is admitted. A status of 404 or
    /// 405, none, or a refusal says nothing about whether the shape is real.
    pub fn label(&mut self, shape: &Shape, status: Option<StatusCode>, outcome: Outcome) -> Option<Arc<str>> {
        if let Some(label) = self.admitted.get(shape) {
            return Some(label.clone());
        }
        let is_answer = status.is_some_and(|status| {
            status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED && outcome != Outcome::Refused
        });
        if !is_answer || self.admitted.len() >= SHAPES_MAX {
            return None;
        }
        if self.candidates.len() >= CANDIDATES_MAX && !self.candidates.contains_key(shape) {
            // A flood of invented shapes. Real ones are asked for again and soon back.
            self.candidates.clear();
        }
        let requests = self.candidates.entry(*shape).or_default();
        *requests += 1;
        if *requests < REQUESTS_MIN {
            return None;
        }
        self.candidates.remove(shape);
        let label: Arc<str> = shape.as_str().into();
        self.admitted.insert(*shape, label.clone());
        Some(label)
    }

    /// How many shapes have become labels.
    pub fn admitted(&self) -> usize {
        self.admitted.len()
    }
}

/// The empty name after a trailing slash included: the slash is part of the shape.
fn is_name(segment: &str) -> bool {
    segment.len() <= NAME_BYTES_MAX && segment.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::EncodedSlash;

    fn shape(path: &str) -> Shape {
        Shape::of(&Path::parse(path, EncodedSlash::Keep).unwrap()).unwrap()
    }

    #[test]
    fn names_stay_and_ids_go() {
        let cases = [
            ("/", "/"),
            ("/api/users/42", "/api/users/{}"),
            ("/api/users/42/posts", "/api/users/{}/posts"),
            ("/sign-in/new_user/", "/sign-in/new_user/"),
            ("/v1/chat", "/{}/chat"),
            ("/robots.txt", "/{}"),
            ("/caf%C3%A9", "/{}"),
            ("/a%2Fb", "/{}"),
            ("/a;v=1", "/{}"),
            ("/{id}", "/{}"),
            ("/abcdefghijklmnopqrstuvwxyzabcdef", "/abcdefghijklmnopqrstuvwxyzabcdef"),
            ("/abcdefghijklmnopqrstuvwxyzabcdefg", "/{}"),
            ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/g/h"),
            ("/a/b/c/d/e/f/g/8", "/a/b/c/d/e/f/g/{}"),
            ("/a/b/c/d/e/f/g/h/i", "/a/b/c/d/e/f/g/h/**"),
            ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/**"),
        ];
        for (path, expected) in cases {
            assert_eq!(shape(path).as_str(), expected, "{path}");
        }
        assert_eq!(Shape::of(&Path::asterisk()), None);
        let name = "x".repeat(NAME_BYTES_MAX);
        let longest = format!("/{name}").repeat(SEGMENTS_MAX);
        assert_eq!(shape(&format!("{longest}/{name}")).as_str(), format!("{longest}/**"));
    }

    #[test]
    fn a_shape_is_admitted_at_its_third_answer() {
        let mut guesses = Guesses::default();
        let users = shape("/users/1");
        let mut ask = |status: u16, outcome| {
            let status = (status > 0).then(|| StatusCode::from_u16(status).unwrap());
            guesses.label(&users, status, outcome).as_deref().map(str::to_owned)
        };
        let nothing_learned =
            [(404, Outcome::Ok), (405, Outcome::Ok), (403, Outcome::Refused), (0, Outcome::ClientLeft)];
        for (status, outcome) in nothing_learned.repeat(3) {
            assert_eq!(ask(status, outcome), None);
        }
        assert_eq!(ask(200, Outcome::Ok), None);
        assert_eq!(ask(500, Outcome::AppError), None);
        assert_eq!(ask(403, Outcome::Ok).as_deref(), Some("/users/{}"));
        assert_eq!(ask(404, Outcome::Ok).as_deref(), Some("/users/{}"));
    }

    /// The number in letters, so that it makes a shape of its own.
    fn name(mut number: usize) -> String {
        let mut name = String::from("/n");
        while number > 0 {
            name.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        name
    }

    #[test]
    fn invented_shapes_stay_bounded() {
        let mut guesses = Guesses::default();
        for at in 0..100_000 {
            guesses.label(&shape(&name(at)), Some(StatusCode::OK), Outcome::Ok);
            assert!(guesses.candidates.len() <= CANDIDATES_MAX);
        }
        assert!(guesses.admitted.is_empty());
        for at in 0..1_000 {
            for _ in 0..3 {
                guesses.label(&shape(&name(at)), Some(StatusCode::OK), Outcome::Ok);
            }
        }
        assert_eq!(guesses.admitted.len(), SHAPES_MAX);
        assert_eq!(guesses.label(&shape("/late"), Some(StatusCode::OK), Outcome::Ok), None);
    }
}
