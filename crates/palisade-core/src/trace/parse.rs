//! The two fields that name a trace, byte by byte.

use super::Traced;
use crate::{SpanId, TraceId};

/// Version `00` has exactly 55 bytes; a higher version may go on after a `-`, and is read by what
/// it shares with `00`; `ff` is invalid.
pub(super) fn traceparent(value: &[u8]) -> Option<Traced> {
    let (version, rest) = hex::<1>(value)?;
    let (trace, rest) = hex::<16>(rest.strip_prefix(b"-")?)?;
    let (parent, rest) = hex::<8>(rest.strip_prefix(b"-")?)?;
    let ([flags], rest) = hex::<1>(rest.strip_prefix(b"-")?)?;
    let whole = match version {
        [0] => rest.is_empty(),
        [0xFF] => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    if !whole {
        return None;
    }
    Some(Traced { trace: TraceId::new(trace)?, parent: SpanId::new(parent)?, sampled: flags & 1 == 1, sentry: None })
}

/// `<trace>-<span>`, and perhaps `-0` or `-1`.
pub(super) fn sentry_trace(value: &[u8]) -> Option<Traced> {
    let (trace, rest) = hex::<16>(value)?;
    let (parent, rest) = hex::<8>(rest.strip_prefix(b"-")?)?;
    let sentry = match rest {
        b"" => None,
        b"-0" => Some(false),
        b"-1" => Some(true),
        _ => return None,
    };
    let sampled = sentry == Some(true);
    Some(Traced { trace: TraceId::new(trace)?, parent: SpanId::new(parent)?, sampled, sentry })
}

/// `N` bytes as lower-case hexadecimal digits, and what follows.
fn hex<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |value, &digit| Some(value << 4 | nibble(digit)?))?;
    }
    Some((bytes, rest))
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
