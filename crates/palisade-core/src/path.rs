//! The path in normal form. (Placeholder: signatures only.)

/// A request path in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    text: std::borrow::Cow<'a, str>,
    as_sent: bool,
}
