//! What one connection may cost, in one place.
//!
//! The defaults are chosen so that nobody has to turn a knob to be safe. A limit that acts is
//! counted under its name ([`ConnectionLimit`](crate::counters::ConnectionLimit)).

use std::time::Duration;

/// The limits of the data path. Those with a key in the config are filled from it; the others are
/// fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From accepting, or from the end of the TLS handshake, to the first byte.
    pub first_byte: Duration,
    /// The whole TLS handshake.
    pub handshake: Duration,
    /// From a head's first byte to its last.
    pub head: Duration,
    /// A kept connection without a request.
    pub idle: Duration,
    /// How slowly bodies and readers may be.
    pub pace: PaceRule,
    /// How large the parts of a request may be.
    pub message: palisade_http1::Limits,
    /// Bytes read and thrown away after the last answer, so that closing doesn't destroy it.
    pub linger_bytes_max: usize,
    /// How long that may take.
    pub linger: Duration,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections of one address; of one /64 for IPv6.
    pub connections_per_address_max: u32,
    /// What is special about HTTP/2.
    pub h2: H2Limits,
}

/// The shortest time between two looks: they are never a loop.
const LOOK_MIN: Duration = Duration::from_millis(100);

/// How often to look whether something is over that nobody marks the beginning of: it is noticed
/// late by a tenth of `limit` at most.
pub(crate) fn look_every(limit: Duration) -> Duration {
    (limit / 10).max(LOOK_MIN)
}

/// The slowest that bytes may move while somebody waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceRule {
    /// Bytes per second of waiting.
    pub bytes_per_second: u32,
    /// Waiting that is free at the beginning.
    pub grace: Duration,
    /// The longest wait for the next byte, however fast the bytes before it were.
    pub pause: Duration,
}

/// The limits of one HTTP/2 connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H2Limits {
    /// Streams at a time.
    pub streams_max: u32,
    /// Bytes of a decoded header list.
    pub header_list_bytes_max: u32,
    /// CONTINUATION frames of one header block.
    pub continuations_max: u32,
    /// Flow-control window of a stream, and of the connection.
    pub window_bytes: u32,
    /// Bytes of answers that wait for the client's window, per stream.
    pub send_buffer_bytes_max: usize,
    /// RST_STREAM frames of both sides in [`H2Limits::flood_window`].
    pub resets_max: u32,
    /// DATA frames that hold nothing and end nothing, in [`H2Limits::flood_window`].
    pub empty_data_max: u32,
    /// The window in which resets and empty frames are counted.
    pub flood_window: Duration,
    /// SETTINGS and PING frames that wait for their acknowledgement.
    pub control_frames_queued_max: u32,
    /// Frames that move nothing forward.
    pub oddities_max: u32,
    /// How many oddities are forgiven per second.
    pub oddities_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            pace: PaceRule::default(),
            message: palisade_http1::Limits::default(),
            linger_bytes_max: 64 << 10,
            linger: Duration::from_secs(2),
            connections_max: 10_000,
            connections_per_address_max: 200,
            h2: H2Limits::default(),
        }
    }
}

impl Default for PaceRule {
    fn default() -> Self {
        Self { bytes_per_second: 240, grace: Duration::from_secs(5), pause: Duration::from_secs(30) }
    }
}

impl Default for H2Limits {
    fn default() -> Self {
        Self {
            streams_max: 100,
            header_list_bytes_max: 32 << 10,
            continuations_max: 8,
            window_bytes: 1 << 20,
            send_buffer_bytes_max: 256 << 10,
            resets_max: 100,
            empty_data_max: 100,
            flood_window: Duration::from_secs(10),
            control_frames_queued_max: 1_000,
            oddities_max: 10_000,
            oddities_per_second: 1_000,
        }
    }
}
