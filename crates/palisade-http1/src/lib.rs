//! HTTP/1.1 without I/O: bytes in, messages out, and back.
//!
//! A head is parsed once, in the buffer it was read into: names are made lower-case in place, and
//! what comes out is a table of offsets over those bytes, not a map. Bodies leave the buffer piece
//! by piece without being copied.
//!
//! One message in is exactly one message out, and everyone who reads the same bytes must agree
//! where it ends. So this is stricter than RFC 9112 allows it to be lenient: lines end in CRLF;
//! names are tokens and touch their colon; values hold no control bytes; no line is folded (§2.2,
//! §5). A body has one length: `Content-Length` once and in plain digits, or `Transfer-Encoding`
//! once and exactly `chunked`, never both (§6.3). What has two readings is a [`Fault`], never a
//! guess.
//!
//! It knows no header beyond framing, and neither sockets nor time: how long a head may take, what
//! a fault is answered with and which fields pass is decided by whoever drives it.

mod body;
mod chunk;
mod declared;
mod fault;
mod fields;
mod framing;
mod limits;
mod lines;
mod outbox;
mod request;
mod response;
mod section;
mod text;
mod token;
mod version;
mod word;
pub mod write;

pub use body::{Cut, Decoded, Decoder, Piece};
pub use fault::Fault;
pub use fields::Fields;
pub use framing::Framing;
pub use limits::Limits;
pub use outbox::Outbox;
pub use request::{Request, RequestParser};
pub use response::{Response, ResponseParser};
pub use text::Text;
pub use version::Version;
