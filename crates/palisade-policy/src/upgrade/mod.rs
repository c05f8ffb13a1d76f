//! Leaving HTTP on a connection: WebSocket, and nothing else.
//!
//! **Threat.** After an upgrade the bytes of a connection are no longer requests, and the gateway
//! sees nothing in them. An upgrade that the gateway believes in and the application does not
//! (`h2c`, a wrong version) lets a client send requests through the gap, past every policy.
//!
//! **Rule.**
//! 1. Without `Upgrade`, or in HTTP/1.0, there is no upgrade; in HTTP/1.0 the field is removed
//!    (RFC 9110 §7.8).
//! 2. `Upgrade` with any other value than `websocket` alone is removed: the request goes on as
//!    plain HTTP. So is one that `Connection` does not name.
//! 3. `websocket` must be what RFC 6455 §4.1 asks for: `GET`, no body, one `Sec-WebSocket-Key`
//!    of 16 bytes in base64, `Sec-WebSocket-Version: 13`. Else 400.
//!
//! **Limits.** Frames are not looked at. It needs no store.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Method;
use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE};
use palisade_core::{
    Decision, Effects, Head, Inspect, Mode, Policy, Protocol, Question, Reason, Refusal, Single, Stage, View,
};

/// The rule. It has no options.
#[derive(Clone, Copy, Debug)]
pub struct WebSocketOnly;

/// The question.
pub fn compile() -> Vec<Question> {
    vec![Question {
        name: "upgrade",
        stage: Stage::Shed,
        mode: Mode::Enforce,
        place: "default".into(),
        about: "a connection can become a WebSocket, and nothing else".into(),
        policy: Policy::Inspect(Arc::new(WebSocketOnly)),
    }]
}

impl Inspect for WebSocketOnly {
    fn decide(&self, view: &View<'_>) -> Decision {
        let is_websocket = match view.head.single(&UPGRADE) {
            Single::Absent => return Decision::allow(),
            Single::One(value) => value.eq_ignore_ascii_case(b"websocket"),
            Single::Repeated => false,
        };
        if !is_websocket || view.protocol != Protocol::Http11 || !names_upgrade(view.head) {
            let mut effects = Effects::none();
            effects.request.remove(UPGRADE);
            return Decision::Allow(effects);
        }
        match fault(view) {
            None => Decision::allow(),
            Some(fault) => Decision::Refuse(Refusal::new(Reason::HttpMalformed).detail(fault)),
        }
    }
}

/// Whether `Connection` has the option `upgrade`.
fn names_upgrade(head: &dyn Head) -> bool {
    let mut named = false;
    head.each(&CONNECTION, &mut |value| {
        named |= value.split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    });
    named
}

/// What is wrong with an opening handshake.
fn fault(view: &View<'_>) -> Option<&'static str> {
    if view.method != Method::GET {
        return Some("a WebSocket is opened with GET");
    }
    let has_body = match view.head.single(&CONTENT_LENGTH) {
        Single::Absent | Single::One(b"0") => view.head.has(&TRANSFER_ENCODING),
        Single::One(_) | Single::Repeated => true,
    };
    if has_body {
        return Some("a WebSocket is opened without a body");
    }
    if !matches!(view.head.single(&SEC_WEBSOCKET_VERSION), Single::One(b"13")) {
        return Some("Sec-WebSocket-Version is not 13");
    }
    match view.head.single(&SEC_WEBSOCKET_KEY) {
        Single::One(key) if is_nonce(key) => None,
        Single::Absent | Single::One(_) | Single::Repeated => Some("Sec-WebSocket-Key is not 16 bytes in base64"),
    }
}

/// Sixteen bytes are 22 letters of base64, of which the last holds two bits, and two signs of
/// padding.
fn is_nonce(key: &[u8]) -> bool {
    let Some((letters, last)) = key.strip_suffix(b"==").and_then(|key| key.split_at_checked(21)) else {
        return false;
    };
    letters.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && matches!(last, [b'A' | b'Q' | b'g' | b'w'])
}
