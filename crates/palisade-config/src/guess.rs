//! Which key was probably meant by one that there is not.

use palisade_core::config::{Decode as _, Shape, join, nearest};

use crate::document::split_key;
use crate::reference::{descend, known_keys};
use crate::root::RawConfig;

/// The key that is nearest to what was written: each part as it is or as it was probably meant, or
/// a key that ends like this.
pub fn nearest_key(written: &str) -> Option<String> {
    let path = split_key(written)?;
    corrected(&path).or_else(|| {
        let [alone] = path.as_slice() else { return None };
        with_last(&RawConfig::shape(), "", alone)
    })
}

/// The known key that a table named by the author may have been meant for: `limits.per_ipp`.
pub fn similar_key(written: &str) -> Option<String> {
    let path = split_key(written)?;
    let (last, parents) = path.split_last()?;
    let section = parents.iter().try_fold(RawConfig::shape(), |shape, name| descend(&shape, name))?;
    let known = known_keys(&section);
    let meant = nearest(last, known.iter().map(String::as_str)).filter(|_| !known.contains(last))?;
    let parent = parents.iter().fold(String::new(), |parent, name| join(&parent, name));
    Some(join(&parent, meant))
}

fn corrected(path: &[String]) -> Option<String> {
    let mut shape = RawConfig::shape();
    let mut key = String::new();
    for part in path {
        let known: Vec<String> = known_keys(&shape);
        let part = match descend(&shape, part) {
            Some(_) => part.as_str(),
            None => nearest(part, known.iter().map(String::as_str))?,
        };
        shape = descend(&shape, part)?;
        key = join(&key, part);
    }
    Some(key)
}

/// The first key whose last part is this one.
fn with_last(shape: &Shape, parent: &str, name: &str) -> Option<String> {
    let section = match shape {
        Shape::Section(section) => section,
        // What the author names can't be guessed.
        _ => return None,
    };
    let own = section.keys.iter().find(|key| key.name == name).map(|key| join(parent, key.name));
    own.or_else(|| section.keys.iter().find_map(|key| with_last(&key.shape, &join(parent, key.name), name)))
}
