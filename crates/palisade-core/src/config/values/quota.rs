//! Quotas: `200 per day`.

use super::super::decode::{Fault, Text};
use super::super::shape::Shape;
use super::super::suggest::nearest;
use crate::charge::{Calendar, Quota};

const FORM: &str = "<count> per minute|hour|day|week|month: \"200 per day\"";

impl Text for Quota {
    fn parse(text: &str) -> Result<Self, Fault> {
        let invalid = || Fault::invalid("is not a quota").label(FORM);
        let mut words = text.split_ascii_whitespace();
        let (Some(count), Some("per"), Some(window), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(invalid());
        };
        let count: u64 = count.parse().map_err(|_| invalid())?;
        let Some(per) = Calendar::ALL.into_iter().find(|calendar| calendar.name() == window) else {
            let fault = Fault::invalid("has an unknown window");
            return Err(match nearest(window, Calendar::ALL.map(Calendar::name)) {
                Some(meant) => fault.label(format!("did you mean `{meant}`?")),
                None => fault.label(FORM),
            });
        };
        let quota = u32::try_from(count).ok().and_then(|count| Self::new(count, per));
        quota.ok_or_else(|| Fault::out_of_range("counts must be between 1 and 4294967295"))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "quota".to_owned(), examples: &["200 per day", "20000 per month"] }
    }
}
