//! Changes to a head, as data.
//!
//! Policies say what should change; nobody changes a head. What leaves is the head that came and
//! the changes beside it ([`Edited`]), merged while an engine writes them. So an unchanged field
//! is copied once, from the bytes that were read to the bytes that are written.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::head::Head;

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
pub struct HeaderEdits {
    edits: Vec<Edit>,
    /// Marks of all names here.
    named: Marks,
    /// Marks of the names that are set or removed. A name without its mark here is neither.
    replaced: Marks,
    /// Marks of the names of which an edit is undone by a later one.
    undone: Marks,
}

/// A head and what becomes of it.
#[derive(Clone, Copy)]
pub struct Edited<'a> {
    /// What came.
    pub head: &'a dyn Head,
    /// What changes.
    pub edits: &'a HeaderEdits,
}

/// Changes of an ordinary head: who makes one change mostly makes several.
const USUAL: usize = 12;

/// A set of names that may hold more than was put in, so that most names need no comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks(u64);

impl Marks {
    const NONE: Self = Self(0);

    /// The mark of one name: its length and the ends of it tell most names of a head apart.
    fn of(bytes: &[u8]) -> Self {
        let at = |place: Option<&u8>| place.copied().map_or(0, usize::from);
        let mixed = bytes.len() * 7 + at(bytes.first()) * 3 + at(bytes.last());
        Self(1 << (mixed % 64))
    }

    fn holds(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Edit {
    /// The field that changes.
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Set(name, _) | Self::Append(name, _) | Self::Remove(name) => name,
        }
    }

    /// The field that is sent, if one is.
    fn sent(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match self {
            Self::Set(name, value) | Self::Append(name, value) => Some((name, value)),
            Self::Remove(_) => None,
        }
    }

    /// Whether what stood there before is not sent.
    fn replaces(&self) -> bool {
        match self {
            Self::Set(..) | Self::Remove(_) => true,
            Self::Append(..) => false,
        }
    }
}

impl HeaderEdits {
    /// No change.
    pub const fn none() -> Self {
        Self { edits: Vec::new(), named: Marks::NONE, replaced: Marks::NONE, undone: Marks::NONE }
    }

    /// Makes room for so many changes at once.
    pub fn reserve(&mut self, edits: usize) {
        self.edits.reserve(edits);
    }

    /// The field is sent exactly once, with this value.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.push(Edit::Set(name, value));
    }

    /// The field is sent once more.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.push(Edit::Append(name, value));
    }

    /// The field is not sent.
    pub fn remove(&mut self, name: HeaderName) {
        self.push(Edit::Remove(name));
    }

    fn push(&mut self, edit: Edit) {
        let mark = Marks::of(edit.name().as_str().as_bytes());
        if edit.replaces() {
            self.undone = self.undone.with(self.named.both(mark));
            self.replaced = self.replaced.with(mark);
        }
        self.named = self.named.with(mark);
        if self.edits.capacity() == 0 {
            self.edits = Vec::with_capacity(USUAL);
        }
        self.edits.push(edit);
    }

    /// Adds the changes of `later` after these.
    pub fn extend(&mut self, mut later: Self) {
        self.take(&mut later);
    }

    /// Adds the changes of `later` after these and leaves it empty, with its memory.
    pub fn take(&mut self, later: &mut Self) {
        if later.edits.is_empty() {
            return;
        }
        if self.edits.is_empty() {
            std::mem::swap(self, later);
            return;
        }
        self.undone = self.undone.with(later.undone).with(self.named.both(later.replaced));
        self.replaced = self.replaced.with(later.replaced);
        self.named = self.named.with(later.named);
        self.edits.append(&mut later.edits);
        (later.named, later.replaced, later.undone) = (Marks::NONE, Marks::NONE, Marks::NONE);
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The changes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Edit> {
        self.edits.iter()
    }

    /// Whether a field that came is sent, its name in lower case.
    pub fn keeps(&self, name: &[u8]) -> bool {
        !self.replaced.holds(Marks::of(name))
            || !self.edits.iter().any(|edit| edit.replaces() && edit.name().as_str().as_bytes() == name)
    }

    /// The fields that are sent beside those that came and are kept.
    pub fn sent(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.edits.iter().enumerate().filter_map(|(place, edit)| {
            let (name, value) = edit.sent()?;
            let is_undone = self.undone.holds(Marks::of(name.as_str().as_bytes())) && {
                let later = self.edits.get(place + 1..).unwrap_or_default();
                later.iter().any(|other| other.replaces() && other.name() == name)
            };
            (!is_undone).then_some((name, value))
        })
    }

    /// The values of one name that are sent beside those that came and are kept. Most names aren't
    /// here at all.
    fn sent_as<'a, 'n>(&'a self, name: &'n HeaderName) -> impl Iterator<Item = &'a HeaderValue> + use<'a, 'n> {
        let is_here = self.named.holds(Marks::of(name.as_str().as_bytes()));
        let sent = if is_here { self.edits.as_slice() } else { &[] };
        // Whatever replaces a name undoes what stood before it.
        let last = sent.iter().rposition(|edit| edit.replaces() && edit.name() == name).unwrap_or(0);
        let sent = sent.get(last..).unwrap_or_default();
        sent.iter().filter_map(Edit::sent).filter(move |(sent, _)| *sent == name).map(|(_, value)| value)
    }

    /// Makes the changes in a map.
    pub fn apply(self, head: &mut HeaderMap) {
        for edit in self.edits {
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

impl Edited<'_> {
    /// The same as a map, for engines that speak in maps. Fields that no map can hold are left out;
    /// what an engine has parsed always can.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(32);
        self.head.fields(&mut |name, value| {
            if self.edits.keeps(name)
                && let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        });
        for (name, value) in self.edits.sent() {
            map.append(name.clone(), value.clone());
        }
        map
    }
}

impl Head for Edited<'_> {
    fn each<'a>(&'a self, name: &HeaderName, see: &mut dyn FnMut(&'a [u8])) {
        if self.edits.keeps(name.as_str().as_bytes()) {
            self.head.each(name, see);
        }
        for value in self.edits.sent_as(name) {
            see(value.as_bytes());
        }
    }

    fn first<'a>(&'a self, name: &HeaderName) -> Option<&'a [u8]> {
        let kept = self.edits.keeps(name.as_str().as_bytes());
        let came = if kept { self.head.first(name) } else { None };
        came.or_else(|| self.edits.sent_as(name).next().map(HeaderValue::as_bytes))
    }

    fn fields<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], &'a [u8])) {
        self.head.fields(&mut |name, value| {
            if self.edits.keeps(name) {
                see(name, value);
            }
        });
        for (name, value) in self.edits.sent() {
            see(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

impl FromIterator<Edit> for HeaderEdits {
    fn from_iter<I: IntoIterator<Item = Edit>>(edits: I) -> Self {
        let mut all = Self::none();
        edits.into_iter().for_each(|edit| all.push(edit));
        all
    }
}

impl<'a> IntoIterator for &'a HeaderEdits {
    type Item = &'a Edit;
    type IntoIter = std::slice::Iter<'a, Edit>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = HeaderName> {
        // Few of them, some with the same mark, so that edits meet.
        prop::sample::select(vec!["a", "b", "server", "vary", "x-forwarded-host", "x-forwarded-port", "etag"])
            .prop_map(HeaderName::from_static)
    }

    fn value() -> impl Strategy<Value = HeaderValue> {
        "[a-z]{0,4}".prop_map(|text| HeaderValue::try_from(text).unwrap())
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            (name(), value()).prop_map(|(name, value)| Edit::Set(name, value)),
            (name(), value()).prop_map(|(name, value)| Edit::Append(name, value)),
            name().prop_map(Edit::Remove),
        ]
    }

    fn listed(head: &dyn Head) -> Vec<(String, Vec<u8>)> {
        let mut fields = Vec::new();
        head.fields(&mut |name, value| fields.push((String::from_utf8(name.to_vec()).unwrap(), value.to_vec())));
        // Sorted by name alone, so that values of one name stay in their order.
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        fields
    }

    proptest! {
        /// The head with its changes beside it is the head after each change was made, whoever
        /// looks at it and however.
        #[test]
        fn edited_is_what_editing_makes(
            fields in prop::collection::vec((name(), value()), 0..8),
            edits in prop::collection::vec(edit(), 0..10),
            asked in name(),
        ) {
            let mut head = HeaderMap::new();
            fields.into_iter().for_each(|(name, value)| {
                let _ = head.append(name, value);
            });
            let edits: HeaderEdits = edits.into_iter().collect();
            let edited = Edited { head: &head, edits: &edits };
            let mut made = head.clone();
            edits.clone().apply(&mut made);
            prop_assert_eq!(listed(&edited), listed(&made));
            prop_assert_eq!(edited.to_map(), made.clone());
            let values = |head: &dyn Head| {
                let mut values = Vec::new();
                head.each(&asked, &mut |value| values.push(value.to_vec()));
                values
            };
            prop_assert_eq!(values(&edited), values(&made));
            prop_assert_eq!(edited.first(&asked).map(<[u8]>::to_vec), made.first(&asked).map(<[u8]>::to_vec));
        }
    }
}
