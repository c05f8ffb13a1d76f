use super::*;
use crate::testing::{decision, with};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

fn check(request: &str, expected: &str) {
    assert_eq!(with(request, |view| decision(&WebSocketOnly.decide(view))), expected, "{request}");
}

#[test]
fn upgrades_other_than_websocket_are_removed() {
    let removed = "allow, request - upgrade";
    check("GET /x HTTP/1.1", "allow");
    check("GET /x HTTP/1.1\nConnection: upgrade", "allow");
    check("GET /x HTTP/1.1\nConnection: upgrade\nUpgrade: h2c", removed);
    check("GET /x HTTP/1.1\nConnection: upgrade\nUpgrade: websocket, h2c", removed);
    check("GET /x HTTP/1.1\nConnection: upgrade\nUpgrade: h2c\nUpgrade: websocket", removed);
    check("GET /x HTTP/1.1\nConnection: upgrade\nUpgrade: websocket2", removed);
    check("GET /x HTTP/1.1\nConnection: upgrade\nUpgrade: ", removed);
    check(&format!("GET /x HTTP/1.1\nUpgrade: websocket\nSec-WebSocket-Version: 13\n{KEY}"), removed);
    check(
        &format!("GET /x HTTP/1.1\nConnection: close\nUpgrade: websocket\nSec-WebSocket-Version: 13\n{KEY}"),
        removed,
    );
    check(
        &format!("GET /x HTTP/1.0\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n{KEY}"),
        removed,
    );
}

#[test]
fn a_websocket_is_opened_as_the_standard_says_or_not_at_all() {
    let open = |method: &str, rest: &str| {
        format!("{method} /x HTTP/1.1\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket\n{rest}")
    };
    let version = "Sec-WebSocket-Version: 13";
    let refuse = "refuse http.malformed 400";
    check(&open("GET", &format!("{version}\n{KEY}")), "allow");
    check(&open("GET", &format!("{version}\n{KEY}\nContent-Length: 0")), "allow");
    check(&open("POST", &format!("{version}\n{KEY}")), refuse);
    check(&open("GET", &format!("{version}\n{KEY}\nContent-Length: 1")), refuse);
    check(&open("GET", &format!("{version}\n{KEY}\nTransfer-Encoding: chunked")), refuse);
    check(&open("GET", KEY), refuse);
    check(&open("GET", &format!("Sec-WebSocket-Version: 8\n{KEY}")), refuse);
    check(&open("GET", &format!("{version}\n{version}\n{KEY}")), refuse);
    check(&open("GET", version), refuse);
    check(&open("GET", &format!("{version}\n{KEY}\n{KEY}")), refuse);
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhl IHNhbXBsZSBub25jQ==",
        "AAAAdGhlIHNhbXBsZSBub25jZQ==",
    ] {
        check(&open("GET", &format!("{version}\nSec-WebSocket-Key: {key}")), refuse);
    }
}
