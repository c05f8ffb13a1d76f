//! The closed sets that label values come from.

use http::{Method, StatusCode};
use palisade_core::record::class;

/// Methods that have a label of their own; whatever else a client sends is the last.
pub(crate) const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// Classes of a status.
pub(crate) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// A method's place in [`METHODS`].
pub(crate) fn method(method: &Method) -> usize {
    METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1)
}

/// A status's place in [`CLASSES`].
pub(crate) fn status(status: Option<StatusCode>) -> usize {
    let class = class(status);
    CLASSES.iter().position(|known| *known == class).unwrap_or(CLASSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_clients_never_become_labels() {
        for (sent, label) in [("GET", "GET"), ("get", "other"), ("PURGE", "other"), ("OPTIONS", "OPTIONS")] {
            assert_eq!(METHODS[method(&Method::from_bytes(sent.as_bytes()).unwrap())], label);
        }
    }

    #[test]
    fn every_class_has_a_place() {
        for (code, label) in [
            (100, "1xx"),
            (204, "2xx"),
            (304, "3xx"),
            (499, "4xx"),
            (500, "5xx"),
            (599, "5xx"),
            (600, "5xx"),
            (999, "5xx"),
        ] {
            assert_eq!(CLASSES[status(StatusCode::from_u16(code).ok())], label, "{code}");
        }
        assert_eq!(CLASSES[status(None)], "none");
    }
}
