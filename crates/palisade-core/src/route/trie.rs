//! Finding the most specific of many patterns.
//!
//! One node per distinct beginning of a pattern. A lookup tries at each segment the literal first,
//! then the variable, then `**`, and goes back when a branch ends without a route: without going
//! back, `/a/{x}/c` would hide behind `/a/b/d` for `/a/b/c`. Since each node has one way to it, a
//! lookup visits none twice, and never goes deeper than a pattern is long.

use super::RouteId;
use crate::pattern::Segment;
use crate::{Path, Pattern};

/// The patterns of a table.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by text; the place of each next node.
    literals: Vec<(Box<str>, usize)>,
    variable: Option<usize>,
    /// The route of paths that end here.
    end: Option<RouteId>,
    /// The route of paths that go on in any way.
    rest: Option<RouteId>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// Adds a pattern, unless one that matches the same paths is there.
    pub(super) fn insert(&mut self, pattern: &Pattern, id: RouteId) {
        let mut at = 0;
        for segment in pattern.segments() {
            // The place that the next node gets if there is none yet.
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Rest => {
                    node.rest.get_or_insert(id);
                    return;
                }
                Segment::Any => *node.variable.get_or_insert(fresh),
                Segment::Literal(text) => match node.find(text) {
                    Ok(next) => next,
                    Err(gap) => {
                        node.literals.insert(gap, (text.clone(), fresh));
                        fresh
                    }
                },
            };
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.end.get_or_insert(id);
        }
    }

    /// The route of the most specific pattern that matches exactly.
    pub(super) fn find(&self, path: &Path<'_>) -> Option<RouteId> {
        let root = self.nodes.first()?;
        match path.segments() {
            Some(inside) => self.walk(root, Some(inside)),
            // Only `/**` matches what has no segments at all.
            None => root.rest,
        }
    }

    fn walk(&self, node: &Node, rest: Option<&str>) -> Option<RouteId> {
        let Some(inside) = rest else {
            return node.end.or(node.rest);
        };
        let (segment, after) = match inside.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (inside, None),
        };
        let literal = || self.walk(self.nodes.get(node.find(segment).ok()?)?, after);
        let variable = || self.walk(self.nodes.get(node.variable.filter(|_| !segment.is_empty())?)?, after);
        literal().or_else(variable).or(node.rest)
    }
}

impl Node {
    /// The node after this literal, or where it would be.
    fn find(&self, text: &str) -> Result<usize, usize> {
        let found = self.literals.binary_search_by(|(literal, _)| (**literal).cmp(text))?;
        self.literals.get(found).map(|(_, next)| *next).ok_or(found)
    }
}
