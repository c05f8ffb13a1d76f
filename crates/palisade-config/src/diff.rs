//! What changes from one configuration to the next.

use std::collections::BTreeMap;
use std::fmt;

use crate::Snapshot;
use crate::document::default_of;

/// A key whose effective value is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value before; `None`: it had none.
    pub before: Option<String>,
    /// Its value now; `None`: it has none any more.
    pub after: Option<String>,
}

/// Keys that only a start takes over: they are about what exists once per process.
const AT_START: [&str; 14] = [
    "admin.hosts",
    "admin.listen",
    "app.engine",
    "app.listen",
    "app.tls.redirect",
    "app.workers",
    "limits.store_deadline",
    "limits.table",
    "performance.max_series",
    "performance.queue",
    "store.counters",
    "store.counters.env",
    "store.counters.file",
    "store.directory",
];

/// Every key whose effective value differs, in the order of the keys.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let mut values: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for effective in before.document.values() {
        values.entry(effective.key).or_default().0 = Some(effective.value);
    }
    for effective in after.document.values() {
        values.entry(effective.key).or_default().1 = Some(effective.value);
    }
    let changes = values.into_iter().filter(|(_, (before, after))| before != after);
    changes.map(|(key, (before, after))| Change { key, before, after }).collect()
}

/// Those of the changes that a running gateway can't take over.
pub fn restart_keys(changes: &[Change]) -> Vec<&Change> {
    changes.iter().filter(|change| AT_START.contains(&change.key.as_str()) && change.is_felt()).collect()
}

impl Change {
    /// Whether anything is different. What belongs to a table that isn't written has its default all
    /// the same.
    fn is_felt(&self) -> bool {
        let default = default_of(&self.key);
        self.before.as_ref().or(default.as_ref()) != self.after.as_ref().or(default.as_ref())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
        write!(f, "{}: {} → {}", self.key, side(&self.before), side(&self.after))
    }
}
