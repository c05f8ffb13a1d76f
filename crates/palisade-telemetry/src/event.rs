//! Lines about the gateway itself, beside those about requests: `{"event":"started",…}`.

use std::sync::Arc;

use palisade_core::Utc;

use crate::json::{self, Object, key};
use crate::lines::{self, Lines};
use crate::timestamp::Timestamps;

/// Where events go: stdout, through the same buffer as the access log, so that lines never mix.
#[derive(Clone, Debug)]
pub struct Events(Arc<Lines>);

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// Several texts.
    Texts(&'a [String]),
    /// Several objects of texts.
    Objects(&'a [Vec<(&'a str, &'a str)>]),
}

impl Events {
    pub(crate) fn new(lines: Arc<Lines>) -> Self {
        Self(lines)
    }

    /// Writes one line. `name` and the keys are ours: `[a-z_.]+`.
    pub fn emit(&self, name: &str, fields: &[(&str, Value<'_>)]) {
        let mut line = Vec::with_capacity(256);
        write(&mut line, &mut Timestamps::default(), lines::utc(), name, fields);
        self.0.add_event(&line);
    }
}

/// Writes an event's line.
pub(crate) fn write(
    out: &mut Vec<u8>,
    timestamps: &mut Timestamps,
    now: Utc,
    name: &str,
    fields: &[(&str, Value<'_>)],
) {
    let mut object = Object::open(out);
    object.word(key!("event"), name.as_bytes());
    let time = object.key(key!("time"));
    time.push(b'"');
    timestamps.write(time, now);
    time.push(b'"');
    for (key, value) in fields {
        match value {
            Value::Text(text) => json::string(object.other_key(key), text.as_bytes()),
            Value::Number(number) => json::whole(object.other_key(key), *number),
            Value::Texts(texts) => {
                json::array(object.other_key(key), *texts, |out, text| json::string(out, text.as_bytes()));
            }
            Value::Objects(objects) => json::array(object.other_key(key), *objects, |out, fields| {
                let mut object = Object::open(out);
                for (key, text) in fields {
                    json::string(object.other_key(key), text.as_bytes());
                }
                object.close();
            }),
        }
    }
    object.close();
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut out = Vec::new();
        let listen = ["127.0.0.1:8080".to_owned(), "\n".to_owned()];
        let fields =
            [("version", Value::Text("0.1.0\"")), ("workers", Value::Number(2)), ("listen", Value::Texts(&listen))];
        write(&mut out, &mut Timestamps::default(), Utc::from_nanos(1_000), "started", &fields);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"event\":\"started\",\"time\":\"1970-01-01T00:00:00.000001Z\",\"version\":\"0.1.0\\\"\",\
             \"workers\":2,\"listen\":[\"127.0.0.1:8080\",\"\\n\"]}\n"
        );
    }
}
