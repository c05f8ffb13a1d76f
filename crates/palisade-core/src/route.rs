//! Routes: which pattern a path belongs to, and with it which questions are asked.

use std::sync::Arc;

use crate::{Path, Pattern, Question};

/// A route's place in its snapshot's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

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
}

/// All routes of a snapshot. Every path belongs to exactly one: the most specific pattern that
/// matches, else `unmatched`.
pub struct RouteTable {
    routes: Vec<(Pattern, Route)>,
    unmatched: Route,
}
