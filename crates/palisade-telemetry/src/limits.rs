//! Who uses limits most, for operators.
//!
//! Made from records, so that a request pays nothing for it. For each limit the keys of the last
//! minutes are counted in a table of fixed size; what doesn't fit takes one from everybody (Misra and
//! Gries, "Finding repeated elements", 1982), so that a flood of keys seen once never displaces who
//! is there again and again. Counts are therefore lower bounds, short by a thousandth of all requests
//! at most.
//!
//! Keys are told by what records hold: address, user, route, API key, claims. Of a header or a field of
//! a body only the counter's hash is known, by which `palisade limit show` finds it as well.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::time::Duration;

use palisade_core::escape::escape;
use palisade_core::{KeyHash, Mode, Monotonic, Record, Said, Shown, Tally};

/// Keys that are counted for each limit.
const KEYS_MAX: usize = 1_024;
/// Limits that are followed. A configuration has 64 at most; names that a reload brings come beside.
const LIMITS_MAX: usize = 256;
/// Keys that are told.
const TOLD_MAX: usize = 20;
/// How long keys are counted together. Told are this one and the one before.
const WINDOW: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

/// What became of requests in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerMinute {
    /// Let through.
    pub admitted: u64,
    /// Refused.
    pub refused: u64,
    /// Would have been refused, were the limit enforced.
    pub would_refuse: u64,
}

/// How a limit was used of late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitUse {
    /// Within the last minute, as good as is known: of the minute before this one in proportion.
    pub per_minute: PerMinute,
    /// The keys that were charged most within the last five to ten minutes, with how many requests.
    pub most_charged: Vec<(Box<str>, u64)>,
    /// Those that were refused most.
    pub most_refused: Vec<(Box<str>, u64)>,
}

/// Follows all limits, each in the place where it was first seen.
#[derive(Debug, Default)]
pub(crate) struct Uses(Vec<(Box<str>, Use)>);

#[derive(Debug, Default)]
struct Use {
    minutes: Windows<PerMinute>,
    charged: Windows<Counts>,
    refused: Windows<Counts>,
}

/// One window after the other.
#[derive(Debug, Default)]
struct Windows<T> {
    /// Which one this is, counted from the beginning of the clock.
    number: u64,
    current: T,
    last: T,
}

/// Keys with how often each was seen, at least.
#[derive(Debug, Default)]
struct Counts(HashMap<KeyHash, (Box<str>, u64), BuildHasherDefault<Hashed>>);

/// A key is a hash under a secret, or one that nobody finds two texts for, already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

impl Uses {
    /// Counts what limits said about a request.
    pub(crate) fn see(&mut self, record: &Record) {
        let now = record.now.monotonic.plus(record.duration);
        for tallies in record.limits.chunk_by(|one, other| one.item.limit == other.item.limit) {
            // A wider prefix is no key that anybody was asked for.
            let mut own = tallies.iter().filter(|tally| tally.item.shown != Shown::Refusing);
            let Some(tally) = own.clone().find(|tally| tally.refuses()).or_else(|| own.next()) else { continue };
            if tally.said == Said::Spare {
                continue;
            }
            if let Some(of) = self.find(&tally.item.limit) {
                of.see(tally, record, now);
            }
        }
    }

    /// How a limit was used.
    pub(crate) fn of(&mut self, limit: &str, now: Monotonic) -> LimitUse {
        let of = self.0.iter_mut().find(|(name, _)| **name == *limit);
        of.map(|(_, of)| of.tell(now)).unwrap_or_default()
    }

    /// A request meets few limits, and those of one configuration lie together at the beginning.
    fn find(&mut self, limit: &str) -> Option<&mut Use> {
        let place = match self.0.iter().position(|(name, _)| **name == *limit) {
            Some(place) => place,
            None if self.0.len() >= LIMITS_MAX => return None,
            None => {
                self.0.push((limit.into(), Use::default()));
                self.0.len() - 1
            }
        };
        self.0.get_mut(place).map(|(_, of)| of)
    }
}

impl Use {
    fn see(&mut self, tally: &Tally, record: &Record, now: Monotonic) {
        let minute = self.minutes.at(now, MINUTE);
        let counts = match (tally.refuses(), tally.mode) {
            (false, _) => {
                minute.admitted += 1;
                &mut self.charged
            }
            (true, Mode::Report) => {
                minute.would_refuse += 1;
                &mut self.refused
            }
            (true, Mode::Enforce | Mode::Off) => {
                minute.refused += 1;
                &mut self.refused
            }
        };
        counts.at(now, WINDOW).see(tally.key, || text(tally, record));
    }

    fn tell(&mut self, now: Monotonic) -> LimitUse {
        let current = *self.minutes.at(now, MINUTE);
        let minute_ns = u128::from(u64::try_from(MINUTE.as_nanos()).unwrap_or(u64::MAX));
        let rest_ns = minute_ns - u128::from(now.as_nanos()) % minute_ns;
        let last = self.minutes.last;
        // No more than there were.
        let sum = |current: u64, last: u64| current + (u128::from(last) * rest_ns).div_ceil(minute_ns) as u64;
        let most = |counts: &mut Windows<Counts>| {
            counts.at(now, WINDOW);
            let mut sums: HashMap<KeyHash, (&str, u64)> = HashMap::new();
            for (key, (text, count)) in counts.current.0.iter().chain(&counts.last.0) {
                sums.entry(*key).or_insert((text, 0)).1 += count;
            }
            let mut most: Vec<_> = sums.into_values().map(|(text, count)| (Box::from(text), count)).collect();
            most.sort_unstable_by(|(text, count): &(Box<str>, u64), (other, more)| {
                more.cmp(count).then(text.cmp(other))
            });
            most.truncate(TOLD_MAX);
            most
        };
        LimitUse {
            per_minute: PerMinute {
                admitted: sum(current.admitted, last.admitted),
                refused: sum(current.refused, last.refused),
                would_refuse: sum(current.would_refuse, last.would_refuse),
            },
            most_charged: most(&mut self.charged),
            most_refused: most(&mut self.refused),
        }
    }
}

impl<T: Default> Windows<T> {
    /// The window that `now` is in. An instant before it counts in it.
    fn at(&mut self, now: Monotonic, length: Duration) -> &mut T {
        let number = (now.as_nanos() / u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)).max(self.number);
        match number - self.number {
            0 => {}
            1 => self.last = mem::take(&mut self.current),
            _ => (self.last, self.current) = (T::default(), T::default()),
        }
        self.number = number;
        &mut self.current
    }
}

impl Counts {
    fn see(&mut self, key: KeyHash, text: impl FnOnce() -> Box<str>) {
        if let Some((_, count)) = self.0.get_mut(&key) {
            *count += 1;
        } else if self.0.len() < KEYS_MAX {
            self.0.insert(key, (text(), 1));
        } else {
            // As often as once in a thousand requests: each takes a thousand counts along.
            self.0.retain(|_, (_, count)| {
                *count -= 1;
                *count > 0
            });
        }
    }
}

/// The key as operators write it.
fn text(tally: &Tally, record: &Record) -> Box<str> {
    let address = || format!("ip:{}", record.client.addr());
    let value =
        |kind: &str, value: Option<&str>| value.map_or_else(address, |value| format!("{kind}:{}", escape(value, b"+")));
    let part = |part: &str| match part {
        "ip" => Some(address()),
        "user" => Some(value(part, record.identity.subject())),
        "api_key" => Some(value(part, record.identity.api_key())),
        "route" => Some(value(part, Some(&record.route_label))),
        "global" => Some("global".to_owned()),
        _ => part.strip_prefix("claim.").map(|path| value(part, record.identity.claim(path))),
    };
    let parts: Option<Vec<_>> = tally.item.key.split(" + ").map(part).collect();
    parts.map_or_else(|| format!("#{:032x}", tally.key.0), |parts| parts.join("+")).into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use palisade_core::identity::User;
    use palisade_core::{Identity, Item, Now};

    use super::*;
    use crate::testing::{record, tally};

    fn seen(seconds: u64, key: u128, said: Said) -> Record {
        let monotonic = Monotonic::from_nanos(seconds * 1_000_000_000);
        let tally = Tally { key: KeyHash(key), ..tally("api", Mode::Enforce, said, 1) };
        let record = record();
        Record {
            now: Now { monotonic, ..record.now },
            duration: Duration::ZERO,
            limits: vec![tally],
            client: std::net::IpAddr::from((key as u32).to_be_bytes()).into(),
            ..record
        }
    }

    fn told(uses: &mut Uses, seconds: u64) -> LimitUse {
        uses.of("api", Monotonic::from_nanos(seconds * 1_000_000_000))
    }

    #[test]
    fn a_flood_displaces_nobody_who_comes_again_and_again() {
        let mut uses = Uses::default();
        for number in 0..100_000 {
            uses.see(&seen(1, 1 << 40 | number, Said::Admit));
            if number % 10 == 0 {
                uses.see(&seen(1, 7, Said::Refuse));
                uses.see(&seen(1, 9, Said::Admit));
            }
        }
        let told = told(&mut uses, 2);
        assert_eq!(told.most_refused, [("ip:0.0.0.7".into(), 10_000)]);
        let (first, count) = &told.most_charged[0];
        assert!(&**first == "ip:0.0.0.9" && *count > 10_000 - 110_000 / 1_024 - 1, "{first} {count}");
        assert_eq!(told.most_charged.len(), TOLD_MAX);
        assert!(uses.0[0].1.charged.current.0.len() <= KEYS_MAX);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut uses = Uses::default();
        (0..3).for_each(|_| uses.see(&seen(30, 7, Said::Admit)));
        uses.see(&seen(30, 7, Said::Ban));
        let minute = |uses: &mut Uses, seconds| told(uses, seconds).per_minute;
        assert_eq!(minute(&mut uses, 59), PerMinute { admitted: 3, refused: 1, would_refuse: 0 });
        assert_eq!(minute(&mut uses, 60), PerMinute { admitted: 3, refused: 1, would_refuse: 0 });
        assert_eq!(minute(&mut uses, 100), PerMinute { admitted: 1, refused: 1, would_refuse: 0 }, "in proportion");
        assert_eq!(minute(&mut uses, 120), PerMinute::default());
        assert_eq!(told(&mut uses, 599).most_charged, [("ip:0.0.0.7".into(), 3)]);
        assert_eq!(told(&mut uses, 600).most_charged, []);
    }

    #[test]
    fn keys_are_told_as_they_are_written() {
        let user = User { subject: "g:4+2".to_owned(), api_key: Some("k1".to_owned()), ..User::default() };
        for (key, identity, expected) in [
            ("ip", Identity::Anonymous, "ip:203.0.113.7"),
            ("user + route", Identity::Anonymous, "ip:203.0.113.7+route:/api/chat"),
            ("user + route", Identity::User(Arc::new(user.clone())), "user:g:4%2B2+route:/api/chat"),
            ("api_key", Identity::User(Arc::new(user)), "api_key:k1"),
            ("claim.org", Identity::Anonymous, "ip:203.0.113.7"),
            ("global", Identity::Anonymous, "global"),
            ("ip + header.x-a", Identity::Anonymous, "#00000000000000000000000000000005"),
        ] {
            let tally = tally("api", Mode::Enforce, Said::Admit, 1);
            let item = Arc::new(Item { key: key.into(), ..Item::clone(&tally.item) });
            let tally = Tally { item, key: KeyHash(5), ..tally };
            assert_eq!(&*text(&tally, &Record { identity, ..record() }), expected);
        }
    }
}
