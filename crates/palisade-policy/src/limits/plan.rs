//! One value for everybody, or one for each plan.

use std::cmp::Ordering;

use palisade_core::{Identity, Quota, Rate};

/// A value for each plan; `None` is `unlimited`.
#[derive(Clone, Debug, PartialEq)]
pub struct ByPlan<T> {
    entries: Box<[(Box<str>, Option<T>)]>,
    /// For whom no entry is: everybody, if there are no plans.
    others: Option<T>,
    /// For anonymous ones without an entry.
    anonymous: Option<T>,
    kind: Kind,
}

/// Whether there are plans at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Everybody,
    Plans,
}

/// What can be put in an order by how little it admits.
pub trait Strict {
    /// Less: stricter.
    fn compare(&self, other: &Self) -> Ordering;
}

impl<T: Clone + Strict> ByPlan<T> {
    /// The same for everybody.
    pub fn everybody(value: Option<T>) -> Self {
        Self { entries: Box::default(), others: value.clone(), anonymous: value, kind: Kind::Everybody }
    }

    /// One for each plan. Whoever has none of them gets `default`, else the strictest entry other
    /// than `anon`; anonymous ones without an entry get the strictest.
    pub fn plans(entries: Vec<(Box<str>, Option<T>)>) -> Self {
        let find = |name: &str| entries.iter().find(|(plan, _)| **plan == *name).map(|(_, value)| value.clone());
        let strictest = |but: &str| {
            let values = entries.iter().filter(|(plan, _)| **plan != *but).map(|(_, value)| value);
            values.min_by(|a, b| stricter(a.as_ref(), b.as_ref())).cloned()
        };
        let others = find("default").or_else(|| strictest("anon")).or_else(|| strictest("")).flatten();
        let anonymous = find("anon").or_else(|| strictest("")).flatten();
        Self { entries: entries.into(), others, anonymous, kind: Kind::Plans }
    }

    /// The same plans with other values.
    pub(super) fn map<U>(self, mut make: impl FnMut(T) -> U) -> ByPlan<U> {
        ByPlan {
            entries: self.entries.into_iter().map(|(plan, value)| (plan, value.map(&mut make))).collect(),
            others: self.others.map(&mut make),
            anonymous: self.anonymous.map(&mut make),
            kind: self.kind,
        }
    }
}

impl<T> ByPlan<T> {
    /// The value for who sent a request; `None`: unlimited.
    pub(super) fn of(&self, identity: &Identity) -> Option<&T> {
        let find = |plan: &str| self.entries.iter().find(|(name, _)| **name == *plan).map(|(_, value)| value);
        let value = match identity {
            Identity::Anonymous => &self.anonymous,
            Identity::User(user) => user.plan.as_deref().and_then(find).unwrap_or(&self.others),
        };
        value.as_ref()
    }

    /// Whether it depends on who sent the request.
    pub(super) fn needs_identity(&self) -> bool {
        self.kind == Kind::Plans
    }

    /// Every plan's value, or the one for everybody.
    pub(super) fn each(&self) -> Vec<(Option<&str>, Option<&T>)> {
        match self.kind {
            Kind::Everybody => vec![(None, self.others.as_ref())],
            Kind::Plans => self.entries.iter().map(|(plan, value)| (Some(&**plan), value.as_ref())).collect(),
        }
    }

    /// Every value.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        let entries = self.entries.iter().filter_map(|(_, value)| value.as_ref());
        entries.chain(&self.others).chain(&self.anonymous)
    }
}

/// `unlimited` is the least strict.
fn stricter<T: Strict>(one: Option<&T>, other: Option<&T>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.compare(other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

impl Strict for Rate {
    /// By what is admitted over a long time, then at once.
    fn compare(&self, other: &Self) -> Ordering {
        // Cross-multiplied: less per time is less count for the other's window.
        let pace = |rate: &Self, of: &Self| u128::from(rate.count()) * of.window().as_nanos();
        pace(self, other).cmp(&pace(other, self)).then(self.burst().cmp(&other.burst()))
    }
}

impl Strict for u32 {
    fn compare(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl Strict for Quota {
    fn compare(&self, other: &Self) -> Ordering {
        self.pace().cmp(&other.pace())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use palisade_core::identity::User;

    use super::*;

    fn rate(count: u32) -> Option<Rate> {
        Rate::new(count, Duration::from_secs(60), count)
    }

    fn user(plan: Option<&str>) -> Identity {
        Identity::User(Arc::new(User { plan: plan.map(str::to_owned), ..User::default() }))
    }

    #[test]
    fn whose_plan_is_missing_gets_the_default_or_the_strictest() {
        let check = |plans: &[(&str, Option<Rate>)], expected: [Option<u32>; 4]| {
            let plans = plans.iter().map(|(plan, rate)| (Box::from(*plan), *rate)).collect();
            let by_plan = ByPlan::plans(plans);
            let asked = [Identity::Anonymous, user(None), user(Some("free")), user(Some("pro"))];
            assert_eq!(asked.map(|who| by_plan.of(&who).map(|rate| rate.count())), expected);
        };
        check(&[("anon", rate(1)), ("free", rate(5)), ("pro", rate(9))], [Some(1), Some(5), Some(5), Some(9)]);
        check(&[("anon", rate(1)), ("pro", rate(9))], [Some(1), Some(9), Some(9), Some(9)]);
        check(&[("default", rate(7)), ("pro", rate(9))], [Some(7), Some(7), Some(7), Some(9)]);
        check(&[("free", rate(5)), ("pro", None)], [Some(5), Some(5), Some(5), None]);
        check(&[("pro", None)], [None; 4]);
        check(&[("anon", rate(1))], [Some(1); 4]);
        let everybody = ByPlan::everybody(rate(3));
        assert_eq!(everybody.of(&user(Some("pro"))).map(|rate| rate.count()), Some(3));
    }

    #[test]
    fn the_slower_rate_is_the_stricter_whatever_the_windows() {
        let rate = |count, window_s, burst| Rate::new(count, Duration::from_secs(window_s), burst).unwrap();
        assert_eq!(rate(60, 60, 60).compare(&rate(59, 60, 1_000)), Ordering::Greater);
        assert_eq!(rate(1, 1, 1).compare(&rate(60, 60, 60)), Ordering::Less, "by the burst");
        assert_eq!(rate(100, 3_600, 100).compare(&rate(2, 60, 2)), Ordering::Less);
    }
}
