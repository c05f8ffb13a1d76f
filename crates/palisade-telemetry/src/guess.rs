//! Labels for paths that no pattern names, so that a bare gateway already shows routes.
//!
//! The workers share what was admitted: three requests to three workers are three requests. The
//! lock is taken only for requests that no pattern names and whose shape this worker has not seen
//! admitted yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use palisade_core::path::EncodedSlash;
use palisade_core::shape::{Guesses, Shape};
use palisade_core::{Kind, Path, Record, RouteId};

use crate::metrics::registry::Slot;
use crate::settings::Guess;
use crate::telemetry::Shared;

/// The shapes that all workers know.
#[derive(Debug)]
pub(crate) struct Shapes {
    is_on: AtomicBool,
    guesses: Mutex<Guesses>,
    admitted: AtomicUsize,
}

/// What one worker knows of them. Never more than are admitted.
#[derive(Debug, Default)]
pub(crate) struct Guesser(HashMap<Shape, (Arc<str>, Slot)>);

impl Shapes {
    /// None yet.
    pub(crate) fn new(guess: Guess) -> Self {
        Self {
            is_on: AtomicBool::new(guess == Guess::Shapes),
            guesses: Mutex::default(),
            admitted: AtomicUsize::new(0),
        }
    }

    /// Whether to guess from now on. What was admitted stays known.
    pub(crate) fn set(&self, guess: Guess) {
        self.is_on.store(guess == Guess::Shapes, Ordering::Relaxed);
    }

    /// How many shapes are labels.
    pub(crate) fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }
}

impl Guesser {
    /// The label and slot of a record that needs a guess and whose shape is admitted.
    pub(crate) fn guess(&mut self, record: &Record, shared: &Shared) -> Option<(Arc<str>, Slot)> {
        if !shared.shapes.is_on.load(Ordering::Relaxed) || !is_vague(record) {
            return None;
        }
        let path = Path::parse(&record.path, EncodedSlash::Keep).ok()?;
        let shape = Shape::of(&path)?;
        if let Some(known) = self.0.get(&shape) {
            return Some(known.clone());
        }
        let mut guesses = shared.shapes.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = guesses.label(&shape, record.status, record.outcome)?;
        shared.shapes.admitted.store(guesses.admitted(), Ordering::Relaxed);
        drop(guesses);
        // No pattern begins like this, so a guess is never taken for one.
        let label: Arc<str> = format!("~{admitted}").into();
        let slot = shared.registry.slot(&label);
        self.0.insert(shape, (label.clone(), slot));
        Some((label, slot))
    }
}

/// Whether the record's route says little: no pattern, or one for everything below a path.
fn is_vague(record: &Record) -> bool {
    let is_ours = matches!(record.kind, Kind::Own | Kind::Health);
    !is_ours && (record.route == RouteId::UNMATCHED || record.route_label.ends_with("**"))
}
