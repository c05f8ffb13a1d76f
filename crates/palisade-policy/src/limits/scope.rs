//! Which requests a limit is on.
//!
//! Protections match broadly, exemptions narrowly: a limit covers every spelling that some
//! application takes for its path, an exemption exactly its method, exactly its path, and a request
//! that was in normal form already.

use http::{HeaderName, Method, header};
use palisade_core::{Head, Kind, Target, View};

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
    methods: Methods,
    view: &'a View<'a>,
    case: Case,
}

/// What some application may take a request's method for.
enum Methods {
    /// What the request line says.
    Sent,
    /// That, or this one.
    Or(Method),
    /// Whatever it is: there are several wishes, and each application listens to another one.
    Any,
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
        let methods = match overrides {
            MethodOverride::Drop => Methods::Sent,
            MethodOverride::Allow => Methods::of(view.head),
        };
        let is_exempt = matches!(methods, Methods::Sent)
            && exempt.iter().any(|target| target.matches_exactly(view.method, view.path));
        let case = match () {
            () if is_exempt => Case::Exempt,
            () if is_preflight(view) => Case::Preflight,
            () => Case::Ordinary,
        };
        Self { methods, view, case }
    }
}

impl Methods {
    fn of(head: &dyn Head) -> Self {
        let mut methods = Self::Sent;
        for name in &OVERRIDES {
            head.each(name, &mut |wish| {
                methods = match (&methods, Method::from_bytes(&wish.to_ascii_uppercase())) {
                    // Applications write them in upper case before they compare.
                    (Self::Sent, Ok(method)) => Self::Or(method),
                    (Self::Sent, Err(_)) | (Self::Or(_) | Self::Any, _) => Self::Any,
                };
            });
        }
        methods
    }

    /// Whether a target is meant by any of them.
    fn fit(&self, target: &Target, view: &View<'_>) -> bool {
        let fits = |method: &Method| target.matches_broadly(method, view.path);
        fits(view.method)
            || match self {
                Self::Sent => false,
                Self::Or(method) => fits(method),
                Self::Any => target.methods().iter().any(fits),
            }
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
        let on = |target: &Target| methods.fit(target, view);
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
