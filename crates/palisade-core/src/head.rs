//! A request or response head, whoever parsed it.
//!
//! Policies look fields up by name and never see a parser's own type, so the same rule runs over
//! the `http` crate's map and over an engine's read buffer.

use http::header::{HeaderMap, HeaderName};

/// The header fields of one message.
pub trait Head: Sync {
    /// Shows every value of the fields called `name`, in the order they were sent.
    fn each<'a>(&'a self, name: &HeaderName, see: &mut dyn FnMut(&'a [u8]));

    /// Shows every field, its name first and in lower case, in the engine's order.
    fn fields<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], &'a [u8]));

    /// The value of a field that may be sent once.
    fn single<'a>(&'a self, name: &HeaderName) -> Single<'a> {
        let mut found = Single::Absent;
        self.each(name, &mut |value| {
            found = match found {
                Single::Absent => Single::One(value),
                Single::One(_) | Single::Repeated => Single::Repeated,
            };
        });
        found
    }

    /// The first value of a field, for fields where a second one is harmless.
    fn first<'a>(&'a self, name: &HeaderName) -> Option<&'a [u8]> {
        let mut first = None;
        self.each(name, &mut |value| {
            first.get_or_insert(value);
        });
        first
    }

    /// Whether the field was sent at all.
    fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }
}

/// A head that fields can be taken out of: what no client may say is gone before anybody looks.
pub trait Sift: Head {
    /// Takes out every field whose name, in lower case, isn't to be kept.
    fn sift(&mut self, keep: &mut dyn FnMut(&[u8]) -> bool);
}

/// A field that should be sent at most once: a second copy is an answer of its own, because two
/// readers could each believe another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'a> {
    /// Not sent.
    Absent,
    /// Sent once.
    One(&'a [u8]),
    /// Sent twice or more.
    Repeated,
}

impl Head for HeaderMap {
    fn each<'a>(&'a self, name: &HeaderName, see: &mut dyn FnMut(&'a [u8])) {
        for value in self.get_all(name) {
            see(value.as_bytes());
        }
    }

    fn fields<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], &'a [u8])) {
        for (name, value) in self {
            see(name.as_str().as_bytes(), value.as_bytes());
        }
    }

    fn first<'a>(&'a self, name: &HeaderName) -> Option<&'a [u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}

impl Sift for HeaderMap {
    fn sift(&mut self, keep: &mut dyn FnMut(&[u8]) -> bool) {
        let drop: Vec<_> = self.keys().filter(|name| !keep(name.as_str().as_bytes())).cloned().collect();
        for name in drop {
            self.remove(name);
        }
    }
}
