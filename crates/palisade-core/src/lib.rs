//! The vocabulary of Palisade.
//!
//! Palisade is a list of questions asked about a request. This crate names what such a question
//! sees ([`View`]), how it can be asked ([`Policy`], six shapes), what it may answer
//! ([`Decision`]) and what is kept of it ([`Record`]). It decides nothing itself and opens
//! nothing: no runtime, no socket, no clock. The `http` crate's names, values, methods and
//! statuses are part of the vocabulary; engines are not (ADR 2).

pub mod address;
pub mod chain;
pub mod charge;
pub mod client;
pub mod config;
pub mod decision;
pub mod edit;
pub mod escape;
pub mod head;
pub mod id;
pub mod identity;
pub mod log;
pub mod media;
pub mod overrides;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod reason;
pub mod record;
pub mod route;
pub mod shape;
pub mod store;
pub mod tally;
pub mod time;
pub mod trace;
pub mod view;

pub use address::{ClientIp, Network, Networks};
pub use chain::chain;
pub use charge::{Ban, Bar, Bound, Charge, Charges, KeyHash, Quota, Rate, Spend, Verdict, Verdicts};
pub use decision::{Decision, Effects, Refusal, Reply};
pub use edit::{Edit, Edited, HeaderEdits};
pub use head::{Head, Sift, Single};
pub use id::{RequestId, SpanId, TraceId};
pub use identity::Identity;
pub use overrides::{Override, OverrideChange, Overrides};
pub use path::Path;
pub use pattern::{Pattern, Target};
pub use policy::{
    Dress, End, Examination, Examine, Fed, Found, Inspect, Lookup, Meter, Mode, Policy, Question, Recall, Stage,
    Transform, Transformation, Watch,
};
pub use reason::Reason;
pub use record::{Outcome, Record};
pub use route::{Kind, Route, RouteId, RouteTable};
pub use tally::{Item, Said, Shown, Tally};
pub use time::{Monotonic, Now, Utc};
pub use view::{Protocol, ResponseView, View};
