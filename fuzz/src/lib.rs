//! Fuzzing: laws of everything that reads bytes from strangers.
//!
//! A target is one file in `fuzz_targets/` with a *law*, a function from bytes that panics when
//! something which must always be true is not, and its entry in `Cargo.toml`. It is used thrice:
//! - `cargo test` runs it over its corpus and 10,000 variations of that;
//! - `cargo fuzz run <target>` searches on;
//! - `cargo run --bin <target> -- <file>…` replays what was found. Files worth keeping go to
//!   `corpus/<target>/`.

pub mod agree;
pub mod engine;
pub mod strict;

use std::ffi::OsString;
use std::path::Path;
use std::{fmt, fs, io};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// How many variations of the corpus a test tries.
const CASES: u32 = 10_000;

/// Makes a target of a law.
#[macro_export]
macro_rules! target {
    ($law:path) => {
        #[cfg(fuzzing)]
        ::libfuzzer_sys::fuzz_target!(|input: &[u8]| $law(input));

        #[cfg(not(fuzzing))]
        fn main() -> ::std::io::Result<()> {
            $crate::replay(::std::env::args_os().skip(1), $law)
        }

        #[cfg(all(test, not(fuzzing)))]
        #[test]
        fn the_law_holds() {
            $crate::hold(module_path!(), $law);
        }
    };
}

/// Runs a law over files.
///
/// # Errors
///
/// If one can't be read.
pub fn replay(files: impl IntoIterator<Item = OsString>, law: fn(&[u8])) -> io::Result<()> {
    files.into_iter().try_for_each(|file| {
        law(&fs::read(file)?);
        Ok(())
    })
}

/// Runs a law over the corpus of `target` and variations of it.
///
/// # Panics
///
/// If the law does not hold, or there is no corpus.
pub fn hold(target: &str, law: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).expect("corpus").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("file")).collect();
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    for (file, input) in files.iter().zip(&corpus) {
        println!("{}", file.display());
        law(input);
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&variations(corpus), |input| {
        law(&input.0);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// An input that is shown as text when it breaks the law.
#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// One change to an input.
#[derive(Clone, Debug)]
enum Change {
    /// This byte stands there instead, or at the end.
    Put(Index, u8),
    /// As many bytes are taken out.
    Cut(Index, usize),
    /// These are put in.
    Insert(Index, Vec<u8>),
}

/// Inputs of the corpus with a few changes each. What is put in is often a piece of another one,
/// since what breaks a parser is made of its own syntax.
fn variations(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let input = select(corpus);
    let piece = (input.clone(), any::<Index>(), 1..12_usize).prop_map(|(input, start, length)| {
        let start = start.index(input.len() + 1);
        input.into_iter().skip(start).take(length).collect()
    });
    let change = prop_oneof![
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        2 => (any::<Index>(), 32..127_u8).prop_map(|(at, byte)| Change::Put(at, byte)),
        2 => (any::<Index>(), 1..6_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        6 => (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
    ];
    (input, prop::collection::vec(change, 0..6)).prop_map(|(mut input, changes)| {
        for change in changes {
            apply(&mut input, change);
        }
        Input(input)
    })
}

fn apply(input: &mut Vec<u8>, change: Change) {
    match change {
        Change::Put(at, byte) => {
            let at = at.index(input.len() + 1);
            input.splice(at..input.len().min(at + 1), [byte]);
        }
        Change::Cut(at, length) => {
            let at = at.index(input.len() + 1);
            input.drain(at..input.len().min(at + length));
        }
        Change::Insert(at, piece) => {
            let at = at.index(input.len() + 1);
            input.splice(at..at, piece);
        }
    }
}
