//! What is sent: the committed cases, and mutations of them.

use std::fmt;

/// What one client sends on its connection.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// What our own engine makes of it; nobody knows that of a mutation.
    pub(crate) own: Option<Own>,
}

/// How many whole requests reach the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// So many, and the one behind them.
    Passes(usize),
    /// So many, and nothing behind them.
    Ends(usize),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.bytes[..self.bytes.len().min(600)];
        write!(f, "{}: \"{}\"", self.name, shown.escape_ascii())
    }
}

/// The committed cases.
pub(crate) fn committed() -> Vec<Case> {
    let lines = include_str!("corpus.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| case(line).unwrap_or_else(|| panic!("not a case: {line}"))).collect()
}

fn case(line: &str) -> Option<Case> {
    let (name, rest) = line.split_once(" | ")?;
    let (own, text) = rest.split_once(" | ")?;
    let (word, count) = own.split_once(' ')?;
    let count = count.parse().ok()?;
    let own = match word {
        "passes" => Own::Passes(count),
        "ends" => Own::Ends(count),
        _ => return None,
    };
    Some(Case { name: name.to_owned(), bytes: bytes(text)?, own: Some(own) })
}

/// Text with escapes as the bytes that it stands for.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        match sign {
            '\\' => {
                let (escape, after) = rest.split_at_checked(1)?;
                rest = after;
                match escape {
                    "r" => out.push(b'\r'),
                    "n" => out.push(b'\n'),
                    "t" => out.push(b'\t'),
                    "\\" => out.push(b'\\'),
                    "x" => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        out.push(u8::from_str_radix(digits, 16).ok()?);
                        rest = after;
                    }
                    _ => return None,
                }
            }
            '{' => {
                let end = closing(rest)?;
                out.extend(named(&rest[..end])?);
                rest = &rest[end + 1..];
            }
            sign => out.extend(sign.to_string().bytes()),
        }
    }
    Some(out)
}

/// Where the brace closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, sign)| {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        None
    })
}

fn named(text: &str) -> Option<Vec<u8>> {
    match text {
        "get" => bytes(r"GET /a HTTP/1.1\r\nHost: localhost\r\n"),
        "post" => bytes(r"POST /a HTTP/1.1\r\nHost: localhost\r\n"),
        "smuggled" => bytes(r"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        _ => {
            let (count, text) = text.split_once('*')?;
            Some(bytes(text)?.repeat(count.parse().ok()?))
        }
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What senders put in by mistake or on purpose.
const ODD: [&[u8]; 20] = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\xff",
    b":",
    b",",
    b";",
    b"0",
    b"+",
    b"\r\n\r\n",
    b"\r\n ",
    b"chunked",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

/// So many variations of short cases.
pub(crate) fn mutations(cases: &[Case], count: usize, random: &mut Random) -> Vec<Case> {
    let short: Vec<&Case> = cases.iter().filter(|case| case.bytes.len() < 1_000).collect();
    let mutation = |number: usize| {
        let case = random.pick(&short);
        let mut bytes = case.bytes.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, random);
        }
        Case { name: format!("{} (mutation {number})", case.name), bytes, own: None }
    };
    (0..count).map(mutation).collect()
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(6) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 | 2 => {
            let odd = *random.pick(&ODD);
            bytes.splice(at..at, odd.iter().copied());
        }
        // One of the bytes that frame.
        3 => {
            let framing: Vec<usize> =
                (0..bytes.len()).filter(|at| matches!(bytes[*at], b'\r' | b'\n' | b' ' | b':' | b'0')).collect();
            if !framing.is_empty() {
                bytes.remove(*random.pick(&framing));
            }
        }
        // A line twice.
        4 => {
            let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            if !lines.is_empty() {
                let number = random.below(lines.len());
                *bytes = [&lines[..=number], &lines[number..]].concat().concat();
            }
        }
        _ => bytes.truncate(at),
    }
}
