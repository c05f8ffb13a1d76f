//! The fields of a head, or of trailers, as their lines arrive.
//!
//! Each line is looked at when it is complete, in the order of arrival, so that the first fault is
//! found and how the bytes arrive doesn't matter.

use crate::fault::Fault;
use crate::fields::Entry;
use crate::lines::Lines;
use crate::token::{has_control, lower_token, trim_end, trim_start};

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
        loop {
            let Some(line) = self.lines.next(bytes) else {
                let is_too_large = bytes.len() > bytes_max && !self.lines.rest(bytes).is_empty();
                return if is_too_large { Err(Fault::HeadTooLarge) } else { Ok(None) };
            };
            let (start, end) = (line.start, line.end);
            if end > bytes_max {
                return Err(Fault::HeadTooLarge);
            }
            let Some([line @ .., b'\r', b'\n']) = bytes.get_mut(line) else {
                return Err(Fault::Malformed);
            };
            if line.is_empty() {
                return Ok(Some(end));
            }
            if self.entries.len() >= fields_max {
                return Err(Fault::HeadTooLarge);
            }
            let field = Field::parse(line)?;
            learn(field.name, field.value)?;
            if self.entries.capacity() == 0 {
                self.entries.reserve_exact(ENTRIES);
            }
            self.entries.push(Entry::new(start, field.name.len(), start + field.value_at, field.value.len())?);
        }
    }
}

struct Field<'a> {
    name: &'a [u8],
    /// Where in its line the value begins.
    value_at: usize,
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Makes the name lower-case and trims the value.
    fn parse(line: &'a mut [u8]) -> Result<Self, Fault> {
        // A token has no blank, so this also refuses folded lines and a blank before the colon.
        let name = lower_token(line);
        let (name, rest) = line.split_at_checked(name).ok_or(Fault::Malformed)?;
        match rest {
            [b':', value @ ..] if !name.is_empty() && !has_control(value) => {
                let value = trim_start(value);
                let value_at = line.len() - value.len();
                Ok(Self { name, value_at, value: trim_end(value) })
            }
            _ => Err(Fault::Malformed),
        }
    }
}
