//! The points at which plugins take part in a decision, and what they hand each other.
//!
//! A plugin is a row of pure functions on the pod, a node, the model of the cluster and the state of this one decision.
//! What has to be written to bring a decision about is data in the answer ([`Write`]); the scheduler's role writes it.
pub mod args;
mod checks;
pub mod happening;
pub mod profile;
pub mod registry;
pub mod state;

use super::cluster::Cluster;
use super::cluster::node::NodeInfo;
use super::demand::Resident;
use super::pod::PodInfo;
use crate::protocol::meta::ObjectKey;
use happening::Happening;
use serde_json::Value;
use state::State;
use std::borrow::Cow;
use std::sync::Arc;

/// The best that a score can say.
pub const MAX_SCORE: i64 = 100;

/// Why a node, or all of them, will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// In upstream's words.
    pub text: Cow<'static, str>,
    /// Whether other pods leaving the node could help.
    pub resolvable: bool,
}

impl Reason {
    /// Pods leaving could help.
    pub fn unschedulable(text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { text: text.into(), resolvable: true }
    }

    /// Pods leaving could not help.
    pub fn unresolvable(text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { text: text.into(), resolvable: false }
    }
}

/// What a plugin found before looking at single nodes.
#[derive(Debug, PartialEq)]
pub enum PreFilter {
    /// Its filter is to be asked.
    Go,
    /// It has nothing to say about this pod.
    Skip,
    /// Only these slots come into question, and its filter is to be asked about them.
    Only(Vec<usize>),
    /// No node will do.
    Refuse(Reason),
}

/// How a plugin's pre-filter ended for a pod that no node would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreFiltered {
    /// Another plugin had refused all nodes before it was asked.
    Unasked,
    /// It refused all nodes itself.
    Refused,
    Passed,
}

/// Whether a pod that has its node may go on to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    Allow,
    Reject(Reason),
}

/// Something to write before a pod is bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The shelf.
    pub shelf: &'static str,
    pub key: ObjectKey,
    /// A merge patch.
    pub patch: Value,
    /// Only at this revision.
    pub revision: u64,
    /// `status`, or the object itself.
    pub subresource: Option<&'static str>,
}

/// What came of a [`Write`].
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub shelf: &'static str,
    pub key: ObjectKey,
    /// The model has to be as new to say anything about it.
    pub revision: u64,
}

/// How far that is which a pod with a node waits for before it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Ready,
    Waits,
    /// It will not come: why.
    Failed(String),
}

impl Progress {
    /// The worse of two.
    pub fn and(self, other: Progress) -> Progress {
        match (&self, &other) {
            (Progress::Failed(_), _) => self,
            (_, Progress::Failed(_)) | (Progress::Ready, _) => other,
            (Progress::Waits, _) => self,
        }
    }
}

/// One plugin. Points that it has no part in keep their empty default; [`Plugin::points`] says which it has.
pub trait Plugin: Send + Sync {
    /// Upstream's name.
    fn name(&self) -> &'static str;

    fn points(&self) -> Points;

    /// When a pod is decided about: smaller is earlier. `number` grows with each that comes. Of all plugins of a profile one
    /// has this point.
    fn rank(&self, _pod: &PodInfo, number: u64) -> Rank {
        (0, number)
    }

    /// Whether the pod may enter the queue at all.
    fn pre_enqueue(&self, _pod: &PodInfo) -> bool {
        true
    }

    fn pre_filter(&self, _pod: &PodInfo, _cluster: &Cluster, _state: &mut State) -> PreFilter {
        PreFilter::Go
    }

    /// Whether the node will do.
    fn filter(&self, _pod: &PodInfo, _slot: usize, _node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        Ok(())
    }

    /// Everything that the plugin has against the node. Only asked when [`filter`](Self::filter) refused.
    fn reasons(&self, pod: &PodInfo, slot: usize, node: &NodeInfo, cluster: &Cluster, state: &State) -> Vec<Reason> {
        self.filter(pod, slot, node, cluster, state).err().into_iter().collect()
    }

    /// `other` is thought to be on the node (`sign` 1), or thought away (-1): the state has to follow.
    fn shift(&self, _pod: &PodInfo, _other: &Resident, _slot: usize, _sign: i64, _cluster: &Cluster, _state: &mut State) {}

    /// No node will do: what the plugin adds to the message, having nothing to offer itself. `Err`: it failed, and those after it
    /// are not asked.
    fn post_filter(&self, _pod: &PodInfo, _before: PreFiltered) -> Result<&'static str, &'static str> {
        Ok("")
    }

    /// Before scoring, with all nodes that will do. False: nothing to score.
    fn pre_score(&self, _pod: &PodInfo, _slots: &[usize], _cluster: &Cluster, _state: &mut State) -> bool {
        true
    }

    fn score(&self, _pod: &PodInfo, _slot: usize, _node: &NodeInfo, _cluster: &Cluster, _state: &State) -> i64 {
        0
    }

    /// Brings raw scores to 0 … [`MAX_SCORE`].
    fn normalise(&self, _scores: &mut [i64], _slots: &[usize], _state: &State) {}

    /// The node is chosen. What has to be written before the bind; the plugin's own bookkeeping is in the cluster.
    fn reserve(&self, _pod: &PodInfo, _slot: usize, _node: &NodeInfo, _cluster: &mut Cluster) -> Result<Vec<Write>, Reason> {
        Ok(Vec::new())
    }

    /// The reservation is off.
    fn unreserve(&self, _pod: &PodInfo, _cluster: &mut Cluster) {}

    fn permit(&self, _pod: &PodInfo, _node: &NodeInfo) -> Permit {
        Permit::Allow
    }

    /// How far that is which the plugin made the pod wait for. `written`: what was written for the pod; `None` while that is under way.
    fn progress(&self, _pod: &PodInfo, _node: &NodeInfo, _written: Option<&[Written]>, _cluster: &Cluster) -> Progress {
        Progress::Ready
    }

    /// Whether the plugin binds pods: by `pods/binding`, after the writes of [`reserve`](Self::reserve).
    fn binds(&self) -> bool {
        false
    }

    /// What can turn this plugin's refusal into a yes: [`happening`] masks.
    fn interests(&self) -> u32 {
        0
    }

    /// Whether something that happened can turn this plugin's refusal of the pod into a yes.
    fn helps(&self, _pod: &PodInfo, _happening: &Happening, _cluster: &Cluster) -> bool {
        true
    }
}

/// A pod's claim to be next.
pub type Rank = (i64, u64);

/// A set of extension points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points(pub u16);

impl Points {
    pub const QUEUE_SORT: Points = Points(1);
    pub const PRE_ENQUEUE: Points = Points(1 << 1);
    pub const PRE_FILTER: Points = Points(1 << 2);
    pub const FILTER: Points = Points(1 << 3);
    pub const POST_FILTER: Points = Points(1 << 4);
    pub const PRE_SCORE: Points = Points(1 << 5);
    pub const SCORE: Points = Points(1 << 6);
    pub const RESERVE: Points = Points(1 << 7);
    pub const PERMIT: Points = Points(1 << 8);
    pub const PRE_BIND: Points = Points(1 << 9);
    pub const BIND: Points = Points(1 << 10);
    pub const POST_BIND: Points = Points(1 << 11);

    /// Upstream's names, as a profile's `plugins` has them.
    pub const NAMED: [(&'static str, Points); 12] = [
        ("queueSort", Points::QUEUE_SORT),
        ("preEnqueue", Points::PRE_ENQUEUE),
        ("preFilter", Points::PRE_FILTER),
        ("filter", Points::FILTER),
        ("postFilter", Points::POST_FILTER),
        ("preScore", Points::PRE_SCORE),
        ("score", Points::SCORE),
        ("reserve", Points::RESERVE),
        ("permit", Points::PERMIT),
        ("preBind", Points::PRE_BIND),
        ("bind", Points::BIND),
        ("postBind", Points::POST_BIND),
    ];

    pub const fn and(self, other: Points) -> Points {
        Points(self.0 | other.0)
    }

    pub const fn without(self, other: Points) -> Points {
        Points(self.0 & !other.0)
    }

    pub const fn has(self, point: Points) -> bool {
        self.0 & point.0 != 0
    }
}

/// Brings scores to 0 … [`MAX_SCORE`] by the greatest of them, as upstream's usual normalisation does.
pub fn normalise_by_max(scores: &mut [i64], reverse: bool) {
    let max = scores.iter().copied().max().unwrap_or_default();
    for score in scores {
        let share = if max == 0 { 0 } else { MAX_SCORE * *score / max };
        *score = if reverse { MAX_SCORE - share } else { share };
    }
}

/// A plugin as profiles share it.
pub type Shared = Arc<dyn Plugin>;
