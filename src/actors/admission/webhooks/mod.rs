//! Webhooks: servers that are asked over HTTPS whether a request is good, and what they would like to change in it.
mod client;
mod hook;
mod resolver;
mod review;

#[cfg(test)]
mod tests;

pub use resolver::{ClusterServices, ResolveService};

use super::chain::derived;
use super::derived::Derived;
use super::matching::{Presented, Shown, Target, bindings, conditions_hold, request};
use super::notes::note;
use super::refusal::forbidden;
use crate::actors::kinds::{Attributes, scale_of};
use crate::protocol::authority::Authorize;
use crate::protocol::status::ApiError;
use crate::storage::{Shelf, Shelves};
use client::Client;
use futures_util::future::join_all;
use hook::{Hook, hooks};
use review::Verdict;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Every webhook, and the way to them.
pub struct Hooks {
    mutating: Derived<Vec<Hook>>,
    validating: Derived<Vec<Hook>>,
    namespaces: Arc<Shelf>,
    authorizer: Arc<dyn Authorize>,
    client: Client,
}

/// What asking one webhook came to.
enum Asked {
    /// It is not concerned, or could not be asked and need not be.
    Passed,
    Answered(Verdict),
}

impl Hooks {
    pub fn new(shelves: Arc<Shelves>, services: Arc<dyn ResolveService>, authorizer: Arc<dyn Authorize>) -> Self {
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

    /// Asks the mutating webhooks one after the other; those that want to see later changes are asked once more.
    pub async fn mutate(&self, a: &Attributes<'_>, mut object: Value, old: Option<&Value>) -> Result<(Value, Vec<String>), ApiError> {
        let mut warnings = Vec::new();
        if self.mutating.is_empty() {
            return Ok((object, warnings));
        }
        let hooks = self.mutating.get();
        let mut olds = Presented::default();
        // The state that each webhook has seen last; what comes after it may concern it again.
        let mut left: Vec<Option<Value>> = vec![None; hooks.len()];
        for (hook, left) in hooks.iter().zip(&mut left) {
            if self.change(a, hook, &mut object, (old, &mut olds), &mut warnings).await? && hook.reinvoke {
                *left = Some(object.clone());
            }
        }
        for (hook, left) in hooks.iter().zip(&left) {
            if left.as_ref().is_some_and(|seen| *seen != object) {
                self.change(a, hook, &mut object, (old, &mut olds), &mut warnings).await?;
            }
        }
        Ok((object, warnings))
    }

    /// Lets one webhook change the object; true when it was asked.
    async fn change(
        &self,
        a: &Attributes<'_>,
        hook: &Hook,
        object: &mut Value,
        (old, olds): (Option<&Value>, &mut Presented),
        warnings: &mut Vec<String>,
    ) -> Result<bool, ApiError> {
        let Some(target) = self.wants(a, hook, Some(object), old) else { return Ok(false) };
        let presented = target.present(a, object).await?;
        let shown = Shown { object: Some(presented), ..olds.of(a, target, None, old).await? };
        match self.ask(a, hook, target, &shown).await? {
            Asked::Passed => Ok(false),
            Asked::Answered(verdict) => {
                warnings.extend(verdict.warnings.iter().cloned());
                if let (Some(patch), Some(presented)) = (&verdict.patch, &shown.object) {
                    match review::patched(presented, patch) {
                        Ok(patched) => *object = target.take_back(a, patched).await?,
                        Err(why) if hook.fail => return Err(ApiError::internal(why)),
                        Err(why) => tracing::warn!(webhook = hook.name, "its patch is ignored: {why}"),
                    }
                }
                Ok(true)
            }
        }
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
        for hook in hooks.iter() {
            if let Some(target) = self.wants(a, hook, object, old) {
                wanted.push((hook, target, forms.of(a, target, object, old).await?));
            }
        }
        let answers = join_all(wanted.iter().map(|(hook, target, shown)| self.ask(a, hook, *target, shown))).await;
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
    async fn ask(&self, a: &Attributes<'_>, hook: &Hook, target: Target, shown: &Shown) -> Result<Asked, ApiError> {
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
                Ok(Asked::Passed)
            }
        }
    }
}
