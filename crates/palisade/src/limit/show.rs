//! What the gateway answers, for people.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::words;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

/// All limits, one a line.
pub(super) fn list(answer: &Value) -> String {
    let limits = answer.get("limits").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<[String; 6]> = limits
        .iter()
        .map(|limit| {
            let bounds = limit.get("bounds").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let bounds: Vec<_> = bounds
                .iter()
                .map(|bound| match text(bound, "plan") {
                    "" => text(bound, "bound").to_owned(),
                    plan => format!("{plan} {}", text(bound, "bound")),
                })
                .collect();
            let [name, key, stage, mode] = ["limit", "key", "stage", "mode"].map(|name| text(limit, name).to_owned());
            let used = limit.get("per_minute").map(per_minute).unwrap_or_default();
            [name, key, stage, mode, bounds.join(", "), used]
        })
        .collect();
    let head = ["limit", "key", "stage", "mode", "admits", "last minute"].map(str::to_owned);
    table(&[vec![head], rows].concat())
}

fn per_minute(of: &Value) -> String {
    let words = [("admitted", "admitted"), ("refused", "refused"), ("would_refuse", "would be refused")];
    let counts = words.iter().filter_map(|(name, word)| Some((number(of, name).filter(|count| *count > 0)?, word)));
    counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// Who uses a limit most.
pub(super) fn top(answer: &Value) -> String {
    let mut lines = format!("{} · {}\n", text(answer, "limit"), text(answer, "key"));
    for (name, title) in [("most_charged", "charged most"), ("most_refused", "refused most")] {
        let keys = answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        // A string takes everything.
        let _ = writeln!(lines, "{title}, within the last minutes:");
        if keys.is_empty() {
            lines.push_str("  nobody\n");
        }
        for key in keys {
            let _ = writeln!(lines, "{:>8}  {}", number(key, "requests").unwrap_or_default(), text(key, "key"));
        }
    }
    lines
}

fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            // A string takes everything.
            let _ = write!(line, "{cell:width$}  ", width = width(column).unwrap_or_default());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One key.
pub(super) fn key(answer: &Value) -> String {
    let mut lines = format!("{} · {}\n", text(answer, "limit"), text(answer, "key"));
    let mut line = |name: &str, value: &str| {
        // A string takes everything.
        let _ = writeln!(lines, "  {name:<14}{value}");
    };
    let mut is_first = true;
    for name in ["rate", "quota", "concurrent"] {
        let Some(bound) = answer.get(name) else { continue };
        let bound = bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
        let own = format!("{name}_remaining");
        let remaining = number(answer, if is_first { "remaining" } else { &own }).unwrap_or_default();
        is_first = false;
        line(name, &format!("{bound}, {remaining} left"));
    }
    if is_first {
        line("admits", "everything on this plan");
    }
    match number(answer, "retry_after_ms").unwrap_or_default() {
        0 => line("now", "a request would be admitted"),
        wait_ms => line("now", &format!("refused for {}", words::duration(Duration::from_millis(wait_ms)))),
    }
    if let Some(pending) = number(answer, "pending").filter(|pending| *pending > 0) {
        line("reserved", &pending.to_string());
    }
    if !text(answer, "banned_until").is_empty() {
        line("banned until", text(answer, "banned_until"));
    }
    if let Some(set) = answer.get("override").filter(|set| !set.is_null()) {
        line("override", &format!("{} until {}", text(set, "rate"), text(set, "until")));
    }
    line("store", text(answer, "store"));
    if !text(answer, "warning").is_empty() {
        line("warning", text(answer, "warning"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_told_in_words() {
        let answer = json!({
            "limit": "api", "key": "ip:203.0.113.7", "rate": "5/10m", "remaining": 0, "concurrent": 2,
            "concurrent_remaining": 1, "retry_after_ms": 119_001, "pending": 0, "banned_until": null,
            "override": { "rate": "5/10m", "until": "2026-01-01T00:00:00Z" }, "store": "memory",
        });
        let expected = "api · ip:203.0.113.7\n  rate          5/10m, 0 left\n  concurrent    2, 1 left\n  \
                        now           refused for 2m\n  override      5/10m until 2026-01-01T00:00:00Z\n  store         memory\n";
        assert_eq!(key(&answer), expected);
    }

    #[test]
    fn limits_are_told_in_columns() {
        let bounds = json!([{ "plan": "free", "bound": "5/m" }, { "plan": null, "bound": "2 at a time" }]);
        let answer = json!({ "limits": [
            { "limit": "api", "key": "user", "stage": "quota", "mode": "enforce", "bounds": bounds,
              "per_minute": { "admitted": 5, "refused": 2, "would_refuse": 0 } },
        ] });
        let expected = "limit  key   stage  mode     admits                 last minute\n\
                        api    user  quota  enforce  free 5/m, 2 at a time  5 admitted, 2 refused\n";
        assert_eq!(list(&answer), expected);
    }
}
