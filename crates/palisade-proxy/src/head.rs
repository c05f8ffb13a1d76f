//! An answer's head as the engine keeps it that has read it.

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderName};
use palisade_core::Head;
use palisade_http1::Fields;
use palisade_http1::write::Writable;

/// The fields of an answer's head.
#[derive(Clone, Debug)]
pub enum AnswerHead {
    /// Of hyper, or made by us.
    Map(Box<HeaderMap>),
    /// Of our own engine.
    Fields(Fields),
}

impl Head for AnswerHead {
    fn each<'a>(&'a self, name: &HeaderName, see: &mut dyn FnMut(&'a [u8])) {
        match self {
            Self::Map(map) => map.each(name, see),
            Self::Fields(fields) => fields.each(name, see),
        }
    }

    fn fields<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], &'a [u8])) {
        match self {
            Self::Map(map) => map.fields(see),
            Self::Fields(fields) => fields.fields(see),
        }
    }

    fn first<'a>(&'a self, name: &HeaderName) -> Option<&'a [u8]> {
        match self {
            Self::Map(map) => Head::first(&**map, name),
            Self::Fields(fields) => fields.first(name),
        }
    }
}

impl From<HeaderMap> for AnswerHead {
    fn from(map: HeaderMap) -> Self {
        Self::Map(Box::new(map))
    }
}

impl Writable for AnswerHead {
    fn write(&self, out: &mut BytesMut, keep: &mut dyn FnMut(&[u8]) -> bool) {
        match self {
            Self::Map(map) => Writable::write(&**map, out, keep),
            Self::Fields(fields) => Writable::write(fields, out, keep),
        }
    }
}
