//! Which label values exist, and how many label sets there may be.
//!
//! A route's label gets a slot when it is first seen and keeps it for the life of the process, so
//! that no counter falls when a reload moves, drops or brings back a route. Workers come here only
//! when they see a label or a label set for the first time; what was found they keep.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::cell::Slots;

/// A route's place, the same for all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(pub(crate) u16);

impl Slot {
    /// Where label sets beyond the bound are counted.
    pub(crate) const OTHER: Self = Self(0);
}

/// A plan's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan(pub(crate) u8);

impl Plan {
    /// No plan.
    pub(crate) const ABSENT: Self = Self(0);
    /// Any plan but those with a label of their own.
    pub(crate) const OTHER: Self = Self(1);
    /// Of those who didn't say who they are.
    pub(crate) const ANON: Self = Self(2);

    /// The place of a plan's label. Closed, so that no identity can make labels.
    pub(crate) fn of(name: Option<&str>) -> Self {
        match name {
            None => Self::ABSENT,
            Some("anon") => Self::ANON,
            Some(_) => Self::OTHER,
        }
    }

    /// The label; `None` for the absent one.
    pub(crate) fn label(self) -> Option<&'static str> {
        match self {
            Self::ANON => Some("anon"),
            Self::OTHER => Some("other"),
            _ => None,
        }
    }
}

/// How many plans there are: those above.
pub(crate) const PLANS: usize = 3;

/// What a label set is about; the outcome aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SeriesKey {
    pub(crate) slot: Slot,
    pub(crate) method: usize,
    pub(crate) class: usize,
    pub(crate) plan: Plan,
}

/// Label sets that each configured route may use whatever else there is: first byte, stream, bytes
/// of two methods, and latency and one outcome of five combinations of method, class and plan.
pub const SETS_PER_ROUTE: usize = 16;

/// Labels and label sets.
#[derive(Debug)]
pub(crate) struct Registry {
    routes: Slots<Arc<str>>,
    books: Mutex<Books>,
    sets: AtomicUsize,
    overflow: AtomicU64,
}

#[derive(Debug)]
struct Books {
    sets_max: usize,
    slots: HashMap<Arc<str>, Slot>,
    uses: Vec<RouteUse>,
    series: HashMap<SeriesKey, u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct RouteUse {
    configured: bool,
    sets: usize,
    /// A bit per method with bytes.
    methods: u8,
}

impl Registry {
    /// A registry without routes.
    pub(crate) fn new(sets_max: usize) -> Self {
        let registry = Self {
            routes: Slots::new(),
            books: Mutex::new(Books { sets_max, slots: HashMap::new(), uses: Vec::new(), series: HashMap::new() }),
            sets: AtomicUsize::new(0),
            overflow: AtomicU64::new(0),
        };
        registry.slot("other");
        registry
    }

    /// The routes of a new snapshot: each has [`SETS_PER_ROUTE`] sets reserved.
    pub(crate) fn configure<'a>(&self, routes: impl IntoIterator<Item = &'a str>) {
        let slots: Vec<Slot> = routes.into_iter().map(|route| self.slot(route)).collect();
        let mut books = self.lock();
        for route in &mut books.uses {
            route.configured = false;
        }
        for slot in slots {
            if let Some(route) = books.uses.get_mut(usize::from(slot.0)) {
                route.configured = true;
            }
        }
    }

    /// The slot of a route's label.
    pub(crate) fn slot(&self, label: &str) -> Slot {
        let mut books = self.lock();
        if let Some(slot) = books.slots.get(label) {
            return *slot;
        }
        let place = books.slots.len();
        let label: Arc<str> = label.into();
        // Full after 65,536 labels over all reloads.
        let (Ok(number), Some(_)) = (u16::try_from(place), self.routes.fill(place, || label.clone())) else {
            return Slot::OTHER;
        };
        books.slots.insert(label, Slot(number));
        books.uses.push(RouteUse::default());
        Slot(number)
    }

    /// Whether a label set may be used. Asked once per worker and set.
    pub(crate) fn admit(&self, key: SeriesKey, outcome: usize) -> Admission {
        let mut books = self.lock();
        let Some(mut route) = books.uses.get(usize::from(key.slot.0)).copied() else { return Admission::Overflow };
        let known = books.series.get(&key).copied();
        let outcome = 1 << outcome;
        if known.is_some_and(|outcomes| outcomes & outcome != 0) {
            return Admission::Use;
        }

        let method = 1 << key.method;
        let new_route = if route.methods == 0 { 2 } else { 0 };
        let new_method = if route.methods & method == 0 { 2 } else { 0 };
        let new_series = if known.is_none() { 1 } else { 0 };
        let cost = new_route + new_method + new_series + 1;
        let own = route.configured && route.sets + cost <= SETS_PER_ROUTE;
        let fits = self.sets.load(Ordering::Relaxed) + books.reserved() + cost <= books.sets_max;
        if !own && !fits && key.slot != Slot::OTHER {
            self.overflow.fetch_add(1, Ordering::Relaxed);
            return Admission::Overflow;
        }

        route.methods |= method;
        route.sets += cost;
        if let Some(place) = books.uses.get_mut(usize::from(key.slot.0)) {
            *place = route;
        }
        *books.series.entry(key).or_default() |= outcome;
        self.sets.fetch_add(cost, Ordering::Relaxed);
        Admission::Use
    }

    /// A route's label. Takes no lock, like everything that a scrape reads here.
    pub(crate) fn route_label(&self, slot: usize) -> Option<&str> {
        self.routes.find(slot).map(|label| &**label)
    }

    /// Label sets in use.
    pub(crate) fn sets(&self) -> usize {
        self.sets.load(Ordering::Relaxed)
    }

    /// Label sets that found no place.
    pub(crate) fn overflow(&self) -> u64 {
        self.overflow.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        // The books are consistent after each statement; a panic elsewhere changes nothing.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Sets that are reserved and not in use yet.
    fn reserved(&self) -> usize {
        let configured = self.uses.iter().filter(|route| route.configured);
        configured.map(|route| SETS_PER_ROUTE.saturating_sub(route.sets)).sum()
    }
}

/// Whether a label set may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Use,
    /// It is counted as route `other`.
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: Slot, method: usize) -> SeriesKey {
        SeriesKey { slot, method, class: 1, plan: Plan::ABSENT }
    }

    #[test]
    fn a_label_keeps_its_slot() {
        let registry = Registry::new(1_000);
        let slot = registry.slot("/a");
        registry.configure(["/b"]);
        registry.configure(["/b", "/a"]);
        assert_eq!(registry.slot("/a"), slot);
        assert_eq!(registry.route_label(usize::from(slot.0)), Some("/a"));
        assert_eq!(registry.slot("other"), Slot::OTHER);
    }

    #[test]
    fn sets_are_counted_once_however_many_workers_ask() {
        let registry = Registry::new(1_000);
        let slot = registry.slot("/a");
        for _ in 0..3 {
            assert_eq!(registry.admit(key(slot, 0), 0), Admission::Use);
        }
        assert_eq!(registry.sets(), 6);
        registry.admit(key(slot, 0), 1);
        assert_eq!(registry.sets(), 7);
        registry.admit(key(slot, 1), 0);
        assert_eq!(registry.sets(), 11);
    }

    #[test]
    fn guesses_take_no_place_of_configured_routes() {
        let registry = Registry::new(2 * SETS_PER_ROUTE + 6);
        registry.configure(["/a", "/b"]);
        assert_eq!(registry.admit(key(registry.slot("~/x"), 0), 0), Admission::Use);
        assert_eq!(registry.admit(key(registry.slot("~/y"), 0), 0), Admission::Overflow);
        for route in ["/a", "/b"] {
            let slot = registry.slot(route);
            for method in 0..3 {
                assert_eq!(registry.admit(key(slot, method), 0), Admission::Use);
            }
            assert_eq!(registry.admit(key(slot, 3), 0), Admission::Overflow);
        }
        assert_eq!(registry.overflow(), 3);
        assert_eq!(registry.admit(key(Slot::OTHER, 0), 0), Admission::Use);
    }

    #[test]
    fn plans_are_a_closed_set() {
        for (plan, label) in [(None, None), (Some("anon"), Some("anon")), (Some("made up"), Some("other"))] {
            assert_eq!(Plan::of(plan).label(), label, "{plan:?}");
            assert!(usize::from(Plan::of(plan).0) < PLANS);
        }
    }
}
