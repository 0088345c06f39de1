//! Sets of fields and their algebra.
use super::Element;
use std::cmp::Ordering;
use std::fmt;

/// A set of fields. A field may be in it without the fields below, and they without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Sorted by element, each once, none without a member at or below it.
    pub(in crate::apply) nodes: Vec<Node>,
}

/// A field, whether it is in the set, and what of the fields below it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub element: Element,
    pub member: bool,
    pub below: Set,
}

impl Set {
    pub const EMPTY: &'static Set = &Set { nodes: Vec::new() };

    /// The set with these paths.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a [Element]>) -> Set {
        let mut set = Set::default();
        paths.into_iter().for_each(|path| set.insert(path));
        set
    }

    /// The set with this path of field names.
    pub fn field(path: &[&str]) -> Set {
        let path: Vec<Element> = path.iter().map(|name| Element::field(name)).collect();
        Set::of([path.as_slice()])
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds one path. The object itself, which the empty path is, isn't tracked.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = match self.nodes.binary_search_by(|n| n.element.cmp(first)) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(at, Node { element: first.clone(), member: false, below: Set::default() });
                at
            }
        };
        let Some(node) = self.nodes.get_mut(at) else { return };
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    /// Adds a node where there may be one already. Nodes that say nothing are left out.
    pub(in crate::apply) fn put(&mut self, node: Node) {
        if !node.member && node.below.is_empty() {
            return;
        }
        if self.nodes.last().is_none_or(|last| last.element < node.element) {
            self.nodes.push(node);
            return;
        }
        match self.nodes.binary_search_by(|n| n.element.cmp(&node.element)) {
            Ok(at) => {
                if let Some(old) = self.nodes.get_mut(at) {
                    old.member |= node.member;
                    old.below = old.below.union(&node.below);
                }
            }
            Err(at) => self.nodes.insert(at, node),
        }
    }

    pub fn get(&self, element: &Element) -> Option<&Node> {
        self.nodes.binary_search_by(|n| n.element.cmp(element)).ok().and_then(|at| self.nodes.get(at))
    }

    /// A node by the name of its field.
    pub(in crate::apply) fn get_field(&self, name: &str) -> Option<&Node> {
        let by_name = |n: &Node| match &n.element {
            Element::Field(other) => (**other).cmp(name),
            _ => Ordering::Greater,
        };
        self.nodes.binary_search_by(by_name).ok().and_then(|at| self.nodes.get(at))
    }

    /// Whether this very field is in the set.
    pub fn has(&self, path: &[Element]) -> bool {
        match path.split_first() {
            None => false,
            Some((first, [])) => self.get(first).is_some_and(|n| n.member),
            Some((first, rest)) => self.get(first).is_some_and(|n| n.below.has(rest)),
        }
    }

    /// What is in either.
    pub fn union(&self, other: &Set) -> Set {
        self.zip(other, |a, b| match (a, b) {
            (Some(a), Some(b)) => Some(Node { element: a.element.clone(), member: a.member || b.member, below: a.below.union(&b.below) }),
            (one, two) => one.or(two).cloned(),
        })
    }

    /// What is in both.
    pub fn intersection(&self, other: &Set) -> Set {
        self.zip(other, |a, b| {
            let (a, b) = (a?, b?);
            Some(Node { element: a.element.clone(), member: a.member && b.member, below: a.below.intersection(&b.below) })
        })
    }

    /// What is in this one but not in the other. A field that is in the other takes none of those below it along.
    pub fn difference(&self, other: &Set) -> Set {
        self.zip(other, |a, b| match (a?, b) {
            (a, Some(b)) => Some(Node { element: a.element.clone(), member: a.member && !b.member, below: a.below.difference(&b.below) }),
            (a, None) => Some(a.clone()),
        })
    }

    /// As `difference`, but a field that is in the other takes all those below it along.
    pub fn recursive_difference(&self, other: &Set) -> Set {
        self.zip(other, |a, b| match (a?, b) {
            (_, Some(b)) if b.member => None,
            (a, Some(b)) => Some(Node { element: a.element.clone(), member: a.member, below: a.below.recursive_difference(&b.below) }),
            (a, None) => Some(a.clone()),
        })
    }

    /// The members that have no member below them.
    pub fn leaves(&self) -> Set {
        let mut out = Set::default();
        for node in &self.nodes {
            let member = node.member && node.below.is_empty();
            out.put(Node { element: node.element.clone(), member, below: node.below.leaves() });
        }
        out
    }

    /// The two have a member in common.
    pub fn intersects(&self, other: &Set) -> bool {
        self.nodes.iter().any(|a| other.get(&a.element).is_some_and(|b| (a.member && b.member) || a.below.intersects(&b.below)))
    }

    /// Every path of the set, those of one level before those below.
    pub fn each_path(&self, visit: &mut impl FnMut(&[Element])) {
        self.each_below(&mut Vec::new(), visit);
    }

    fn each_below(&self, path: &mut Vec<Element>, visit: &mut impl FnMut(&[Element])) {
        for node in self.nodes.iter().filter(|n| n.member) {
            path.push(node.element.clone());
            visit(path);
            path.pop();
        }
        for node in self.nodes.iter().filter(|n| !n.below.is_empty()) {
            path.push(node.element.clone());
            node.below.each_below(path, visit);
            path.pop();
        }
    }

    fn zip(&self, other: &Set, mut choose: impl FnMut(Option<&Node>, Option<&Node>) -> Option<Node>) -> Set {
        let (mut left, mut right) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        let mut out = Set::default();
        loop {
            let (a, b) = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => (left.next(), None),
                (None, Some(_)) => (None, right.next()),
                (Some(a), Some(b)) => match a.element.cmp(&b.element) {
                    Ordering::Less => (left.next(), None),
                    Ordering::Greater => (None, right.next()),
                    Ordering::Equal => (left.next(), right.next()),
                },
            };
            if let Some(node) = choose(a, b).filter(|n| n.member || !n.below.is_empty()) {
                out.nodes.push(node);
            }
        }
        out
    }
}

/// A path as messages print it: `.spec.containers[name="a"].image`.
pub fn path_text(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}

/// One path a line.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        self.each_path(&mut |path| lines.push(path_text(path)));
        f.write_str(&lines.join("\n"))
    }
}
