//! HorizontalPodAutoscalers: as many replicas as metrics ask for, within limits.
//!
//! ```text
//! every 15 s   target's scale ─► questions about metrics ─► (answers come) ─► proposals ─► the largest ─► behaviour, limits
//!                                                                                     └─► the scale is written ─► told
//! ```
//! A plan cannot wait. So a look at an autoscaler whose metrics are not there asks for them and ends; the next one, when the
//! answers have come, finds them. And what became of a write is told by the look after it.
mod behavior;
mod calculator;
mod fetch;
mod metric;
mod pass;
mod pods;
#[cfg(test)]
mod property;
mod question;
pub(super) mod target;
#[cfg(test)]
mod tests;

pub use fetch::Fetcher;

use super::feed::Change;
use super::index::Parts;
use super::node_lifecycle::Clock;
use super::plan::{Action, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::protocol::selector::LabelSelector;
use crate::storage::Entry;
use behavior::{Behavior, History, Wish};
use calculator::{Basis, Tolerances};
use jiff::{SignedDuration, Timestamp};
use metric::{Metric, Problem, Proposal, Scene};
use pass::Pass;
use pods::PodFacts;
use question::Meters;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use target::{Reference, Target, Targets};

pub const SHELF: &str = "horizontalpodautoscalers.autoscaling";
/// From look to look.
const SYNC: Duration = Duration::from_secs(15);
/// Upstream's default for both directions.
const TOLERANCE: f64 = 0.1;

/// The controller.
pub struct HorizontalPodAutoscalers {
    targets: Arc<dyn Targets>,
    meters: Box<dyn Meters<Key>>,
    /// The clock that never jumps; it is told what the wall clock says.
    clock: Clock,
    states: BTreeMap<ObjectKey, State>,
}

/// What is remembered of one autoscaler.
#[derive(Default)]
struct State {
    history: History,
    /// Of the target's pods, as it was seen last.
    selector: Option<LabelSelector>,
    /// When the rhythm asks for the next look, and the specification that it was set for.
    next: Option<(Timestamp, u64)>,
    /// A scale that was written in the last look.
    rescaling: Option<Rescaling>,
    last_scale: Option<String>,
}

/// A write of a scale that is to be told of.
struct Rescaling {
    from: i64,
    to: i64,
    reason: String,
    metrics: Option<Vec<Value>>,
    /// The status and the events of the look that decided it.
    status: Value,
    notes: Vec<Action>,
}

/// What an autoscaler wants to be done about its target.
struct Decision {
    desired: i64,
    rescale: bool,
    /// Why, for the event.
    reason: String,
    metrics: Option<Vec<Value>>,
}

/// What is fixed during one look.
struct View<'a> {
    key: &'a Key,
    object: &'a Value,
    target: Target,
    world: &'a dyn World,
    now: Timestamp,
    behavior: Option<Behavior>,
}

impl HorizontalPodAutoscalers {
    pub fn new(targets: Arc<dyn Targets>, meters: Box<dyn Meters<Key>>, clock: Clock) -> Self {
        HorizontalPodAutoscalers { targets, meters, clock, states: BTreeMap::new() }
    }

    /// A look when it is time for one. `None`: metrics are being fetched.
    fn look(&mut self, key: &Key, (entry, object): (&Entry, &Value), world: &dyn World, now: Timestamp) -> Option<Plan> {
        let mut pass = Pass::new(entry, object, now);
        let spec = &object["spec"];
        let reference = Reference::parse(&spec["scaleTargetRef"]);
        let target = match self.targets.find(&reference, &key.object.namespace) {
            Ok(target) => target,
            Err(why) => {
                pass.warn("FailedGetScale", why.as_str());
                let message = format!("the HPA controller was unable to get the target's current scale: {why}");
                pass.able(false, ("FailedGetScale", &message));
                return Some(pass.finish());
            }
        };
        pass.able(true, ("SucceededGetScale", "the HPA controller was able to get the target's current scale"));
        let steady = (self.clock)(now);
        let view = View { key, object, target, world, now, behavior: Behavior::parse(&spec["behavior"]) };
        let state = self.states.entry(key.object.clone()).or_default();
        state.history.begin(view.target.replicas, steady);
        // A write of the status may have been refused: what is known is told again.
        pass.scaled_at(state.last_scale.as_deref());
        let decision = match self.decide(&view, &mut pass)? {
            Ok(decision) => decision,
            Err(metrics) => {
                pass.count(view.target.replicas, None, metrics);
                return Some(pass.finish());
            }
        };
        Some(self.carry_out(&view, decision, pass))
    }

    /// What should be. The error is what is known of the metrics when nothing follows from them; `None`: they are being fetched.
    fn decide(&mut self, view: &View<'_>, pass: &mut Pass<'_>) -> Option<Result<Decision, Option<Vec<Value>>>> {
        let spec = &view.object["spec"];
        let (min, max) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(1));
        let current = view.target.replicas;
        let to = |desired: i64, reason: &str| Decision { desired, rescale: desired != current, reason: reason.into(), metrics: None };
        if current == 0 && min != 0 {
            pass.active(false, ("ScalingDisabled", "scaling is disabled since the replica count of the target is zero"));
            return Some(Ok(to(0, "")));
        } else if current > max {
            return Some(Ok(to(max, "Current number of replicas above Spec.MaxReplicas")));
        } else if current < min {
            return Some(Ok(to(min, "Current number of replicas below Spec.MinReplicas")));
        }
        let (proposal, metrics) = match self.measure(view, pass)? {
            Ok(found) => found,
            Err((error, metrics)) => {
                pass.warn("FailedComputeMetricsReplicas", error);
                return Some(Err(metrics));
            }
        };
        let reason = match proposal.replicas {
            more if more > current => format!("{} above target", proposal.name),
            fewer if fewer < current => "All metrics below target".into(),
            _ => String::new(),
        };
        let wish = Wish { current, desired: proposal.replicas, min, max };
        let state = self.states.entry(view.key.object.clone()).or_default();
        let verdict = state.history.judge(wish, view.behavior.as_ref(), (self.clock)(view.now));
        pass.able(true, verdict.able);
        pass.limited(verdict.limited, verdict.limit);
        let desired = verdict.replicas;
        Some(Ok(Decision { desired, rescale: desired != current, reason, metrics: Some(metrics) }))
    }

    /// The largest proposal of the metrics, with all that was measured.
    #[expect(clippy::type_complexity)]
    fn measure(&mut self, view: &View<'_>, pass: &mut Pass<'_>) -> Option<Result<(Proposal, Vec<Value>), (String, Option<Vec<Value>>)>> {
        let selector = match self.selector(view, pass) {
            Ok(selector) => selector,
            Err(why) => return Some(Err((why, None))),
        };
        let specs = view.object["spec"]["metrics"].as_array().map_or(&[][..], Vec::as_slice);
        let metrics: Vec<Metric<'_>> = specs.iter().map(Metric::of).collect();
        let namespace = &*view.key.object.namespace;
        let asked: Vec<_> = metrics.iter().map(|metric| metric.question(&selector, &*self.targets, namespace)).collect();
        let questions: Vec<_> = asked.iter().filter_map(|question| question.as_ref().ok().cloned()).collect();
        let mut answers = self.meters.read(view.key, &questions)?.into_iter();
        let pods = view.world.list("pods", Some(namespace));
        let pods: Vec<PodFacts> = pods.iter().filter(|pod| selector.matches(&pod.meta.labels)).map(|pod| PodFacts::of(pod)).collect();
        let (current, running, now) = (view.target.replicas, view.target.running, view.now.as_millisecond());
        let basis = Basis { pods: &pods, current, tolerances: tolerances(view.behavior.as_ref()), resource: None, now };
        let scene = Scene { basis, running, namespace };
        let proposals = metrics.iter().zip(asked).map(|(metric, question)| {
            question?;
            metric.propose(answers.next().unwrap_or_else(|| Err("there is no answer".into())), &scene)
        });
        let proposals: Vec<Result<Proposal, Problem>> = proposals.collect();
        Some(largest(proposals, current, pass))
    }

    /// The selector of the target's pods, which must be this autoscaler's alone.
    fn selector(&mut self, view: &View<'_>, pass: &mut Pass<'_>) -> Result<LabelSelector, String> {
        let text = view.target.selector.as_str();
        if text.is_empty() {
            pass.warn("SelectorRequired", "selector is required");
            pass.active(false, ("InvalidSelector", "the HPA target's scale is missing a selector"));
            return Err("selector is required".into());
        }
        let selector = LabelSelector::parse(text).map_err(|e| {
            let why = format!("couldn't convert selector into a corresponding internal selector object: {e}");
            pass.warn("InvalidSelector", why.as_str());
            pass.active(false, ("InvalidSelector", &why));
            why
        })?;
        let me = &view.key.object;
        self.states.entry(me.clone()).or_default().selector = Some(selector.clone());
        let pods = view.world.list("pods", Some(&me.namespace));
        let claims = |other: &LabelSelector| pods.iter().any(|p| selector.matches(&p.meta.labels) && other.matches(&p.meta.labels));
        let neighbours = self.states.iter().filter(|(key, _)| key.namespace == me.namespace);
        let sharing: Vec<&ObjectKey> =
            neighbours.filter(|(_, state)| state.selector.as_ref().is_some_and(claims)).map(|(key, _)| key).collect();
        if sharing.len() > 1 {
            let names: Vec<String> = sharing.iter().map(|key| format!("{{{} {}}}", key.name, key.namespace)).collect();
            let why = format!("pods by selector {text} are controlled by multiple HPAs: [{}]", names.join(" "));
            pass.warn("AmbiguousSelector", why.as_str());
            pass.active(false, ("AmbiguousSelector", &why));
            return Err(why);
        }
        Ok(selector)
    }

    /// Writes the scale when it is to change: what came of that is told by the next look, at once.
    fn carry_out(&mut self, view: &View<'_>, decision: Decision, mut pass: Pass<'_>) -> Plan {
        let from = view.target.replicas;
        let Decision { desired: to, rescale, reason, metrics } = decision;
        if !rescale {
            pass.count(from, Some(from), metrics);
            return pass.finish();
        }
        let why = format!("HorizontalPodAutoscaler {}: {from} to {to} replicas of {}: {reason}", view.key.object, view.target.key.name);
        let state = self.states.entry(view.key.object.clone()).or_default();
        state.rescaling = Some(Rescaling { from, to, reason, metrics, status: pass.status, notes: pass.notes });
        let write = Action::Patch(Patch {
            kind: view.target.shelf.clone(),
            key: view.target.key.clone(),
            uid: Some(view.target.uid.clone()),
            subresource: Some("scale"),
            patch: json!({ "spec": { "replicas": to } }),
            expect_revision: Some(view.target.revision),
        });
        Plan { actions: vec![write], requeue_after: Some(Duration::ZERO), why }
    }

    /// Tells what became of a write.
    fn conclude(
        &mut self,
        key: &Key,
        (entry, object): (&Entry, &Value),
        done: Rescaling,
        now: Timestamp,
        failure: Option<&Failure>,
    ) -> Plan {
        let mut pass = Pass::new(entry, object, now);
        let Rescaling { from, to, reason, metrics, status, notes } = done;
        (pass.status, pass.notes) = (status, notes);
        if let Some(failure) = failure {
            let why = &failure.message;
            pass.warn("FailedRescale", format!("New size: {to}; reason: {reason}; error: {why}"));
            pass.able(false, ("FailedUpdateScale", &format!("the HPA controller was unable to update the target scale: {why}")));
            pass.count(from, None, metrics);
            return pass.finish();
        }
        pass.able(true, ("SucceededRescale", &format!("the HPA controller was able to update the target scale to {to}")));
        pass.tell("SuccessfulRescale", format!("New size: {to}; reason: {reason}"));
        pass.count(from, Some(to), metrics);
        let behavior = Behavior::parse(&object["spec"]["behavior"]);
        let steady = (self.clock)(now);
        let state = self.states.entry(key.object.clone()).or_default();
        state.history.scaled(from, to, behavior.as_ref(), steady);
        state.last_scale = Some(pass.time().to_string());
        pass.scaled_at(state.last_scale.as_deref());
        pass.finish()
    }
}

/// Tells one specification from another: autoscalers have no generation.
fn fingerprint(spec: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.to_string().hash(&mut hasher);
    hasher.finish()
}

fn tolerances(behavior: Option<&Behavior>) -> Tolerances {
    let of = |own: Option<f64>| own.unwrap_or(TOLERANCE);
    Tolerances { down: of(behavior.and_then(|b| b.down.tolerance)), up: of(behavior.and_then(|b| b.up.tolerance)) }
}

/// The largest proposal. With some metrics unknown it may still go up, but not down: the unknown might ask for more.
fn largest(
    proposals: Vec<Result<Proposal, Problem>>,
    current: i64,
    pass: &mut Pass<'_>,
) -> Result<(Proposal, Vec<Value>), (String, Option<Vec<Value>>)> {
    let all = proposals.len();
    let (mut best, mut first, mut failed) = (None::<Proposal>, None::<Problem>, 0);
    let mut shown = Vec::with_capacity(all);
    for proposal in proposals {
        match proposal {
            Ok(proposal) => {
                shown.push(proposal.status.clone());
                if best.as_ref().is_none_or(|b| b.replicas == 0 || proposal.replicas > b.replicas) {
                    best = Some(proposal);
                }
            }
            Err(problem) => {
                // Its place is kept: the list goes along with that of the specification.
                shown.push(json!({ "type": "" }));
                pass.warn(problem.reason, problem.message.as_str());
                failed += 1;
                first.get_or_insert(problem);
            }
        }
    }
    match (best, first) {
        (Some(best), problem) if problem.is_none() || best.replicas >= current => {
            let message = format!("the HPA was able to successfully calculate a replica count from {}", best.name);
            pass.active(true, ("ValidMetricFound", &message));
            Ok((best, shown))
        }
        (_, Some(problem)) => {
            let message = format!("the HPA was unable to compute the replica count: {}", problem.message);
            pass.active(false, (problem.reason, &message));
            Err((format!("invalid metrics ({failed} invalid out of {all}), first error is: {}", problem.error), Some(shown)))
        }
        // Defaulting sees to it that there is a metric.
        _ => Err(("there are no metrics".into(), None)),
    }
}

impl Controller for HorizontalPodAutoscalers {
    fn name(&self) -> &'static str {
        "horizontalpodautoscaler"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == SHELF
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        out.push(Key::of(SHELF, &change.entry.key));
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(SHELF, &key.object).filter(|entry| entry.meta.deleting.is_none()) else {
            self.states.remove(&key.object);
            self.meters.forget(key);
            return Plan::quiet();
        };
        let steady = (self.clock)(now);
        let state = self.states.entry(key.object.clone()).or_default();
        let told = state.rescaling.take();
        let object = entry.parse();
        let wanted = fingerprint(&object["spec"]);
        let rest = state.next.filter(|(at, of)| *of == wanted && *at > steady && failure.is_none() && told.is_none());
        if let Some((at, _)) = rest {
            // Its own status was written, or somebody labelled it.
            let wait = Duration::try_from(at.duration_since(steady)).unwrap_or(SYNC);
            return Plan { requeue_after: Some(wait), ..Plan::default() };
        }
        let plan = match told {
            Some(done) => Some(self.conclude(key, (&entry, &object), done, now, failure)),
            None => self.look(key, (&entry, &object), world, now),
        };
        // The answers bring it back; the rhythm does so should they get lost.
        let mut plan = plan.unwrap_or_else(|| Plan { requeue_after: Some(4 * SYNC), ..Plan::default() });
        let state = self.states.entry(key.object.clone()).or_default();
        if plan.requeue_after.is_none() {
            let next = steady.checked_add(SignedDuration::try_from(SYNC).unwrap_or_default()).unwrap_or(steady);
            state.next = Some((next, wanted));
            plan.requeue(SYNC);
        }
        plan
    }
}
