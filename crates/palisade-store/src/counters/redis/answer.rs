//! What `step.lua` answers.

use std::time::Duration;

use palisade_core::charge::{Fit, Standoff};
use palisade_core::{Charges, Verdict, Verdicts};

use super::miss::Miss;
use super::resp::Reply;

/// What a step came to.
pub(super) struct Answer {
    /// When, in seconds of the server's clock.
    pub(super) at_s: u64,
    pub(super) verdicts: Verdicts,
    /// Units reserved of each charge's counter, if that was asked.
    pub(super) pending: Vec<u32>,
}

/// How much is said about a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Its verdict.
    Verdict,
    /// And what is reserved.
    Pending,
}

/// Reads the answer about these charges. Anything that doesn't fit them is none.
pub(super) fn read(reply: &Reply, charges: &Charges, told: Told) -> Result<Answer, Miss> {
    let Reply::List(list) = reply else { return Err(Miss::Garbled) };
    let mut numbers = Numbers(list.iter());
    let (at_s, _nanos, _admits) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let (mut verdicts, mut pending) = (Verdicts::default(), Vec::new());
    for _ in &charges.list {
        verdicts.list.push(numbers.verdict()?);
        if told == Told::Pending {
            pending.push(numbers.small()?);
        }
    }
    for _ in &charges.bans {
        verdicts.bans.push(numbers.standoff()?);
    }
    if numbers.0.next().is_some() {
        return Err(Miss::Garbled);
    }
    Ok(Answer { at_s: u64::try_from(at_s).map_err(|_| Miss::Garbled)?, verdicts, pending })
}

struct Numbers<'a>(std::slice::Iter<'a, Reply>);

impl Numbers<'_> {
    fn next(&mut self) -> Result<i64, Miss> {
        match self.0.next() {
            Some(Reply::Number(number)) => Ok(*number),
            Some(Reply::Text(_) | Reply::Error(_) | Reply::Nil | Reply::List(_)) | None => Err(Miss::Garbled),
        }
    }

    fn small(&mut self) -> Result<u32, Miss> {
        u32::try_from(self.next()?).map_err(|_| Miss::Garbled)
    }

    fn nanos(&mut self) -> Result<Duration, Miss> {
        u64::try_from(self.next()?).map(Duration::from_nanos).map_err(|_| Miss::Garbled)
    }

    fn verdict(&mut self) -> Result<Verdict, Miss> {
        let fit = match self.next()? {
            0 => Fit::Fits,
            1 => Fit::Spent,
            2 => Fit::Reserved,
            _ => return Err(Miss::Garbled),
        };
        let remaining = self.small()?;
        let next_unit = match self.next()? {
            -1 => None,
            next => Some(Duration::from_nanos(u64::try_from(next).map_err(|_| Miss::Garbled)?)),
        };
        Ok(Verdict { fit, remaining, next_unit, retry_after: self.nanos()? })
    }

    fn standoff(&mut self) -> Result<Standoff, Miss> {
        let code = self.next()?;
        let length = self.nanos()?;
        match code {
            0 => Ok(Standoff::Clear),
            1 => Ok(Standoff::Begins(length)),
            2 => Ok(Standoff::Lasts(length)),
            _ => Err(Miss::Garbled),
        }
    }
}
