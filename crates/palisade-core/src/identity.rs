//! Who sent a request. Anonymous is an identity, not the absence of one.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Who sent the request, as far as it was proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nobody in particular: no credential was shown, or none that holds.
    #[default]
    Anonymous,
    /// A known user.
    User(Arc<User>),
}

/// A user whose credential was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Provider and account, `google:42`; unique, and stable across sessions.
    pub subject: String,
    /// The customer's tier, if the application has tiers.
    pub plan: Option<String>,
    /// What the user may do, in the application's own words.
    pub roles: Vec<String>,
    /// The id of the API key that was shown, if it was one.
    pub api_key: Option<String>,
    /// What else was verified about the user, by the claim's path.
    pub claims: BTreeMap<String, String>,
}

impl Identity {
    /// The user's subject; `None` for anonymous.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(&user.subject),
        }
    }

    /// The id of the API key that was shown.
    pub fn api_key(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => user.api_key.as_deref(),
        }
    }

    /// What was verified under this claim's path.
    pub fn claim(&self, path: &str) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => user.claims.get(path).map(String::as_str),
        }
    }

    /// The plan that limits and prices look at: `anon` for anonymous.
    pub fn plan(&self) -> Option<&str> {
        match self {
            Self::Anonymous => Some("anon"),
            Self::User(user) => user.plan.as_deref(),
        }
    }
}
