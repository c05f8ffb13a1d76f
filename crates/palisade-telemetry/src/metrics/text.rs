//! The two text formats: Prometheus 0.0.4 and OpenMetrics 1.0.0.

use std::fmt::{Display, Write as _};

use super::Lag;
use super::catalog::{ALL, Metric, MetricKind};
use super::cell::{Bounds, Sum};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` field prefers: OpenMetrics if it is named with at least the weight of
    /// plain text.
    pub fn accepted(accept: &str) -> Self {
        let weight = |wanted: &str| {
            let range = accept.split(',').find(|range| media_type(range).eq_ignore_ascii_case(wanted))?;
            let weight = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
            weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok())
        };
        match weight("application/openmetrics-text") {
            Some(open) if open > 0.0 && open >= weight("text/plain").unwrap_or(0.0) => Self::OpenMetrics,
            Some(_) | None => Self::Prometheus,
        }
    }

    /// A metric's name and type in its head.
    pub(crate) fn family(self, metric: &Metric) -> (&'static str, &'static str) {
        let (Self::OpenMetrics, MetricKind::Counter) = (self, metric.kind) else {
            return (metric.name, metric.kind.name());
        };
        // OpenMetrics takes the ending off a counter. Where a gauge has that name already, there
        // is no way to say that it is a counter.
        let family = metric.name.trim_end_matches("_total");
        match ALL.iter().any(|other| other.name == family) {
            true => (metric.name, "unknown"),
            false => (family, metric.kind.name()),
        }
    }

    /// The answer's `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

fn media_type(range: &str) -> &str {
    range.split(';').next().unwrap_or(range).trim()
}

/// The scrape being written.
pub(crate) struct Text {
    out: String,
    format: Format,
    head: Option<&'static str>,
}

/// A label and its value.
pub(crate) type Label<'a> = (&'static str, &'a str);

impl Text {
    pub(crate) fn new(format: Format) -> Self {
        Self { out: String::with_capacity(64 * 1024), format, head: None }
    }

    /// One value of a counter or gauge.
    pub(crate) fn value(&mut self, metric: &'static Metric, labels: &[Label<'_>], value: impl Display) {
        self.head(metric);
        self.sample(metric.name, "", labels, None, value);
    }

    /// A histogram, in seconds.
    pub(crate) fn histogram(&mut self, metric: &'static Metric, labels: &[Label<'_>], bounds: &Bounds, sum: &Sum) {
        self.buckets(metric, labels, bounds.text.iter().copied(), &sum.buckets, sum.nanos as f64 / 1e9);
    }

    /// A histogram that somebody else keeps.
    pub(crate) fn lag(&mut self, metric: &'static Metric, lag: &Lag) {
        // Whole milliseconds and more, for which this is the canonical form of OpenMetrics.
        let bounds: Vec<String> = lag.bounds.iter().map(|bound| format!("{:?}", bound.as_secs_f64())).collect();
        self.buckets(metric, &[], bounds.iter().map(String::as_str), &lag.buckets, lag.sum.as_secs_f64());
    }

    fn buckets<'b>(
        &mut self,
        metric: &'static Metric,
        labels: &[Label<'_>],
        bounds: impl Iterator<Item = &'b str>,
        buckets: &[u64],
        sum: f64,
    ) {
        let count: u64 = buckets.iter().sum();
        if count == 0 {
            return;
        }
        self.head(metric);
        let mut below = 0;
        for (bound, bucket) in bounds.chain(["+Inf"]).zip(buckets) {
            below += bucket;
            self.sample(metric.name, "_bucket", labels, Some(bound), below);
        }
        self.sample(metric.name, "_sum", labels, None, sum);
        self.sample(metric.name, "_count", labels, None, count);
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Names a metric before its first sample, so that unused ones are not printed at all.
    fn head(&mut self, metric: &'static Metric) {
        if self.head == Some(metric.name) {
            return;
        }
        self.head = Some(metric.name);
        let (family, kind) = self.format.family(metric);
        // Writing into a String can't fail, here and below.
        let _ = writeln!(self.out, "# HELP {family} {}\n# TYPE {family} {kind}", metric.help);
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[Label<'_>], bound: Option<&str>, value: impl Display) {
        self.out.push_str(name);
        self.out.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        for (place, (label, value)) in labels.iter().copied().chain(bound).enumerate() {
            self.out.push(if place == 0 { '{' } else { ',' });
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
        if !labels.is_empty() || bound.is_some() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }
}

fn escape(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{GATEWAY, IN_FLIGHT, RELOAD, REQUESTS};
    use super::super::cell::MACHINE;
    use super::*;

    #[test]
    fn the_format_is_negotiated() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("text/plain, application/openmetrics-text; q=0.9", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=x", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn counters_lose_their_ending_only_in_the_head_of_openmetrics() {
        for (format, head) in
            [(Format::Prometheus, "palisade_requests_total"), (Format::OpenMetrics, "palisade_requests")]
        {
            let mut text = Text::new(format);
            text.value(&REQUESTS, &[("route", "/a\"\\\n")], 3);
            text.value(&REQUESTS, &[("route", "/b")], 4);
            let end = if format == Format::OpenMetrics { "# EOF\n" } else { "" };
            assert_eq!(
                text.finish(),
                format!(
                    "# HELP {head} Requests that ended.\n# TYPE {head} counter\n\
                     palisade_requests_total{{route=\"/a\\\"\\\\\\n\"}} 3\npalisade_requests_total{{route=\"/b\"}} 4\n{end}"
                )
            );
        }
    }

    #[test]
    fn histograms_are_cumulative_and_empty_ones_are_left_out() {
        let mut text = Text::new(Format::Prometheus);
        let mut sum = Sum::default();
        text.histogram(&GATEWAY, &[], &MACHINE, &sum);
        sum.buckets[0] = 2;
        sum.buckets[12] = 1;
        sum.nanos = 1_500_000_000;
        text.histogram(&GATEWAY, &[], &MACHINE, &sum);
        text.value(&RELOAD, &[], 1);
        text.value(&IN_FLIGHT, &[("kind", "api")], 0);
        let text = text.finish();
        assert_eq!(text.matches("# TYPE palisade_gateway_seconds histogram").count(), 1);
        assert!(text.contains("palisade_gateway_seconds_bucket{le=\"1e-05\"} 2\n"));
        assert!(text.contains("palisade_gateway_seconds_bucket{le=\"+Inf\"} 3\npalisade_gateway_seconds_sum 1.5\n"));
        assert!(text.contains("palisade_gateway_seconds_count 3\n# HELP palisade_config_last"));
        assert!(text.ends_with("palisade_requests_in_flight{kind=\"api\"} 0\n"));
    }
}
