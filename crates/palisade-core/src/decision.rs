//! A policy's answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use crate::edit::HeaderEdits;
use crate::{Identity, Reason};

/// What a policy answers about a request.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Go on, with what was learned.
    Allow(Effects),
    /// Answer with this; the application is not asked. Not a refusal.
    Respond(Reply),
    /// The request is refused.
    Refuse(Refusal),
}

impl Decision {
    /// Go on; nothing was learned.
    pub const fn allow() -> Self {
        Self::Allow(Effects::none())
    }

    /// Refuse for `reason`, with its own status and text.
    pub fn refuse(reason: Reason) -> Self {
        Self::Refuse(Refusal::new(reason))
    }
}

/// What a policy wants done beside letting the request pass. Data: the guard does it.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// The request is now known to come from this identity.
    pub identity: Option<Identity>,
    /// Facts for policies of later stages.
    pub facts: Vec<Fact>,
    /// Changes to the request's head as it goes upstream.
    pub request: HeaderEdits,
    /// Changes to the answer's head, whoever makes the answer.
    pub response: HeaderEdits,
    /// A sentence for the record, shown beside the policy's answer. Holds no secret.
    pub note: Option<Box<str>>,
}

impl Effects {
    /// Nothing beside letting it pass. Allocates nothing.
    pub const fn none() -> Self {
        Self {
            identity: None,
            facts: Vec::new(),
            request: HeaderEdits::none(),
            response: HeaderEdits::none(),
            note: None,
        }
    }
}

/// Something that one policy found out and a later one needs, such as the hash of a body field
/// that a limit is keyed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, `body.email`.
    pub name: Arc<str>,
    /// Its hash, or a number; a value itself is never kept.
    pub hash: u128,
}

/// The facts known so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<Fact>);

impl Facts {
    /// No facts. Allocates nothing.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds what a policy left behind.
    pub fn extend(&mut self, facts: Vec<Fact>) {
        self.0.extend(facts);
    }

    /// The hash of the fact called `name`.
    pub fn find(&self, name: &str) -> Option<u128> {
        self.0.iter().find(|fact| *fact.name == *name).map(|fact| fact.hash)
    }
}

/// An answer made by a policy that is not a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The head.
    pub head: Vec<(HeaderName, http::HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

/// A decision against a request: a value, rendered by one function.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Why. Gives the status, the public text and the page that explains it.
    pub reason: Reason,
    /// When trying again may help; sent as whole seconds, rounded up, at least one.
    pub retry_after: Option<Duration>,
    /// Names of the limits that refused, in the config's order.
    pub violated: Vec<Box<str>>,
    /// Further fields of the answer, such as `Allow` or `RateLimit`.
    pub response: HeaderEdits,
    /// For the operator; never sent to the client.
    pub detail: Option<Box<str>>,
}

impl Refusal {
    /// A refusal with the reason's own status and text.
    pub const fn new(reason: Reason) -> Self {
        Self { reason, retry_after: None, violated: Vec::new(), response: HeaderEdits::none(), detail: None }
    }

    /// The same with a time after which trying again may help.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same with a sentence for the operator.
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
