//! The floods of HTTP/2 that the engine behind doesn't cut.
//!
//! Threat: frames that cost the sender nothing and us work or memory. SETTINGS and PING each make
//! us queue an answer; PRIORITY, WINDOW_UPDATE and unknown frames make us read without end; a
//! header block may be continued for ever; a stream may be opened and reset a million times, by
//! the client or by an error of its making (CVE-2019-9511 to 9518, CVE-2023-44487,
//! CVE-2024-27316, CVE-2025-8671).
//!
//! 1. RST_STREAM of both sides, and DATA that holds nothing and ends nothing, are counted in a
//!    window of time.
//! 2. SETTINGS and PING may wait for their acknowledgement in bounded number.
//! 3. A header block has a bounded number of CONTINUATION frames.
//! 4. Everything else that moves nothing forward draws on a budget that refills. A WINDOW_UPDATE
//!    is earned by the DATA that we sent: two for each frame, its stream's and the connection's.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::{Frame, Frames, Kind};
use crate::counters::ConnectionLimit;
use crate::limits::H2Limits;

/// Watches both directions of one connection.
#[derive(Debug)]
pub(crate) struct FrameMeter {
    limits: H2Limits,
    from_client: Frames,
    from_us: Frames,
    resets: Window,
    empty_data: Window,
    oddities: Budget,
    unanswered: u32,
    continuations: u32,
    updates_earned: u32,
    last_stream: u32,
    data_sent: u64,
}

/// Counts in windows of time, each of which begins with what it counts.
#[derive(Debug)]
struct Window {
    began: Option<Instant>,
    count: u32,
}

/// A budget that refills.
#[derive(Debug)]
struct Budget {
    left: u32,
    at: Instant,
}

impl FrameMeter {
    pub(crate) fn new(limits: &H2Limits, now: Instant) -> Self {
        Self {
            limits: limits.clone(),
            from_client: Frames::of_client(),
            from_us: Frames::of_server(),
            resets: Window { began: None, count: 0 },
            empty_data: Window { began: None, count: 0 },
            oddities: Budget { left: limits.oddities_max, at: now },
            unanswered: 0,
            continuations: 0,
            updates_earned: 0,
            last_stream: 0,
            data_sent: 0,
        }
    }

    /// A header block has begun and isn't complete.
    pub(crate) fn is_in_head(&self) -> bool {
        self.from_client.is_in_head()
    }

    /// Where we may write a frame of our own.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.from_us.is_at_boundary()
    }

    /// The last stream that the client opened.
    pub(crate) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Bytes in the DATA frames that we sent.
    pub(crate) fn data_sent(&self) -> u64 {
        self.data_sent
    }

    /// Sees bytes of the client.
    ///
    /// # Errors
    ///
    /// The limit that a flood exceeded.
    pub(crate) fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), ConnectionLimit> {
        while let Some(frame) = self.from_client.next(&mut bytes) {
            self.judge(frame, now)?;
        }
        Ok(())
    }

    /// Sees bytes of ours.
    ///
    /// # Errors
    ///
    /// The limit that a flood exceeded: resets are also counted when the client made us send them.
    pub(crate) fn sent(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), ConnectionLimit> {
        while let Some(frame) = self.from_us.next(&mut bytes) {
            match frame.kind {
                Kind::Data => {
                    self.data_sent = self.data_sent.saturating_add(frame.length as u64);
                    self.updates_earned = self.updates_earned.saturating_add(2).min(self.limits.oddities_max);
                }
                Kind::Settings | Kind::Ping if frame.is_ack() => self.unanswered = self.unanswered.saturating_sub(1),
                Kind::Reset => self.reset(now)?,
                Kind::Settings
                | Kind::Ping
                | Kind::Headers
                | Kind::Priority
                | Kind::PushPromise
                | Kind::GoAway
                | Kind::WindowUpdate
                | Kind::Continuation
                | Kind::Unknown => {}
            }
        }
        Ok(())
    }

    fn judge(&mut self, frame: Frame, now: Instant) -> Result<(), ConnectionLimit> {
        match frame.kind {
            Kind::Headers => {
                self.continuations = 0;
                self.last_stream = self.last_stream.max(frame.stream);
                Ok(())
            }
            Kind::Continuation => {
                self.continuations += 1;
                allow(self.continuations <= self.limits.continuations_max, ConnectionLimit::H2Continuations)
            }
            Kind::Data if frame.length == 0 && !frame.ends_stream() => allow(
                self.empty_data.count(now, self.limits.flood_window) <= self.limits.empty_data_max,
                ConnectionLimit::H2EmptyData,
            ),
            Kind::Data => Ok(()),
            Kind::Reset => self.reset(now),
            Kind::Settings | Kind::Ping if !frame.is_ack() => {
                self.unanswered += 1;
                allow(self.unanswered <= self.limits.control_frames_queued_max, ConnectionLimit::H2Control)?;
                self.odd(now)
            }
            Kind::WindowUpdate if self.updates_earned > 0 => {
                self.updates_earned -= 1;
                Ok(())
            }
            Kind::WindowUpdate
            | Kind::Settings
            | Kind::Ping
            | Kind::Priority
            | Kind::PushPromise
            | Kind::GoAway
            | Kind::Unknown => self.odd(now),
        }
    }

    fn reset(&mut self, now: Instant) -> Result<(), ConnectionLimit> {
        allow(self.resets.count(now, self.limits.flood_window) <= self.limits.resets_max, ConnectionLimit::H2Resets)
    }

    fn odd(&mut self, now: Instant) -> Result<(), ConnectionLimit> {
        allow(self.oddities.spend(now, &self.limits), ConnectionLimit::H2Oddities)
    }
}

impl Window {
    fn count(&mut self, now: Instant, length: Duration) -> u32 {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= length) {
            self.began = Some(now);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

impl Budget {
    fn spend(&mut self, now: Instant, limits: &H2Limits) -> bool {
        let seconds = now.saturating_duration_since(self.at).as_secs();
        if seconds > 0 {
            let refill = u64::from(limits.oddities_per_second).saturating_mul(seconds);
            let left = u64::from(self.left).saturating_add(refill).min(u64::from(limits.oddities_max));
            self.left = u32::try_from(left).unwrap_or(limits.oddities_max);
            self.at += Duration::from_secs(seconds);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

fn allow(within: bool, limit: ConnectionLimit) -> Result<(), ConnectionLimit> {
    if within { Ok(()) } else { Err(limit) }
}

#[cfg(test)]
mod tests {
    use super::super::frames::PREFACE;
    use super::super::frames::tests::frame;
    use super::*;

    struct Flood {
        meter: FrameMeter,
        now: Instant,
    }

    impl Flood {
        fn new() -> Self {
            let now = Instant::now();
            let mut meter = FrameMeter::new(&H2Limits::default(), now);
            meter.received(PREFACE, now).unwrap();
            Self { meter, now }
        }

        /// How many of these frames pass before the connection is cut, at most 100,000.
        fn pass(&mut self, bytes: &[u8]) -> (usize, Option<&'static str>) {
            for count in 0..100_000 {
                if let Err(limit) = self.meter.received(bytes, self.now) {
                    return (count, Some(limit.name()));
                }
            }
            (100_000, None)
        }
    }

    #[test]
    fn each_flood_has_its_end() {
        for (name, bytes, passed, limit) in [
            ("rapid reset", [frame(5, 1, 4, 1), frame(4, 3, 0, 1)].concat(), 100, Some("h2_resets")),
            ("empty data", frame(0, 0, 0, 1), 100, Some("h2_empty_data")),
            ("settings", frame(0, 4, 0, 0), 1_000, Some("h2_control")),
            ("ping", frame(8, 6, 0, 0), 1_000, Some("h2_control")),
            ("acknowledgements", frame(8, 6, 1, 0), 10_000, Some("h2_oddities")),
            ("priority", frame(5, 2, 0, 1), 10_000, Some("h2_oddities")),
            ("window updates", frame(4, 8, 0, 1), 10_000, Some("h2_oddities")),
            ("unknown frames", frame(0, 200, 0, 1), 10_000, Some("h2_oddities")),
            ("push promises", frame(4, 5, 4, 1), 10_000, Some("h2_oddities")),
            ("continuations", frame(1, 9, 0, 1), 8, Some("h2_continuations")),
            ("data", frame(1, 0, 0, 1), 100_000, None),
            ("ends of streams", frame(0, 0, 1, 1), 100_000, None),
            ("requests", frame(20, 1, 5, 1), 100_000, None),
        ] {
            assert_eq!(Flood::new().pass(&bytes), (passed, limit), "{name}");
        }
    }

    #[test]
    fn a_header_block_counts_its_own_continuations() {
        let mut flood = Flood::new();
        let mut block = frame(5, 1, 0, 1);
        block.extend((0..8).flat_map(|_| frame(5, 9, 0, 1)));
        assert_eq!(flood.pass(&block), (100_000, None));
    }

    #[test]
    fn time_forgives() {
        let mut flood = Flood::new();
        let reset = frame(4, 3, 0, 1);
        let odd = frame(5, 2, 0, 1);
        flood.meter.received(&reset.repeat(100), flood.now).unwrap();
        flood.now += Duration::from_secs(10);
        flood.meter.received(&reset.repeat(100), flood.now).unwrap();
        flood.meter.received(&odd.repeat(10_000), flood.now).unwrap();
        flood.now += Duration::from_secs(2);
        assert_eq!(flood.pass(&odd), (2_000, Some("h2_oddities")));
    }

    #[test]
    fn our_own_resets_count_too() {
        let mut flood = Flood::new();
        let reset = frame(4, 3, 0, 1);
        for _ in 0..100 {
            flood.meter.sent(&reset, flood.now).unwrap();
        }
        assert_eq!(flood.pass(&reset), (0, Some("h2_resets")));
    }

    #[test]
    fn answers_empty_the_queue() {
        let mut flood = Flood::new();
        let ping = frame(8, 6, 0, 0);
        for _ in 0..5_000 {
            flood.meter.received(&ping, flood.now).unwrap();
            flood.meter.sent(&frame(8, 6, 1, 0), flood.now).unwrap();
        }
        assert_eq!(flood.pass(&ping), (1_000, Some("h2_control")));
    }

    #[test]
    fn a_download_earns_its_window_updates() {
        let mut flood = Flood::new();
        let update = frame(4, 8, 0, 1);
        for _ in 0..50_000 {
            flood.meter.sent(&frame(100, 0, 0, 1), flood.now).unwrap();
            flood.meter.received(&update, flood.now).unwrap();
            flood.meter.received(&update, flood.now).unwrap();
        }
        assert_eq!(flood.pass(&update), (10_000, Some("h2_oddities")));
    }

    #[test]
    fn the_last_stream_is_the_highest() {
        let mut flood = Flood::new();
        for stream in [1, 5, 3] {
            flood.meter.received(&frame(1, 1, 5, stream), flood.now).unwrap();
        }
        assert_eq!(flood.meter.last_stream(), 5);
    }
}
