//! Members of a JSON object.
//!
//! A reader of its own, since all that is wanted is one member and whether it stands twice, which
//! readers into maps forget.

use super::Found;

/// Deeper than anything a form sends.
const DEPTH_MAX: usize = 64;

/// The text is not JSON.
#[derive(Debug)]
struct Broken;

/// The value of a member; dots in its name lead deeper. What is broken has none.
pub(super) fn find(body: &[u8], name: &str) -> Found {
    let [found] = find_each(body, [name]);
    found
}

/// The values of several members, in one reading.
pub(in crate::limits) fn find_each<const N: usize>(body: &[u8], names: [&str; N]) -> [Found; N] {
    let absent = || std::array::from_fn(|_| Found::Absent);
    let Ok(text) = std::str::from_utf8(body) else { return absent() };
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let mut found = absent();
    let wanted: Vec<Wanted<'_>> =
        names.iter().enumerate().map(|(place, name)| Wanted { place, path: Some(name) }).collect();
    match reader.value(&wanted, &mut found, 0) {
        Ok(()) if reader.rest.trim_matches(BLANKS).is_empty() => found,
        Ok(()) | Err(Broken) => absent(),
    }
}

/// A member that is looked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// Its place among all of them.
    place: usize,
    /// What leads to it from here; `None`: it is here.
    path: Option<&'a str>,
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

impl<'a> Wanted<'a> {
    /// The same from inside the member called `key`, if it is there.
    fn inside(self, key: &str) -> Option<Self> {
        let path = self.path?;
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        (first == key).then_some(Self { path: rest, ..self })
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Reads a value, in which members may be wanted.
    fn value(&mut self, wanted: &[Wanted<'_>], found: &mut [Found], depth: usize) -> Result<(), Broken> {
        self.skip_blanks();
        let scalar = match self.rest.bytes().next() {
            _ if depth > DEPTH_MAX => return Err(Broken),
            Some(b'{') => return self.object(wanted, found, depth),
            Some(b'[') => return self.array(found, depth),
            Some(b'"') => {
                self.take('"')?;
                Some(self.string()?)
            }
            Some(_) => Some(self.word()?).filter(|word| word != "null"),
            None => return Err(Broken),
        };
        for Wanted { place, .. } in wanted.iter().filter(|wanted| wanted.path.is_none()) {
            if let (Some(place), Some(text)) = (found.get_mut(*place), &scalar) {
                *place = Found::One(text.clone());
            }
        }
        Ok(())
    }

    fn object(&mut self, wanted: &[Wanted<'_>], found: &mut [Found], depth: usize) -> Result<(), Broken> {
        self.take('{')?;
        if self.next_is('}') {
            return Ok(());
        }
        let mut seen: Vec<String> = Vec::new();
        loop {
            self.skip_blanks();
            self.take('"')?;
            let key = self.string()?;
            self.skip_blanks();
            self.take(':')?;
            let inside: Vec<Wanted<'_>> = wanted.iter().filter_map(|wanted| wanted.inside(&key)).collect();
            self.value(&inside, found, depth + 1)?;
            if !inside.is_empty() {
                if seen.contains(&key) {
                    for Wanted { place, .. } in inside {
                        found.get_mut(place).map(|place| *place = Found::Twice).unwrap_or_default();
                    }
                }
                seen.push(key);
            }
            if self.next_is('}') {
                return Ok(());
            }
            self.take(',')?;
        }
    }

    fn array(&mut self, found: &mut [Found], depth: usize) -> Result<(), Broken> {
        self.take('[')?;
        if self.next_is(']') {
            return Ok(());
        }
        loop {
            self.value(&[], found, depth + 1)?;
            if self.next_is(']') {
                return Ok(());
            }
            self.take(',')?;
        }
    }

    /// A string behind its first quotation mark.
    fn string(&mut self) -> Result<String, Broken> {
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\']).ok_or(Broken)?;
            let plain = self.rest.get(..end).ok_or(Broken)?;
            if plain.bytes().any(|byte| byte < b' ') {
                return Err(Broken);
            }
            text.push_str(plain);
            let is_end = self.rest.as_bytes().get(end) == Some(&b'"');
            self.rest = self.rest.get(end + 1..).ok_or(Broken)?;
            if is_end {
                return Ok(text);
            }
            text.push(self.escaped()?);
        }
    }

    /// What follows a backslash.
    fn escaped(&mut self) -> Result<char, Broken> {
        let character = self.rest.chars().next().ok_or(Broken)?;
        self.rest = self.rest.get(character.len_utf8()..).ok_or(Broken)?;
        match character {
            '"' | '\\' | '/' => Ok(character),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => {
                let unit = self.unit()?;
                if let 0xd800..0xdc00 = unit
                    && let Some(after) = self.rest.strip_prefix("\\u")
                {
                    self.rest = after;
                    let low = self.unit()?;
                    return Ok(char::decode_utf16([unit, low]).next().and_then(Result::ok).unwrap_or('\u{fffd}'));
                }
                // Half of a pair: readers differ, and none takes it for a letter.
                Ok(char::from_u32(unit.into()).unwrap_or('\u{fffd}'))
            }
            _ => Err(Broken),
        }
    }

    fn unit(&mut self) -> Result<u16, Broken> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).ok_or(Broken)?;
        self.rest = self.rest.get(4..).ok_or(Broken)?;
        Ok(unit)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<String, Broken> {
        let end = self.rest.find(|char: char| !char.is_ascii_alphanumeric() && !"+-.".contains(char));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let is_number = word.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            && word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if !is_number && !["true", "false", "null"].contains(&word) {
            return Err(Broken);
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(BLANKS);
    }

    fn take(&mut self, wanted: char) -> Result<(), Broken> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(wanted).ok_or(Broken)?;
        Ok(())
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}
