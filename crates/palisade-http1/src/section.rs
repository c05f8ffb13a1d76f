//! The fields of a head, or of trailers, as they arrive.
//!
//! A field that is complete and good is looked at once, from its name to the end of its line. Only
//! if there is none, the line's end is looked for to tell whether more bytes are needed or what is
//! wrong. So faults are found in the order of arrival, and how the bytes arrive doesn't matter.

use std::ops::Range;

use crate::fault::Fault;
use crate::fields::Entry;
use crate::lines::Lines;
use crate::token::{control, lower_token, trim_end, trim_start};

/// Room for the fields of most heads at once.
const ENTRIES: usize = 24;

/// Fields up to an empty line.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) lines: Lines,
    pub(crate) entries: Vec<Entry>,
}

impl Section {
    /// Reads on at the front of a buffer. Returns where the section ends once its empty line is
    /// there. `learn` sees every field, its name in lower case.
    pub(crate) fn read(
        &mut self,
        bytes: &mut [u8],
        bytes_max: usize,
        fields_max: usize,
        mut learn: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<Option<usize>, Fault> {
        let bytes_max = bytes_max.min(Entry::END_MAX);
        loop {
            if let Some(start) = self.lines.partial() {
                let Some(_) = self.next_line(bytes, bytes_max)? else { return Ok(None) };
                self.lines.go_to(start);
            }
            let Some(field) = Field::parse(bytes, self.lines.start()) else {
                return match self.next_line(bytes, bytes_max)? {
                    Some(line) if line.len() == b"\r\n".len() => Ok(Some(line.end)),
                    Some(_) if self.entries.len() >= fields_max => Err(Fault::HeadTooLarge),
                    Some(_) => Err(Fault::Malformed),
                    None => Ok(None),
                };
            };
            self.lines.go_to(field.end);
            if field.end > bytes_max || self.entries.len() >= fields_max {
                return Err(Fault::HeadTooLarge);
            }
            learn(field.name, field.value)?;
            if self.entries.capacity() == 0 {
                self.entries.reserve_exact(ENTRIES);
            }
            self.entries.push(Entry::new(field.start, field.name.len(), field.value_at, field.value.len()));
        }
    }

    /// The next line, which ends in CRLF.
    fn next_line(&mut self, bytes: &[u8], bytes_max: usize) -> Result<Option<Range<usize>>, Fault> {
        let line = self.lines.next(bytes);
        let end = line.as_ref().map_or(bytes.len(), |line| line.end);
        if end > bytes_max {
            return Err(Fault::HeadTooLarge);
        }
        match &line {
            Some(line) if !bytes.get(line.clone()).is_some_and(|line| line.ends_with(b"\r\n")) => Err(Fault::Malformed),
            Some(_) | None => Ok(line),
        }
    }
}

/// One field, and where it stands.
struct Field<'a> {
    start: usize,
    name: &'a [u8],
    value_at: usize,
    /// Without the blanks around it.
    value: &'a [u8],
    /// Behind its line.
    end: usize,
}

impl<'a> Field<'a> {
    /// Reads the good and complete field that begins at `start`, if there is one, and makes its
    /// name lower-case.
    fn parse(bytes: &'a mut [u8], start: usize) -> Option<Self> {
        // A token has no blank, so this also refuses folded lines and a blank before the colon.
        let name = lower_token(bytes.get_mut(start..)?);
        let (name, rest) = bytes.get(start..)?.split_at_checked(name)?;
        let rest = rest.strip_prefix(b":").filter(|_| !name.is_empty())?;
        let (value, rest) = rest.split_at_checked(control(rest)?)?;
        let rest = rest.strip_prefix(b"\r\n")?;
        let end = bytes.len() - rest.len();
        let value = trim_start(value);
        let value_at = end - b"\r\n".len() - value.len();
        Some(Self { start, name, value_at, value: trim_end(value), end })
    }
}
