//! The fields of a message, as offsets into the bytes they arrived in.
//!
//! A head has a dozen fields and is asked for a handful of them, so a table that is searched from
//! its beginning beats a map that has to be built: one allocation, no hashing, nothing copied, and
//! the order of arrival is kept.

use std::fmt;
use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use palisade_core::{Head, Sift};

use crate::text::Text;
use crate::write::field;

/// Fields in the order they were sent. Their names are in lower case.
#[derive(Clone, Default)]
pub struct Fields {
    block: Bytes,
    entries: Vec<Entry>,
}

/// Where in the block a field's name and value are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    name_at: u32,
    name_bytes: u32,
    value_at: u32,
    value_bytes: u32,
}

impl Entry {
    /// How large a block may be.
    pub(crate) const END_MAX: usize = u32::MAX as usize;

    /// Of a field that ends within [`Entry::END_MAX`].
    pub(crate) fn new(name_at: usize, name_bytes: usize, value_at: usize, value_bytes: usize) -> Self {
        Self {
            name_at: name_at as u32,
            name_bytes: name_bytes as u32,
            value_at: value_at as u32,
            value_bytes: value_bytes as u32,
        }
    }

    /// The whole line, if it stands in the block as it would be written.
    fn line(&self, block: &[u8]) -> Option<Range<usize>> {
        let (start, value) = (self.name_at as usize, self.value_at as usize);
        let (colon, value_end) = (start + self.name_bytes as usize, value + self.value_bytes as usize);
        let is_written = block.get(colon..value)? == b": " && block.get(value_end..)?.starts_with(b"\r\n");
        is_written.then_some(start..value_end + b"\r\n".len())
    }
}

impl Fields {
    pub(crate) fn new(block: Bytes, entries: Vec<Entry>) -> Self {
        Self { block, entries }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every field: its name, and its value without the blanks around it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|entry| (text(self.name(entry)), self.value(entry)))
    }

    /// Takes out every field whose name isn't to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let block = &self.block;
        self.entries.retain(|entry| keep(part(block, entry.name_at, entry.name_bytes)));
    }

    /// The first value of a field, its name in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values(name.as_bytes()).next()
    }

    /// The same as text that shares these bytes; `None` also if it is no UTF-8.
    pub fn text(&self, name: &str) -> Option<Text> {
        let value = self.get(name)?;
        std::str::from_utf8(value).ok()?;
        Some(Text::known(self.block.slice_ref(value)))
    }

    /// The same fields, for engines that speak in maps. What no map can hold, a name or a number
    /// of fields beyond 32 Ki, is not in it: [`Limits`](crate::Limits) are far below that.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::try_with_capacity(self.len()).unwrap_or_default();
        for entry in &self.entries {
            let name = HeaderName::from_bytes(self.name(entry));
            let value = HeaderValue::from_maybe_shared(self.block.slice_ref(self.value(entry)));
            if let (Ok(name), Ok(value)) = (name, value) {
                map.try_append(name, value).ok();
            }
        }
        map
    }

    /// Writes the fields that are to be kept. Those that stand next to each other as they would be
    /// written, and that is nearly all of a parsed head, are copied at once.
    pub(crate) fn write(&self, out: &mut BytesMut, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut run = 0..0;
        for entry in &self.entries {
            if !keep(self.name(entry)) {
                continue;
            }
            let line = entry.line(&self.block);
            if let Some(line) = line.clone().filter(|line| line.start == run.end) {
                run.end = line.end;
                continue;
            }
            out.put_slice(self.block.get(run).unwrap_or_default());
            run = line.unwrap_or_default();
            if run.is_empty() {
                field(out, text(self.name(entry)), self.value(entry));
            }
        }
        out.put_slice(self.block.get(run).unwrap_or_default());
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        part(&self.block, entry.name_at, entry.name_bytes)
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        part(&self.block, entry.value_at, entry.value_bytes)
    }

    /// Lengths are compared before bytes: most names differ in them already.
    fn values<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let has_name = move |entry: &&Entry| entry.name_bytes as usize == name.len() && self.name(entry) == name;
        self.entries.iter().filter(has_name).map(|entry| self.value(entry))
    }
}

impl Head for Fields {
    fn each<'a>(&'a self, name: &HeaderName, see: &mut dyn FnMut(&'a [u8])) {
        self.values(name.as_str().as_bytes()).for_each(see);
    }

    fn fields<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], &'a [u8])) {
        for entry in &self.entries {
            see(self.name(entry), self.value(entry));
        }
    }

    fn first<'a>(&'a self, name: &HeaderName) -> Option<&'a [u8]> {
        self.get(name.as_str())
    }
}

impl Sift for Fields {
    fn sift(&mut self, keep: &mut dyn FnMut(&[u8]) -> bool) {
        self.retain(keep);
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

/// Entries lie within their block, so nothing is ever missing.
fn part(block: &[u8], at: u32, bytes: u32) -> &[u8] {
    block.get(at as usize..).and_then(|rest| rest.get(..bytes as usize)).unwrap_or_default()
}

/// Names are tokens, and tokens are ASCII.
fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}
