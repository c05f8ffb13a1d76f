//! Which server a request goes to: the one with less in flight of two random ones.
//!
//! Two choices are nearly as even as looking at all, and don't send every worker to the same
//! server in the moment in which it has become the emptiest. Servers that are out are no choice
//! as long as there is another; if all are out, the one that is back soonest gets the request,
//! because bookkeeping must not be what refuses it.

use palisade_core::Monotonic;

use crate::health::Standing;

/// What is looked at of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Requests under way.
    pub in_flight: u32,
    /// Whether requests should go to it.
    pub standing: Standing,
    /// Whether this request was already sent to it, in vain.
    pub tried: Tried,
}

/// Whether a request was already sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tried {
    /// Not yet.
    No,
    /// In vain.
    Yes,
}

/// The place of the server to use; `None` only if there are no servers.
pub fn choose(servers: &[Candidate], entropy: u64) -> Option<usize> {
    for tried in [Tried::No, Tried::Yes] {
        if let Some(place) = choose_usable(servers, tried, entropy) {
            return Some(place);
        }
    }
    let places = servers.iter().enumerate();
    places.min_by_key(|(_, server)| (server.tried, back(server.standing), server.in_flight)).map(|(place, _)| place)
}

fn choose_usable(servers: &[Candidate], tried: Tried, entropy: u64) -> Option<usize> {
    let usable = || {
        let places = servers.iter().enumerate();
        places.filter(|(_, server)| server.tried == tried && !matches!(server.standing, Standing::Out(_)))
    };
    let count = usable().count() as u64;
    if count == 0 {
        return None;
    }
    // Two different places: the second is drawn from the rest and shifted past the first.
    let first = (entropy >> 32) % count;
    let second = if count == 1 { first } else { (first + 1 + (entropy & 0xffff_ffff) % (count - 1)) % count };
    let drawn = [first, second].into_iter().filter_map(|draw| usable().nth(usize::try_from(draw).ok()?));
    drawn.min_by_key(|(_, server)| server.in_flight).map(|(place, _)| place)
}

fn back(standing: Standing) -> Monotonic {
    match standing {
        Standing::In | Standing::HalfOpen => Monotonic::default(),
        Standing::Out(until) => until,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(in_flight: u32, standing: Standing, tried: Tried) -> Candidate {
        Candidate { in_flight, standing, tried }
    }

    fn out(nanos: u64) -> Standing {
        Standing::Out(Monotonic::from_nanos(nanos))
    }

    #[test]
    fn the_choice() {
        use Standing::{HalfOpen, In};
        use Tried::{No, Yes};
        for (servers, expected) in [
            (vec![], None),
            (vec![server(9, In, No)], Some(0)),
            (vec![server(3, In, No), server(2, In, No)], Some(1)),
            (vec![server(0, out(5), No), server(7, In, No)], Some(1)),
            (vec![server(0, HalfOpen, No), server(7, In, No)], Some(0)),
            (vec![server(0, In, Yes), server(7, In, No)], Some(1)),
            // The only usable server again, rather than one that is out.
            (vec![server(0, out(5), No), server(7, In, Yes)], Some(1)),
            (vec![server(0, out(5), No), server(7, out(4), No)], Some(1)),
            (vec![server(0, out(5), No), server(7, out(4), Yes)], Some(0)),
        ] {
            for entropy in [0, u64::MAX, 0x1234_5678_9abc_def0] {
                assert_eq!(choose(&servers, entropy), expected, "{servers:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_the_fullest_of_three(loads in prop::collection::vec(0u32..1000, 3..20), entropy: u64) {
            let servers: Vec<_> = loads.iter().map(|load| server(*load, Standing::In, Tried::No)).collect();
            let chosen = choose(&servers, entropy).unwrap();
            // With two different draws at least one server is at least as full as the chosen one.
            let fuller = loads.iter().enumerate().filter(|(place, load)| *place != chosen && **load >= loads[chosen]);
            prop_assert!(fuller.count() >= 1);
        }

        #[test]
        fn every_server_can_be_drawn(count in 1usize..12, seed: u64) {
            let servers = vec![server(0, Standing::In, Tried::No); count];
            let mut state = seed;
            let mut drawn = vec![false; count];
            for _ in 0..count * 100 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                drawn[choose(&servers, state ^ (state >> 29)).unwrap()] = true;
            }
            prop_assert!(drawn.iter().all(|drawn| *drawn));
        }
    }
}
