//! The application's side of a WebSocket: the handshake, and every message sent back.
//!
//! Just enough of RFC 6455 for a gateway's tests: whole frames, pings answered, close codes kept.

use std::io;

use tokio::io::AsyncWriteExt;

use super::Request;
use super::connection::{Socket, Wire};

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub(super) async fn serve<S: Socket>(wire: &mut Wire<S>, request: &Request) -> io::Result<()> {
    let key = request.value("sec-websocket-key").unwrap_or_default();
    let accept = accept(&key);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    wire.socket.write_all(head.as_bytes()).await?;
    while let Some((code, payload)) = frame(wire).await? {
        let answer = if code & 0x0f == PING { (code & 0xf0) | PONG } else { code };
        wire.socket.write_all(&encode(answer, &payload)).await?;
        if code & 0x0f == CLOSE {
            return wire.socket.shutdown().await;
        }
    }
    Ok(())
}

/// The value of `Sec-WebSocket-Accept` that belongs to a key.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// The next frame's first byte and its unmasked payload; `None` at the end of the stream.
async fn frame<S: Socket>(wire: &mut Wire<S>) -> io::Result<Option<(u8, Vec<u8>)>> {
    let Some(start) = exactly(wire, 2).await? else { return Ok(None) };
    let [code, second] = *start else { return Ok(None) };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(size) = exactly(wire, extended).await? else { return Ok(None) };
    let length = if extended == 0 {
        u64::from(second & 0x7f)
    } else {
        size.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let Some(mask) = exactly(wire, if second & 0x80 == 0 { 0 } else { 4 }).await? else { return Ok(None) };
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let Some(mut payload) = exactly(wire, length).await? else { return Ok(None) };
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some((code, payload)))
}

async fn exactly<S: Socket>(wire: &mut Wire<S>, count: usize) -> io::Result<Option<Vec<u8>>> {
    while wire.read.len() < count {
        if wire.more().await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(wire.take(count)))
}

fn encode(code: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![code];
    match payload.len() {
        length @ 0..=125 => frame.push(u8::try_from(length).unwrap_or_default()),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| LETTERS.get((bits & 63) as usize).map_or('=', |letter| char::from(*letter));
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            text.push(if place <= group.len() { letter(bits >> (18 - 6 * place)) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_that_of_the_standard() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
