//! Every metric, declared once: the scrape and the reference page come from this list.

use std::fmt::Write as _;

/// A metric as it is scraped.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name; counters end in `_total`.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// Its labels, in the order in which they are printed.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows within a process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, with a sum.
    Histogram,
}

impl MetricKind {
    /// The word in the text format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($( $constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal; )+) => {
        $( pub(crate) static $constant: Metric = Metric {
            name: concat!("palisade_", $name),
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            help: $help,
        }; )+

        /// All metrics, in the order of the scrape.
        pub static ALL: &[&Metric] = &[$(&$constant),+];
    };
}

metrics! {
    REQUESTS = Counter "requests_total" ["route", "method", "class", "plan", "outcome"] "Requests that ended.";
    LATENCY = Histogram "request_duration_seconds" ["route", "method", "class", "plan"] "Latency: to the last byte of the answer, of streams to the first, less waiting for the client.";
    FIRST_BYTE = Histogram "first_byte_seconds" ["route"] "To the first byte of the answer's body.";
    STREAM = Histogram "stream_duration_seconds" ["route"] "Whole life of streamed answers.";
    REQUEST_BYTES = Counter "request_bytes_total" ["route", "method"] "Body bytes from clients.";
    RESPONSE_BYTES = Counter "response_bytes_total" ["route", "method"] "Body bytes to clients.";
    GATEWAY = Histogram "gateway_seconds" [] "What Palisade adds to a request.";
    STORE_WAIT = Histogram "store_wait_seconds" [] "Waiting for stores, of requests that waited.";
    IN_FLIGHT = Gauge "requests_in_flight" ["kind"] "Requests under way.";
    REFUSALS = Counter "refusals_total" ["code", "mode"] "Requests refused or not answered, and in mode report those that would have been.";
    SERVICE = Counter "service_requests_total" ["kind", "class"] "Requests that count nowhere else.";
    LIMITS_REQUESTS = Counter "limits_requests_total" ["limit", "outcome"] "Requests that a limit admitted, refused or, in mode report, would have refused.";
    LIMITS_NEAR = Counter "limits_near_total" ["limit"] "Requests that a limit admitted with less than a fifth of it left.";
    LIMITS_BANS = Counter "limits_bans_total" ["limit"] "Bans that began.";
    LIMITS_CELLS = Gauge "limits_table_cells" [] "Counters in the table of limits.";
    LIMITS_EVICTIONS = Counter "limits_evictions_total" [] "Live counters that gave way because the table was full.";
    LIMITS_STORE_UP = Gauge "limits_store_up" [] "Whether the shared store of counters is asked: 1, or 0 while limits do without it.";
    LIMITS_STORE_GATEWAYS = Gauge "limits_store_gateways" [] "Gateways that share the store of counters, as far as this one knows.";
    LIMITS_STORE_SECONDS = Histogram "limits_store_seconds" [] "Answers of the shared store of counters.";
    LIMITS_STORE_MISSES = Counter "limits_store_misses_total" ["why"] "Times that the shared store of counters did not say.";
    LIMITS_KEPT_UP = Gauge "limits_kept_up" [] "1 if counters of limits are written to the state directory, 0 if a restart will forget them.";
    LIMITS_KEPT_CELLS = Gauge "limits_kept_cells" [] "Counters in the state directory.";
    LIMITS_KEPT_LEFT_OUT = Counter "limits_kept_left_out_total" [] "Counters that had to wait for a later round, because too many had changed.";
    LIMITS_KEPT_ROUNDS = Counter "limits_kept_rounds_total" [] "Rounds that went well: what had changed was written, if anything had.";
    LIMITS_KEPT_AGE = Gauge "limits_kept_age_seconds" [] "Since the last of these rounds.";
    LIMITS_KEPT_SECONDS = Gauge "limits_kept_round_seconds" [] "How long it took.";
    UPSTREAM_REQUESTS = Counter "upstream_requests_total" ["server", "class"] "Attempts to reach the application.";
    UPSTREAM_ERRORS = Counter "upstream_errors_total" ["server", "kind"] "Attempts that failed.";
    UPSTREAM_RETRIES = Counter "upstream_retries_total" ["server"] "Attempts after the first of a request.";
    UPSTREAM_DURATION = Histogram "upstream_duration_seconds" ["server"] "From the start of an attempt to the head of its answer.";
    UPSTREAM_CONNECTIONS = Gauge "upstream_connections" ["server", "state"] "Connections to the application.";
    CONNECTIONS = Gauge "connections" ["listener", "protocol"] "Open connections, by the listener: `public`, `redirect` or `admin`.";
    CONNECTIONS_TOTAL = Counter "connections_total" ["listener", "protocol"] "Connections, by the listener: `public`, `redirect` or `admin`.";
    CONNECTION_LIMITS = Counter "connection_limits_total" ["limit"] "Times that a limit on connections acted.";
    HANDSHAKES = Counter "tls_handshakes_total" ["result"] "TLS handshakes.";
    DROPPED = Counter "telemetry_dropped_total" ["sink", "reason"] "Details of records that were dropped; their counts stay.";
    BUFFER = Gauge "telemetry_buffer_ratio" ["sink"] "How full a buffer of records or lines is.";
    TRACES = Counter "traces_total" ["why"] "Traces kept.";
    SERIES = Gauge "series" [] "Label sets in use over all metrics with a route.";
    SERIES_OVERFLOW = Counter "series_overflow_total" [] "Label sets that were counted as route other, because max_series was reached.";
    ROUTES_GUESSED = Gauge "routes_guessed" [] "Routes guessed from the shape of paths.";
    RELOAD = Gauge "config_last_reload_success" [] "1 if the last reload was taken over.";
    CPU = Counter "process_cpu_seconds_total" [] "CPU time of the process.";
    MEMORY = Gauge "process_resident_memory_bytes" [] "Memory of the process.";
    OPEN_FDS = Gauge "process_open_fds" [] "Open descriptors.";
    MAX_FDS = Gauge "process_max_fds" [] "Descriptors the process may open.";
    STARTED = Gauge "process_start_time_seconds" [] "When the process started, since the Unix epoch.";
    LAG = Histogram "runtime_lag_seconds" [] "How late the workers' ticks are.";
    BUILD = Gauge "build_info" ["version", "revision"] "1, with the version.";
    SNAPSHOT = Gauge "snapshot_info" ["hash"] "1, with the hash of the config in force.";
}

/// The reference page: a table of all metrics.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` on the admin listener. Sets that were never used are not printed.\n\n\
         | Metric | Type | Labels | Meaning |\n|---|---|---|---|\n",
    );
    for Metric { name, kind, labels, help } in ALL {
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        // Writing into a String can't fail.
        let _ = writeln!(page, "| `{name}` | {} | {labels} | {help} |", kind.name());
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_format() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            assert!(metric.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", metric.name);
            assert_eq!(metric.kind == MetricKind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(!["_count", "_sum", "_bucket", "_created"].iter().any(|end| metric.name.ends_with(end)));
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '|']), "{}", metric.help);
        }
    }

    #[test]
    fn the_reference_has_a_row_for_each_metric() {
        let page = reference();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `palisade_")).count(), ALL.len());
        assert!(page.contains("| `palisade_first_byte_seconds` | histogram | route | To the first byte"), "{page}");
    }
}
