//! What the author may have meant.

use super::code::Code;
use super::place::{Place, join, typed};
use super::problem::Problem;
use super::tree::Entry;

/// Words of other products and what they are called here: the key's name, if the table has it,
/// else the whole key. Of several the first one that the table has.
const ELSEWHERE: &[(&str, &str)] = &[
    ("address", "listen"),
    ("allowed_hosts", "hosts"),
    ("backend", "upstream"),
    ("bind", "listen"),
    ("body_limit", "max_body"),
    ("cert", "certificate"),
    ("cert_file", "certificate"),
    ("certfile", "certificate"),
    ("client_max_body_size", "max_body"),
    ("csp", "headers.csp"),
    ("domain", "public_url"),
    ("domains", "hosts"),
    ("helmet", "headers"),
    ("host", "public_url"),
    ("http", "app"),
    ("key_file", "key"),
    ("keyfile", "key"),
    ("listen_addr", "listen"),
    ("listen_address", "listen"),
    ("logging", "log"),
    ("max_body_size", "max_body"),
    ("metrics", "performance"),
    ("per_address", "per_ip"),
    ("per_minute", "rate"),
    ("per_minute", "per_ip"),
    ("per_second", "rate"),
    ("per_second", "per_ip"),
    ("port", "listen"),
    ("proxy_pass", "upstream"),
    ("rate", "per_ip"),
    ("rate_limit", "limits"),
    ("rate_limiting", "limits"),
    ("ratelimit", "limits"),
    ("real_ip_header", "client_address_header"),
    ("root_url", "public_url"),
    ("rps", "rate"),
    ("rps", "per_ip"),
    ("security_headers", "headers"),
    ("serve", "app"),
    ("server", "app"),
    ("service", "app"),
    ("set_real_ip_from", "trusted_proxies"),
    ("site_url", "public_url"),
    ("ssl", "tls"),
    ("target", "upstream"),
    ("threads", "workers"),
    ("trust_proxy", "trusted_proxies"),
    ("worker_processes", "workers"),
];

/// The known word nearest to what was written: at most two changes, and at most a third of its
/// length.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = written.chars().count();
    // Longer than any key plus two changes: not worth measuring.
    if length > 64 {
        return None;
    }
    let allowed = 2.min(length / 3);
    known
        .into_iter()
        .map(|word| (distance(written, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The key of the table that was probably meant by another one, which it does not have.
pub(super) fn misspelled<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest(written, known.iter().copied())
}

/// The problem of a key that its table does not have.
pub fn unknown_key(entry: &Entry, table: &Place, known: &[&'static str]) -> Problem {
    let place = table.child(&entry.name, entry.name_span);
    let name = shown(&entry.name);
    let problem = Problem::new(Code::UnknownKey, &place, format!("`{name}` is not a key of {}", table.table()));
    let mut elsewhere = ELSEWHERE.iter().filter(|(word, _)| *word == entry.name).map(|(_, ours)| *ours);
    let sibling = misspelled(&entry.name, known).or_else(|| elsewhere.clone().find(|ours| known.contains(ours)));
    if let Some(meant) = sibling {
        let help = format!("palisade explain {}", typed(&join(&table.key, meant)));
        problem.label(format!("did you mean `{meant}`?")).help(help)
    } else if let Some(meant) = elsewhere.next() {
        problem.label(format!("here that is `{meant}`"))
    } else if known.is_empty() {
        problem.label("this table takes no keys")
    } else {
        problem.label(format!("its keys are {}", known.join(", ")))
    }
}

/// What a message may repeat of a name: its beginning, on one line.
fn shown(name: &str) -> String {
    name.chars().take(64).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// How many insertions, removals, replacements and swaps of neighbours lead from one word to the
/// other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // Rows of the usual table: before the last character, the last one, and the current one.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(a != b);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && from.get(i - 1) == Some(b) && to.get(j - 1) == Some(a);
            if swapped {
                best = best.min(at(&before, j - 1).saturating_add(1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_words() {
        let known = ["rate", "per_ip", "listen", "workers"];
        let check = |written: &str, meant: Option<&str>| assert_eq!(nearest(written, known), meant, "{written}");
        check("raet", Some("rate"));
        check("rat", Some("rate"));
        check("per-ip", Some("per_ip"));
        check("liisten", Some("listen"));
        check("lsiten", Some("listen"));
        check("worker", Some("workers"));
        check("wrker", None);
        check("wrkers", Some("workers"));
        check("re", None);
        check("upstream", None);
        check("", None);
        check(&"w".repeat(100_000), None);
    }

    #[test]
    fn distances() {
        for (from, to, expected) in
            [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }
}
