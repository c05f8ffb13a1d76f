//! What callgrind writes, as far as it is needed: what each function cost by itself.
//!
//! Names are written once, with a number that stands for them afterwards. Costs of what a function
//! calls are repeated in it, after a `calls` line, and left out here. Lines of source are not read.

use std::collections::{BTreeMap, HashMap};

/// The cost of each function by itself. `None` if that doesn't add up to what the file says.
pub(super) fn self_costs(counts: &str) -> Option<BTreeMap<&str, u64>> {
    let mut names = HashMap::new();
    let mut costs: BTreeMap<&str, u64> = BTreeMap::new();
    let mut function = None;
    let mut total: Option<u64> = None;
    let mut lines = counts.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = Some(named(&mut names, name)?);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            named(&mut names, name)?;
        } else if line.starts_with("calls=") {
            lines.next()?;
        } else if let Some(sum) = line.strip_prefix("totals: ") {
            total = Some(sum.trim().parse().ok()?);
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // A cost of nothing may be left out.
            let cost = line.split_ascii_whitespace().nth(1).map_or(Ok(0), str::parse);
            *costs.entry(function?).or_default() += cost.ok()?;
        }
    }
    (costs.values().sum::<u64>() == total?).then_some(costs)
}

/// `(7) name` says what 7 is, `(7)` means it.
fn named<'c>(names: &mut HashMap<&'c str, &'c str>, written: &'c str) -> Option<&'c str> {
    let Some(numbered) = written.strip_prefix('(') else { return Some(written) };
    let (number, name) = numbered.split_once(')')?;
    if let Some(name) = name.strip_prefix(' ') {
        names.insert(number, name);
    }
    names.get(number).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const SAMPLE: &str = "\
# callgrind format
version: 1
cmd:  palisade run
positions: line
events: Ir
summary: 2000

ob=(1) /usr/bin/palisade
fl=(1) own/mod.rs
fn=(1) palisade_server::connection::own::exchange::{{closure}}
16 100
+3 5
fi=(2) section.rs
-2 7
cob=(2) /lib/libc.so.6
cfi=(3) memmove.S
cfn=(2) __memcpy_avx_unaligned_erms
calls=12 0
* 1200
cfn=(3) palisade_http1::section::Field::parse
calls=1 +30
+1 800
fe=(1)
* 88

ob=(2)
fl=(3)
fn=(2)
250 1200

fn=(3)
40 500
+1
fn=(1)
20 100

totals: 2000
";

    #[test]
    fn calls_are_not_counted_twice() {
        let expected = [
            ("__memcpy_avx_unaligned_erms", 1_200),
            ("palisade_http1::section::Field::parse", 500),
            ("palisade_server::connection::own::exchange::{{closure}}", 300),
        ];
        assert_eq!(self_costs(SAMPLE), Some(BTreeMap::from(expected)));
    }

    #[test]
    fn what_does_not_add_up_is_not_believed() {
        assert_eq!(self_costs(&SAMPLE.replace("totals: 2000", "totals: 2001")), None);
        assert_eq!(self_costs(&SAMPLE.replace("totals: 2000", "")), None);
        assert_eq!(self_costs(&SAMPLE.replace("calls=12 0\n", "")), None);
        assert_eq!(self_costs(&SAMPLE.replace("cfn=(3) palisade_http1::section::Field::parse\n", "")), None);
        assert_eq!(self_costs("fn=main\n1 x\ntotals: 0\n"), None);
        assert_eq!(self_costs("1 2\nfn=main\ntotals: 2\n"), None);
    }
}
