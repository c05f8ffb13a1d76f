//! Which servers of the application are out of rotation, over all workers.
//!
//! Each worker judges servers by its own connects. A server is out here as soon as one worker takes
//! it out, and back as soon as one that had it out reaches it again: the others try it with their
//! next request. What becomes of a server is told once, and again only after a while, so that one
//! that comes and goes fills no log. Nothing here moves any traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use palisade_core::Monotonic;
use palisade_proxy::health::Standing;

/// Between two lines about one server.
const QUIET: Duration = Duration::from_secs(10);

/// What is known of all servers.
#[derive(Debug, Default)]
pub(crate) struct Rotation(BTreeMap<Arc<str>, Server>);

#[derive(Debug, Default)]
struct Server {
    /// The workers that have it at all.
    known_by: BTreeSet<usize>,
    /// Those of them that have it out.
    out_of: BTreeSet<usize>,
    since: Option<Monotonic>,
    /// How often it went out since that was last told.
    times: u64,
    /// When a line was last told of it.
    told: Option<Monotonic>,
    /// Since when it is out, as it was told.
    told_out: Option<Monotonic>,
}

/// What became of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is out: requests go to others, if there are any.
    Out { server: Arc<str>, times: u64 },
    /// It is back.
    Back { server: Arc<str>, after: Duration },
}

impl Rotation {
    /// Takes over how servers stand with one worker.
    pub(crate) fn post(&mut self, worker: usize, now: Monotonic, servers: impl Iterator<Item = (Arc<str>, Standing)>) {
        // Several groups may have the same server.
        let mut posted: BTreeMap<Arc<str>, bool> = BTreeMap::new();
        for (server, standing) in servers {
            *posted.entry(server).or_default() |= standing != Standing::In;
        }
        for (server, known) in &mut self.0 {
            if !posted.contains_key(server) {
                known.known_by.remove(&worker);
                if known.out_of.remove(&worker) && known.out_of.is_empty() {
                    known.since = None;
                }
            }
        }
        self.0.retain(|_, server| !server.known_by.is_empty());
        for (server, is_out) in posted {
            let server = self.0.entry(server).or_default();
            server.known_by.insert(worker);
            if is_out && server.out_of.insert(worker) && server.since.is_none() {
                server.since = Some(now);
                server.times += 1;
            } else if !is_out && server.out_of.remove(&worker) {
                server.since = None;
            }
        }
    }

    /// What is to be told now.
    pub(crate) fn news(&mut self, now: Monotonic) -> Vec<News> {
        self.0.iter_mut().filter_map(|(name, server)| server.news(name, now)).collect()
    }

    /// The servers that are out, and since when.
    pub(crate) fn out(&self) -> impl Iterator<Item = (Arc<str>, Monotonic)> + '_ {
        self.0.iter().filter_map(|(name, server)| Some((name.clone(), server.since?)))
    }
}

impl Server {
    fn news(&mut self, name: &Arc<str>, now: Monotonic) -> Option<News> {
        if self.told.is_some_and(|told| now.since(told) < QUIET) {
            return None;
        }
        let server = name.clone();
        let news = match (self.since, self.told_out) {
            (Some(_), None) => News::Out { server, times: std::mem::take(&mut self.times) },
            (None, Some(since)) => News::Back { server, after: now.since(since) },
            (Some(_), Some(_)) | (None, None) => return None,
        };
        (self.told, self.told_out) = (Some(now), self.since);
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: Standing = Standing::In;
    const OUT: Standing = Standing::Out(Monotonic::from_nanos(0));

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_nanos(seconds * 1_000_000_000)
    }

    fn told(news: Vec<News>) -> String {
        let one = |news| match news {
            News::Out { server, times } => format!("{server} out {times}x"),
            News::Back { server, after } => format!("{server} back after {}s", after.as_secs()),
        };
        news.into_iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// A second, a worker, how its servers stand, and what is told then.
    type Step<'a> = (u64, usize, &'a [(&'a str, Standing)], &'a str);

    fn check(steps: &[Step<'_>]) {
        let mut rotation = Rotation::default();
        for (second, worker, servers, expected) in steps {
            rotation.post(*worker, at(*second), servers.iter().map(|(name, standing)| (Arc::from(*name), *standing)));
            assert_eq!(told(rotation.news(at(*second))), *expected, "second {second}");
        }
    }

    #[test]
    fn a_server_goes_out_and_comes_back() {
        check(&[
            (0, 0, &[("a", IN), ("b", IN)], ""),
            (1, 0, &[("a", OUT), ("b", IN)], "a out 1x"),
            (2, 0, &[("a", OUT), ("b", IN)], ""),
            // One request tries it: that is not back.
            (20, 0, &[("a", Standing::HalfOpen), ("b", IN)], ""),
            (31, 0, &[("a", IN), ("b", IN)], "a back after 30s"),
        ]);
    }

    #[test]
    fn one_worker_is_enough_for_both() {
        check(&[
            (0, 0, &[("a", IN)], ""),
            (0, 1, &[("a", OUT)], "a out 1x"),
            (1, 0, &[("a", OUT)], ""),
            // A worker that never had it out knows nothing.
            (11, 2, &[("a", IN)], ""),
            (12, 0, &[("a", IN)], "a back after 12s"),
            (22, 1, &[("a", Standing::HalfOpen)], ""),
        ]);
    }

    #[test]
    fn one_that_comes_and_goes_is_told_of_now_and_then() {
        check(&[
            (0, 0, &[("a", OUT)], "a out 1x"),
            (1, 0, &[("a", IN)], ""),
            (2, 0, &[("a", OUT)], ""),
            (3, 0, &[("a", IN)], ""),
            (9, 0, &[("a", IN)], ""),
            (10, 0, &[("a", IN)], "a back after 10s"),
            (11, 0, &[("a", OUT)], ""),
            (20, 0, &[("a", OUT)], "a out 2x"),
        ]);
    }

    #[test]
    fn groups_that_share_a_server_agree_on_it() {
        check(&[
            (0, 0, &[("a", OUT), ("a", IN)], "a out 1x"),
            (20, 0, &[("a", OUT), ("a", IN)], ""),
            (21, 0, &[("a", IN), ("a", IN)], "a back after 21s"),
        ]);
    }

    #[test]
    fn a_server_that_a_reload_takes_away_is_forgotten() {
        let mut rotation = Rotation::default();
        let out =
            |rotation: &Rotation| rotation.out().map(|(name, since)| (name.to_string(), since)).collect::<Vec<_>>();
        let post = |rotation: &mut Rotation, worker, second, servers: &[&str]| {
            rotation.post(worker, at(second), servers.iter().map(|name| (Arc::from(*name), OUT)));
        };
        post(&mut rotation, 0, 3, &["a"]);
        post(&mut rotation, 1, 4, &["a"]);
        post(&mut rotation, 0, 5, &[]);
        assert_eq!(out(&rotation), [("a".to_owned(), at(3))]);
        post(&mut rotation, 1, 6, &[]);
        assert_eq!(out(&rotation), []);
        assert_eq!(rotation.news(at(60)), []);
    }
}
