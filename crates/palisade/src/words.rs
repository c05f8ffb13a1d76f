//! Durations as people say them.

use std::time::Duration;

/// `1d 2h`, `2m 5s`: rounded up to whole seconds.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_parts() {
        for (milliseconds, expected) in [(0, "0s"), (1, "1s"), (120_000, "2m"), (90_061_000, "1d 1h 1m 1s")] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }
}
