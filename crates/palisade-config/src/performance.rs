//! `[performance]`: routes as labels, traces, and how much is kept ready.

use palisade_core::config::{Setting, Share, Size, Whole};
use palisade_core::{Pattern, section, words};

section! {
    /// What is measured, and how finely.
    pub struct RawPerformance {
        /// Further path patterns that are told apart in logs and metrics, such as
        /// `/api/users/{id}`.
        routes: Setting<Vec<Setting<Pattern>>> = [],
        /// Whether paths that no pattern names are told apart by their shape, at most 200 of them.
        guess: Setting<bool> = true,
        /// How many combinations of labels the metrics may have; beyond it, `route` is `other`.
        /// Applies at start.
        max_series: Setting<Whole<100, 10_000_000>> = 20_000,
        /// How much memory records may take on their way to logs and traces. What does not fit is
        /// dropped and counted. Applies at start.
        queue: Setting<Size<65_536, 1_073_741_824>> = "16MiB",
        /// Which requests are kept as traces, and what the application sees of it.
        traces: Setting<RawTraces> = {},
    }
}

section! {
    /// Which requests are kept as traces, and what the application sees of it.
    pub struct RawTraces {
        /// The share of ordinary requests that is kept.
        sample: Setting<Share> = "1%",
        /// Whose trace ids are continued: everybody's (`ids`), or only those of trusted proxies.
        /// Nobody outside decides what is kept.
        accept: Setting<AcceptTrace> = "ids",
        /// Whether the application is sent `sentry-trace` beside `traceparent`.
        sentry: Setting<bool> = true,
    }
}

/// Whose trace ids are continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptTrace {
    /// Everybody's.
    Ids,
    /// Only those of trusted proxies.
    Off,
}

words! { AcceptTrace: "ids" = Self::Ids, "off" = Self::Off }

/// What is measured, and how finely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// Whether paths that no pattern names are told apart by their shape.
    pub guess: bool,
    /// How many combinations of labels the metrics may have.
    pub series_max: usize,
    /// How much memory records may take on their way, in bytes.
    pub queue_bytes: usize,
    /// How many of a million ordinary requests are kept as traces.
    pub sample_per_million: u32,
    /// Whose trace ids are continued.
    pub accept: AcceptTrace,
    /// Whether the application is sent `sentry-trace`.
    pub sentry: bool,
}

/// The settings, and the patterns that become routes.
pub(crate) fn compile(raw: RawPerformance) -> (Performance, Vec<Setting<Pattern>>) {
    let RawPerformance { routes, guess, max_series, queue, traces } = raw;
    let RawTraces { sample, accept, sentry } = traces.value;
    let performance = Performance {
        guess: guess.value,
        series_max: usize::try_from(max_series.value.get()).unwrap_or(usize::MAX),
        queue_bytes: usize::try_from(queue.value.get()).unwrap_or(usize::MAX),
        sample_per_million: sample.value.millionths(),
        accept: accept.value,
        sentry: sentry.value,
    };
    (performance, routes.value)
}
