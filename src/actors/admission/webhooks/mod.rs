//! Webhooks: servers that are asked over HTTPS whether a request is good, and what they would like to change in it.
mod client;
mod hook;
mod resolver;
mod review;

#[cfg(test)]
mod tests;

pub use resolver::ClusterServices;

use super::chain::derived;
use super::derived::Derived;
use super::matching::{Presented, Shown, Target, bindings, conditions_hold, request};
use super::notes::{note, note_detail};
use super::refusal::forbidden;
use crate::actors::aggregation::Dial;
use crate::actors::kinds::{Attributes, scale_of};
use crate::protocol::authority::Authorize;
use crate::protocol::status::ApiError;
use crate::storage::{Shelf, Shelves};
use client::Client;
use futures_util::future::join_all;
use hook::{Hook, hooks};
use review::Verdict;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Every webhook, and the way to them.
pub struct Hooks {
    mutating: Derived<Vec<Hook>>,
    validating: Derived<Vec<Hook>>,
    namespaces: Arc<Shelf>,
    authorizer: Arc<dyn Authorize>,
    client: Client,
}

/// The mutating webhooks as they were when a request came, and what those have seen that want to be asked again.
#[derive(Default)]
pub struct Round {
    hooks: Arc<Vec<Hook>>,
    /// After the first round: by the webhook's place, the object as it left it.
    seen: Option<HashMap<usize, Value>>,
    /// The object as it was before the request, in the forms that were asked for.
    olds: Presented,
}

/// When a webhook is asked.
#[derive(Clone, Copy)]
struct Turn {
    round: usize,
    index: usize,
}

impl Turn {
    /// For the audit log: what a mutating webhook did.
    fn note(self, hook: &Hook, changed: bool, patch: Option<&Value>) {
        let about = json!({ "configuration": hook.configuration, "webhook": hook.name, "mutated": changed });
        note(format!("mutation.webhook.admission.k8s.io/{self}"), about.to_string());
        if let Some(patch) = patch.filter(|_| changed) {
            let about = json!({ "configuration": hook.configuration, "webhook": hook.name, "patch": patch, "patchType": "JSONPatch" });
            note_detail(format!("patch.webhook.admission.k8s.io/{self}"), about.to_string());
        }
    }

    /// The same for one that could not be asked, and need not be.
    fn note_failed_open(self, hook: &Hook) {
        let sort = if hook.mutating { "mutation" } else { "validating" };
        note(format!("failed-open.{sort}.webhook.admission.k8s.io/{self}"), hook.name.as_str());
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round_{}_index_{}", self.round, self.index)
    }
}

/// What asking one webhook came to.
enum Asked {
    /// It is not concerned, or could not be asked and need not be.
    Passed,
    Answered(Verdict),
}

impl Hooks {
    pub fn new(shelves: Arc<Shelves>, services: Arc<dyn Dial>, authorizer: Arc<dyn Authorize>) -> Self {
        Hooks {
            mutating: derived(&shelves, "mutatingwebhookconfigurations.admissionregistration.k8s.io", hooks),
            validating: derived(&shelves, "validatingwebhookconfigurations.admissionregistration.k8s.io", hooks),
            namespaces: shelves.shelf("namespaces"),
            authorizer,
            client: Client::new(services),
        }
    }

    /// Whether any webhook wants to hear of such requests.
    pub fn concern(&self, a: &Attributes<'_>) -> bool {
        let any = |hooks: &Derived<Vec<Hook>>| !hooks.is_empty() && hooks.get().iter().any(|hook| hook.matching.concerns(a));
        any(&self.mutating) || any(&self.validating)
    }

    /// What the two rounds over the mutating webhooks share.
    pub fn round(&self) -> Round {
        if self.mutating.is_empty() { Round::default() } else { Round { hooks: self.mutating.get(), ..Round::default() } }
    }

    /// Asks the mutating webhooks one after the other. In a second round those that want to see later changes, if there were any.
    /// Answers warnings.
    pub async fn mutate(
        &self,
        a: &Attributes<'_>,
        round: &mut Round,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<Vec<String>, ApiError> {
        let mut warnings = Vec::new();
        let (hooks, first) = (round.hooks.clone(), round.seen.is_none());
        let mut seen = round.seen.take().unwrap_or_default();
        for (index, hook) in hooks.iter().enumerate() {
            if !first && seen.get(&index).is_none_or(|state| state == object) {
                continue;
            }
            let turn = Turn { round: usize::from(!first), index };
            if self.change(a, hook, turn, object, (old, &mut round.olds), &mut warnings).await? && hook.reinvoke {
                seen.insert(index, object.clone());
            }
        }
        round.seen = Some(seen);
        Ok(warnings)
    }

    /// Asks the mutating webhooks about a deletion, in which there is nothing to change. Answers warnings.
    pub async fn mutate_nothing(&self, a: &Attributes<'_>, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        let mut warnings = Vec::new();
        if self.mutating.is_empty() {
            return Ok(warnings);
        }
        let mut olds = Presented::default();
        for (index, hook) in self.mutating.get().iter().enumerate() {
            let Some(target) = self.wants(a, hook, None, old) else { continue };
            let turn = Turn { round: 0, index };
            let shown = olds.of(a, target, None, old).await?;
            let Asked::Answered(verdict) = self.ask(a, hook, turn, target, &shown).await? else { continue };
            if verdict.patch.is_some_and(|patch| patch.as_array().is_none_or(|operations| !operations.is_empty())) {
                let name = &hook.name;
                let why = "attempted to modify the object, which is not supported for this operation";
                return Err(ApiError::internal(format!("admission webhook \"{name}\" {why}")));
            }
            turn.note(hook, false, None);
            warnings.extend(verdict.warnings);
        }
        Ok(warnings)
    }

    /// Lets one webhook change the object; true when it was asked.
    async fn change(
        &self,
        a: &Attributes<'_>,
        hook: &Hook,
        turn: Turn,
        object: &mut Value,
        (old, olds): (Option<&Value>, &mut Presented),
        warnings: &mut Vec<String>,
    ) -> Result<bool, ApiError> {
        let Some(target) = self.wants(a, hook, Some(object), old) else { return Ok(false) };
        let presented = target.present(a, object).await?;
        let shown = Shown { object: Some(presented), ..olds.of(a, target, None, old).await? };
        let verdict = match self.ask(a, hook, turn, target, &shown).await? {
            Asked::Passed => return Ok(false),
            Asked::Answered(verdict) => verdict,
        };
        warnings.extend(verdict.warnings.iter().cloned());
        let mut changed = false;
        if let (Some(patch), Some(presented)) = (&verdict.patch, &shown.object) {
            match review::patched(presented, patch) {
                Ok(patched) if patched == *presented => {}
                Ok(patched) => {
                    changed = true;
                    *object = target.take_back(a, patched).await?;
                }
                Err(why) if hook.fail => return Err(ApiError::internal(why)),
                Err(why) => tracing::warn!(webhook = hook.name, "its patch is ignored: {why}"),
            }
        }
        turn.note(hook, changed, verdict.patch.as_ref());
        Ok(true)
    }

    /// Asks the validating webhooks side by side; the first refusal in their order counts.
    pub async fn validate(&self, a: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        if self.validating.is_empty() {
            return Ok(Vec::new());
        }
        // A write through `scale` ends in the object itself; those outside see the Scale.
        let shown = |object: Option<&Value>| -> Option<Value> {
            object.map(|o| if a.subresource == "scale" { scale_of(a.kind, o) } else { o.clone() })
        };
        let (object, old) = match a.subresource {
            "scale" => (shown(object).map(Cow::Owned), shown(old).map(Cow::Owned)),
            _ => (object.map(Cow::Borrowed), old.map(Cow::Borrowed)),
        };
        let (object, old) = (object.as_deref(), old.as_deref());
        let hooks = self.validating.get();
        let mut forms = Presented::default();
        let mut wanted = Vec::new();
        for (index, hook) in hooks.iter().enumerate() {
            if let Some(target) = self.wants(a, hook, object, old) {
                wanted.push((Turn { round: 0, index }, hook, target, forms.of(a, target, object, old).await?));
            }
        }
        let answers = join_all(wanted.iter().map(|(turn, hook, target, shown)| self.ask(a, hook, *turn, *target, shown))).await;
        let mut warnings = Vec::new();
        for answer in answers {
            if let Asked::Answered(verdict) = answer? {
                warnings.extend(verdict.warnings);
            }
        }
        Ok(warnings)
    }

    fn wants(&self, a: &Attributes<'_>, hook: &Hook, object: Option<&Value>, old: Option<&Value>) -> Option<Target> {
        let target = hook.matching.target(a)?;
        hook.matching.selects(a, object, old, &self.namespaces).then_some(target)
    }

    /// Asks one webhook about objects in the form that it wants.
    async fn ask(&self, a: &Attributes<'_>, hook: &Hook, turn: Turn, target: Target, shown: &Shown) -> Result<Asked, ApiError> {
        let (object, old) = (shown.object.as_ref(), shown.old.as_ref());
        let about = request(a, object.or(old), target);
        if !hook.conditions.is_empty() {
            let seen = bindings(a, &self.authorizer, &about, object, old);
            match conditions_hold(&hook.conditions, seen.values()) {
                Ok(true) => {}
                Ok(false) => return Ok(Asked::Passed),
                Err(why) if hook.fail => return Err(forbidden(a, object.or(old), &why)),
                Err(_) => return Ok(Asked::Passed),
            }
        }
        if a.dry_run && hook.side_effects {
            return Err(ApiError::bad_request(format!("admission webhook \"{}\" does not support dry run", hook.name)));
        }
        let uid = review::fresh_uid()?;
        let body = review::body(about, &uid, object, old);
        let answer = match self.client.post(hook, body).await {
            Ok(answer) => review::verdict(&answer, &uid, hook.mutating),
            Err(why) => Err(format!("failed to call webhook: {why}")),
        };
        match answer {
            Ok(verdict) => {
                for (key, value) in &verdict.audit {
                    note(format!("{}/{key}", hook.name), value.as_str());
                }
                match verdict.refusal {
                    Some(status) => Err(review::refusal(&hook.name, &status)),
                    None => Ok(Asked::Answered(verdict)),
                }
            }
            Err(why) if hook.fail => Err(ApiError::internal(format!("failed calling webhook \"{}\": {why}", hook.name))),
            Err(why) => {
                tracing::warn!(webhook = hook.name, "failed calling a webhook, failing open: {why}");
                turn.note_failed_open(hook);
                Ok(Asked::Passed)
            }
        }
    }
}
