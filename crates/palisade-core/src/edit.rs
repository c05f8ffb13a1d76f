//! Changes to a head, as data.
//!
//! Policies say what should change; the engine applies it while it writes the head.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// One change to a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The field is sent exactly once, with this value.
    Set(HeaderName, HeaderValue),
    /// The field is sent once more, after those already there.
    Append(HeaderName, HeaderValue),
    /// The field is not sent.
    Remove(HeaderName),
}

/// Changes in the order they are made. Empty ones hold no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits(Vec<Edit>);

impl HeaderEdits {
    /// No change.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Makes room for so many changes at once.
    pub fn reserve(&mut self, edits: usize) {
        self.0.reserve(edits);
    }

    /// The field is sent exactly once, with this value.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(Edit::Set(name, value));
    }

    /// The field is sent once more.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(Edit::Append(name, value));
    }

    /// The field is not sent.
    pub fn remove(&mut self, name: HeaderName) {
        self.0.push(Edit::Remove(name));
    }

    /// Adds the changes of `later` after these.
    pub fn extend(&mut self, later: Self) {
        if self.0.is_empty() {
            self.0 = later.0;
        } else {
            self.0.extend(later.0);
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Edit> {
        self.0.iter()
    }

    /// Makes the changes in a map.
    pub fn apply(self, head: &mut HeaderMap) {
        for edit in self.0 {
            match edit {
                Edit::Set(name, value) => {
                    head.insert(name, value);
                }
                Edit::Append(name, value) => {
                    head.append(name, value);
                }
                Edit::Remove(name) => {
                    head.remove(name);
                }
            }
        }
    }
}

impl FromIterator<Edit> for HeaderEdits {
    fn from_iter<I: IntoIterator<Item = Edit>>(edits: I) -> Self {
        Self(edits.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a HeaderEdits {
    type Item = &'a Edit;
    type IntoIter = std::slice::Iter<'a, Edit>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
