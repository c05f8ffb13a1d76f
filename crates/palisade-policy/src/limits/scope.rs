//! Which requests a limit is on.
//!
//! Protections match broadly, exemptions narrowly: a limit covers every spelling that some
//! application takes for its path, an exemption exactly its method, exactly its path, and a request
//! that was in normal form already.

use arrayvec::ArrayVec;
use http::{HeaderName, Method, header};
use palisade_core::{Kind, Target, View};

use crate::inbound::MethodOverride;

/// Which requests a limit is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that one of these covers.
    On(Vec<Target>),
    /// All but those of asset routes.
    Everything,
    /// Those of asset routes.
    Assets,
    /// Preflights of CORS.
    Preflight,
    /// Those that are exempt from every other limit.
    Exempt(Target),
}

/// What a request is to limits.
pub(super) struct Occasion<'a> {
    methods: ArrayVec<Method, 2>,
    view: &'a View<'a>,
    case: Case,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Some exemption covers it.
    Exempt,
    Preflight,
    Ordinary,
}

/// Fields that ask for another method than the request line's.
static OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

impl<'a> Occasion<'a> {
    /// What `view` is, where these requests are exempt.
    pub(super) fn of(view: &'a View<'a>, exempt: &[Target], overrides: MethodOverride) -> Self {
        let mut methods = ArrayVec::new();
        methods.push(view.method.clone());
        if overrides == MethodOverride::Allow {
            let other = OVERRIDES.iter().find_map(|name| view.head.first(name));
            // What is no method can't be one of a limit either.
            methods.extend(other.and_then(|method| Method::from_bytes(method).ok()));
        }
        let is_exempt =
            methods.len() == 1 && exempt.iter().any(|target| target.matches_exactly(view.method, view.path));
        let case = match () {
            () if is_exempt => Case::Exempt,
            () if is_preflight(view) => Case::Preflight,
            () => Case::Ordinary,
        };
        Self { methods, view, case }
    }
}

fn is_preflight(view: &View<'_>) -> bool {
    *view.method == Method::OPTIONS
        && view.head.has(&header::ORIGIN)
        && view.head.has(&header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Scope {
    /// Whether the limit is on a request.
    pub(super) fn covers(&self, occasion: &Occasion<'_>) -> bool {
        let Occasion { methods, view, case } = occasion;
        let on = |target: &Target| methods.iter().any(|method| target.matches_broadly(method, view.path));
        match (self, case) {
            (Self::Exempt(target), Case::Exempt) => target.matches_exactly(view.method, view.path),
            (_, Case::Exempt) | (Self::Exempt(_), _) => false,
            (Self::Preflight, case) => *case == Case::Preflight,
            // A preflight is asked by browsers, not by whom the limit is for, unless it says so.
            (Self::On(targets), Case::Preflight) => {
                targets.iter().any(|target| target.methods().contains(&Method::OPTIONS) && on(target))
            }
            (Self::Everything | Self::Assets, Case::Preflight) => false,
            (Self::On(targets), Case::Ordinary) => targets.iter().any(on),
            (Self::Everything, Case::Ordinary) => view.route.kind != Kind::Asset,
            (Self::Assets, Case::Ordinary) => view.route.kind == Kind::Asset,
        }
    }
}
