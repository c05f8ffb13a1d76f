//! Routes: which pattern a path belongs to, and with it which questions are asked.
//!
//! Every path belongs to exactly one route of its snapshot's table: the most specific pattern that
//! matches it exactly, else `unmatched`. The order in which patterns were written never matters.

mod trie;

use std::iter;
use std::sync::Arc;

use thiserror::Error;

use self::trie::Trie;
use crate::{Path, Pattern, Question};

/// A route's place in its snapshot's table. `unmatched` is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

impl RouteId {
    /// The route of paths that no pattern matches.
    pub const UNMATCHED: Self = Self(0);
}

/// What kind of thing a route answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A page for people.
    Page,
    /// An interface for programs.
    #[default]
    Api,
    /// Calls from other services, signed.
    Webhook,
    /// Files that belong to pages.
    Asset,
    /// Palisade's own paths under `/.palisade/`.
    Own,
    /// Health answers.
    Health,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Page, Self::Api, Self::Webhook, Self::Asset, Self::Own, Self::Health];

    /// The word in config, logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Api => "api",
            Self::Webhook => "webhook",
            Self::Asset => "asset",
            Self::Own => "own",
            Self::Health => "health",
        }
    }
}

/// A path pattern with what the snapshot knows about it.
#[derive(Clone)]
pub struct Route {
    /// Its place in the table.
    pub id: RouteId,
    /// The label: the pattern's text, or `unmatched`.
    pub label: Arc<str>,
    /// What it answers with.
    pub kind: Kind,
    /// The questions asked about its requests, in order.
    pub questions: Arc<[Question]>,
    /// How many bytes a request's body may have.
    pub max_body: u64,
    /// Which of the snapshot's forwarding settings its requests are sent with.
    pub settings: u16,
}

/// What is done with a route's requests: a route before it has a pattern and a place.
#[derive(Clone)]
pub struct Treatment {
    /// What the route answers with.
    pub kind: Kind,
    /// The questions asked about its requests, in order.
    pub questions: Arc<[Question]>,
    /// How many bytes a request's body may have.
    pub max_body: u64,
    /// Which of the snapshot's forwarding settings its requests are sent with.
    pub settings: u16,
}

/// All routes of a snapshot.
pub struct RouteTable {
    /// What `unmatched` is.
    unmatched: Route,
    /// Those with patterns, from id 1 on.
    routes: Vec<Route>,
    trie: Trie,
}

/// More routes than ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("compiling {routes} routes; a table holds at most {}", RouteTable::ROUTES_MAX)]
pub struct TooManyRoutes {
    /// How many there were.
    pub routes: usize,
}

impl RouteTable {
    /// How many patterns a table holds.
    pub const ROUTES_MAX: usize = u16::MAX as usize;

    /// A table. Of patterns that match [the same paths](Pattern::is_same_path) the one with the
    /// smaller text is found.
    ///
    /// # Errors
    ///
    /// If there are more routes than ids.
    pub fn new(routes: Vec<(Pattern, Treatment)>, unmatched: Treatment) -> Result<Self, TooManyRoutes> {
        let too_many = TooManyRoutes { routes: routes.len() };
        let mut patterns = Vec::with_capacity(routes.len());
        let mut table = Vec::with_capacity(routes.len());
        for (id, (pattern, treatment)) in (1..).zip(routes) {
            let id = RouteId(u16::try_from(id).map_err(|_| too_many)?);
            table.push(Route::new(id, pattern.as_str(), treatment));
            patterns.push((pattern, id));
        }
        // The trie keeps the first of several patterns for the same paths.
        patterns.sort();
        let mut trie = Trie::default();
        for (pattern, id) in &patterns {
            trie.insert(pattern, *id);
        }
        Ok(Self { unmatched: Route::new(RouteId::UNMATCHED, "unmatched", unmatched), routes: table, trie })
    }

    /// The route that `path` belongs to.
    pub fn find(&self, path: &Path<'_>) -> &Route {
        self.trie.find(path).and_then(|id| self.by_id(id)).unwrap_or(&self.unmatched)
    }

    /// The route of paths that no pattern matches.
    pub const fn unmatched(&self) -> &Route {
        &self.unmatched
    }

    /// The route at this place.
    pub fn by_id(&self, id: RouteId) -> Option<&Route> {
        match usize::from(id.0).checked_sub(1) {
            None => Some(&self.unmatched),
            Some(at) => self.routes.get(at),
        }
    }

    /// All routes in the order of their ids, `unmatched` first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        iter::once(&self.unmatched).chain(&self.routes)
    }
}

impl Route {
    fn new(id: RouteId, label: &str, treatment: Treatment) -> Self {
        let Treatment { kind, questions, max_body, settings } = treatment;
        Self { id, label: label.into(), kind, questions, max_body, settings }
    }
}

#[cfg(test)]
mod tests;
