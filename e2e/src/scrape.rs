//! Metrics, read as Prometheus reads its text format.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// Type of each family.
    pub types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Reads the text, line by line; a line that is not of the format is a failure.
    pub fn read(text: &str) -> Self {
        let mut scrape = Self { types: BTreeMap::new(), samples: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                Some((name, kind)) => {
                    let before = scrape.types.insert(name.to_owned(), kind.to_owned());
                    assert!(before.is_none(), "two types of {name}");
                }
                None if line.starts_with("# HELP ") => (),
                None => scrape.samples.push(sample(line).unwrap_or_else(|| panic!("not a sample: {line}"))),
            }
        }
        for sample in &scrape.samples {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.name.strip_suffix(suffix));
            let typed =
                scrape.types.contains_key(&sample.name) || family.is_some_and(|name| scrape.types.contains_key(name));
            assert!(typed, "{} has no type", sample.name);
        }
        scrape
    }

    /// The sum over all samples of `name` that carry these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matches = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        self.samples.iter().filter(matches).map(|sample| sample.value).sum()
    }

    /// Every value of `label` among the samples of `name`.
    pub fn values(&self, name: &str, label: &str) -> Vec<&str> {
        let mut values: Vec<&str> = self
            .samples
            .iter()
            .filter(|sample| sample.name == name)
            .filter_map(|sample| sample.labels.get(label).map(String::as_str))
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// `name{label="value",…} 1.5`
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        number => number.parse().ok()?,
    };
    let Some((name, rest)) = series.split_once('{') else {
        return is_name(series).then(|| Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut rest = rest.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"")?;
        let (text, after) = quoted(after)?;
        if !is_name(label) || labels.insert(label.to_owned(), text).is_some() {
            return None;
        }
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    is_name(name).then(|| Sample { name: name.to_owned(), labels, value })
}

/// Text up to the closing quote, with escapes undone, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped @ ('"' | '\\') => escaped,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_format_is_read() {
        let text = "# HELP a Help.\n# TYPE a counter\na{x=\"1\",y=\"q\\\"{},= \\n\"} 2\na{x=\"2\"} 3.5\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n";
        let scrape = Scrape::read(text);
        assert_eq!(scrape.sum("a", &[]), 5.5);
        assert_eq!(scrape.sum("a", &[("x", "1")]), 2.0);
        assert_eq!(scrape.values("a", "y"), ["q\"{},= \n"]);
    }

    #[test]
    fn broken_lines_are_no_samples() {
        for line in ["a{x=1} 2", "a{x=\"1} 2", "a{x=\"1\",x=\"2\"} 3", "a b", "a-b 1", "a{x=\"1\"} NaNa"] {
            assert!(sample(line).is_none(), "{line}");
        }
    }
}
