//! Path segments as a tree: one node per segment of a pattern, shared by all patterns that begin alike. Trees of all hosts
//! lie in one vector and name each other by number.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::config::model::{PathPattern, Segment};
use crate::http::path::decode_segment;

/// A node, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    /// Not made yet; no table has four billion nodes.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// A place, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PlaceId(u32);

impl PlaceId {
    pub(super) fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// What a pattern that ends here leads to.
    exact: Option<PlaceId>,
    /// What `/*` after this node leads to.
    prefix: Option<PlaceId>,
    parameter: Option<NodeId>,
    literals: Literals,
}

/// Children by the bytes their segment stands for.
#[derive(Debug, Default)]
enum Literals {
    #[default]
    None,
    /// Most nodes have one child: comparing is cheaper than hashing.
    One(Box<[u8]>, NodeId),
    Many(HashMap<Box<[u8]>, NodeId, FixedState>),
}

impl Literals {
    fn get(&self, segment: &[u8]) -> Option<NodeId> {
        match self {
            Self::None => None,
            Self::One(known, node) => (**known == *segment).then_some(*node),
            Self::Many(children) => children.get(segment).copied(),
        }
    }

    fn insert(&mut self, segment: Box<[u8]>, node: NodeId) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(segment, node),
            Self::One(known, first) => Self::Many([(known, first), (segment, node)].into_iter().collect()),
            Self::Many(mut children) => {
                children.insert(segment, node);
                Self::Many(children)
            }
        };
    }
}

impl Tree {
    pub(super) fn add_root(&mut self) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node::default());
        id
    }

    /// The place a pattern leads to: `new` unless there is one already.
    pub(super) fn insert(&mut self, root: NodeId, pattern: &PathPattern, new: PlaceId) -> PlaceId {
        let root_path = [Segment::Literal(String::new())];
        let (segments, exact) = match pattern {
            // `/` is one empty segment, whichever way it was written.
            PathPattern::Exact(segments) if segments.is_empty() => (root_path.as_slice(), true),
            PathPattern::Exact(segments) => (segments.as_slice(), true),
            PathPattern::Prefix(segments) => (segments.as_slice(), false),
        };
        let end = segments.iter().fold(root, |node, segment| self.child(node, segment));
        match self.nodes.get_mut(end.0 as usize) {
            Some(node) if exact => *node.exact.get_or_insert(new),
            Some(node) => *node.prefix.get_or_insert(new),
            None => new,
        }
    }

    fn child(&mut self, parent: NodeId, segment: &Segment) -> NodeId {
        let known = self.nodes.get(parent.0 as usize).and_then(|node| match segment {
            Segment::Literal(text) => node.literals.get(&decode_segment(text)),
            Segment::Parameter(_) => node.parameter,
        });
        known.unwrap_or_else(|| {
            let new = self.add_root();
            if let Some(node) = self.nodes.get_mut(parent.0 as usize) {
                match segment {
                    Segment::Literal(text) => node.literals.insert(decode_segment(text).into(), new),
                    Segment::Parameter(_) => node.parameter = Some(new),
                }
            }
            new
        })
    }

    /// Offers the places that match a path to `decide`, most specific first, until it answers. Each node is met at most
    /// once, and no deeper than the longest pattern, however long the path is.
    pub(super) fn walk<T>(&self, root: NodeId, path: &str, decide: &mut impl FnMut(PlaceId) -> Option<T>) -> Option<T> {
        let rest = path.strip_prefix('/')?;
        let search = Search { tree: self, escaped: memchr::memchr(b'%', rest.as_bytes()).is_some() };
        search.visit(root, Some(rest), decide)
    }
}

/// One walk.
struct Search<'t> {
    tree: &'t Tree,
    /// Whether any segment has to be decoded before it is compared.
    escaped: bool,
}

impl Search<'_> {
    fn visit<T>(&self, node: NodeId, rest: Option<&str>, decide: &mut impl FnMut(PlaceId) -> Option<T>) -> Option<T> {
        let node = self.tree.nodes.get(node.0 as usize)?;
        let deeper = match rest {
            None => node.exact.and_then(&mut *decide),
            Some(rest) => {
                let (segment, rest) = match memchr::memchr(b'/', rest.as_bytes()).and_then(|slash| rest.split_at_checked(slash)) {
                    Some((segment, rest)) => (segment, rest.get(1..)),
                    None => (rest, None),
                };
                let meaning = if self.escaped { decode_segment(segment) } else { Cow::Borrowed(segment.as_bytes()) };
                let literal = node.literals.get(&meaning).and_then(|child| self.visit(child, rest, decide));
                literal.or_else(|| {
                    let child = node.parameter.filter(|_| !segment.is_empty())?;
                    self.visit(child, rest, decide)
                })
            }
        };
        deeper.or_else(|| node.prefix.and_then(decide))
    }
}
