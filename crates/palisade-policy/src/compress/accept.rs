//! What a client accepts: `Accept-Encoding` (RFC 9110 §12.5.3).
//!
//! Every coding has a weight: its own, else that of `*`, else none. Plain bytes are the coding
//! `identity`; unlike the others they are welcome without being named, and lose to whatever is
//! named unless they are given more weight.
//!
//! A weight that can't be read is none: sending plain bytes is never a mistake.

use http::header::ACCEPT_ENCODING;
use palisade_core::Head;

use super::Coding;

/// The offered coding that the client likes best; of equals the first. `None`: plain bytes.
///
/// If it accepts neither plain bytes nor anything offered, it still gets plain bytes: the answer
/// exists, and the standard prefers it to an error.
pub(super) fn choose(head: &dyn Head, offered: &[Coding]) -> Option<Coding> {
    let others = weight(head, |name| name == b"*");
    let plain = weight(head, |name| name.eq_ignore_ascii_case(b"identity")).or(others).unwrap_or(Weight::NONE);
    let mut best = None;
    let mut most = Weight::NONE;
    for coding in offered {
        let weight = weight(head, |name| coding.is_called(name)).or(others).unwrap_or(Weight::NONE);
        if weight > most {
            (best, most) = (Some(*coding), weight);
        }
    }
    best.filter(|_| most >= plain)
}

/// In thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(u16);

impl Weight {
    const NONE: Self = Self(0);
    const FULL: Self = Self(1_000);

    /// `0` to `1` with up to three decimals.
    fn parse(text: &[u8]) -> Option<Self> {
        let (whole, decimals) = match text {
            [whole] => (whole, &[][..]),
            [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
            _ => return None,
        };
        if !decimals.iter().all(u8::is_ascii_digit) {
            return None;
        }
        match whole {
            b'1' => decimals.iter().all(|digit| *digit == b'0').then_some(Self::FULL),
            b'0' => {
                let digits = decimals.iter().chain(b"000").take(3);
                Some(Self(digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))))
            }
            _ => None,
        }
    }
}

/// The weight given to a name. Of several the least: it was refused at least once.
fn weight(head: &dyn Head, is_meant: impl Fn(&[u8]) -> bool) -> Option<Weight> {
    let mut least = None;
    head.each(&ACCEPT_ENCODING, &mut |value| {
        for element in value.split(|byte| *byte == b',') {
            let (name, weight) = match element.iter().position(|byte| *byte == b';') {
                Some(end) => (element.get(..end).unwrap_or_default(), parameter(element.get(end + 1..))),
                None => (element, Weight::FULL),
            };
            if is_meant(name.trim_ascii()) {
                least = Some(least.map_or(weight, |least: Weight| least.min(weight)));
            }
        }
    });
    least
}

/// `q=0.5`, the one parameter there is.
fn parameter(text: Option<&[u8]>) -> Weight {
    let weight = match text.unwrap_or_default().trim_ascii() {
        [b'q' | b'Q', b'=', weight @ ..] => Weight::parse(weight),
        _ => None,
    };
    weight.unwrap_or(Weight::NONE)
}
