//! ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules in CEL that run in the server.
mod mutating;
mod parameters;
mod policy;
mod validating;

#[cfg(test)]
mod tests;

use super::chain::derived;
use super::derived::Derived;
use super::expressions::Bindings;
use super::matching::{Presented, Shown, Target, bindings, conditions_hold, namespace_object, request};
use super::notes::note_over;
use super::refusal::forbidden;
use crate::actors::kinds::{Attributes, scale_of};
use crate::protocol::authority::Authorize;
use crate::protocol::cel::Defined;
use crate::protocol::status::{ApiError, Cause};
use crate::storage::{Shelf, Shelves, Snapshot};
use policy::{Action, Binding, Mutating, Policy, Validating};
use serde_json::{Value, json};
use std::sync::Arc;
use validating::Finding;

/// Under which key the audit log hears of demands that are not met.
const FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";

/// Every policy with its bindings.
pub struct Policies {
    validating: Derived<Vec<Policy<Validating>>>,
    validating_bindings: Derived<Vec<Binding>>,
    mutating: Derived<Vec<Policy<Mutating>>>,
    mutating_bindings: Derived<Vec<Binding>>,
    namespaces: Arc<Shelf>,
    shelves: Arc<Shelves>,
    authorizer: Arc<dyn Authorize>,
}

/// A request, as policies look at it.
struct Review<'a> {
    a: &'a Attributes<'a>,
    object: Option<&'a Value>,
    old: Option<&'a Value>,
}

/// The mutating policies as they were when a request came, and what those have seen that want to be asked again.
#[derive(Default)]
pub struct Round {
    policies: Arc<Vec<Policy<Mutating>>>,
    bindings: Arc<Vec<Binding>>,
    /// After the first round: policy, binding, and the object as they left it.
    seen: Option<Vec<(usize, usize, Value)>>,
    /// The object as it was before the request, in the forms that were asked for.
    olds: Presented,
}

/// What follows from one parameter object of one binding.
struct Case {
    bindings: Bindings,
}

/// Why a policy cannot see an object in the form that it is about.
fn not_converted(error: &ApiError) -> String {
    format!("failed to convert object version: {}", error.message)
}

impl Policies {
    pub fn new(shelves: Arc<Shelves>, authorizer: Arc<dyn Authorize>) -> Self {
        let shelf = |plural: &str| format!("{plural}.admissionregistration.k8s.io");
        let bindings: fn(&Snapshot) -> Vec<Binding> = policy::bindings;
        Policies {
            validating: derived(&shelves, &shelf("validatingadmissionpolicies"), policy::validating),
            validating_bindings: derived(&shelves, &shelf("validatingadmissionpolicybindings"), bindings),
            mutating: derived(&shelves, &shelf("mutatingadmissionpolicies"), policy::mutating),
            mutating_bindings: derived(&shelves, &shelf("mutatingadmissionpolicybindings"), bindings),
            namespaces: shelves.shelf("namespaces"),
            shelves,
            authorizer,
        }
    }

    /// Whether a policy that is bound may have a say.
    pub fn concern(&self, a: &Attributes<'_>) -> bool {
        let validating = !self.validating.is_empty() && !self.validating_bindings.is_empty();
        let mutating = !self.mutating.is_empty() && !self.mutating_bindings.is_empty();
        (validating && self.validating.get().iter().any(|p| p.matching.concerns(a)))
            || (mutating && self.mutating.get().iter().any(|p| p.matching.concerns(a)))
    }

    /// What the two rounds over the mutating policies share.
    pub fn round(&self) -> Round {
        if self.mutating.is_empty() || self.mutating_bindings.is_empty() {
            return Round::default();
        }
        Round { policies: self.mutating.get(), bindings: self.mutating_bindings.get(), seen: None, olds: Presented::default() }
    }

    /// Applies the mutating policies, in the order of their names. In a second round those that want to see later changes, if there
    /// were any.
    pub async fn mutate(&self, a: &Attributes<'_>, round: &mut Round, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
        if let Some(seen) = round.seen.take() {
            for (policy, binding, state) in seen {
                if state != *object
                    && let (Some(policy), Some(binding)) = (round.policies.get(policy), round.bindings.get(binding))
                {
                    self.apply(a, policy, binding, object, (old, &mut round.olds)).await?;
                }
            }
            return Ok(());
        }
        let mut seen = Vec::new();
        for (p, policy) in round.policies.iter().enumerate() {
            for (b, binding) in round.bindings.iter().enumerate().filter(|(_, b)| b.policy == policy.name) {
                if self.apply(a, policy, binding, object, (old, &mut round.olds)).await? && policy.body.reinvoke {
                    seen.push((p, b, object.clone()));
                }
            }
        }
        round.seen = Some(seen);
        Ok(())
    }

    async fn apply(
        &self,
        a: &Attributes<'_>,
        policy: &Policy<Mutating>,
        binding: &Binding,
        object: &mut Value,
        (old, olds): (Option<&Value>, &mut Presented),
    ) -> Result<bool, ApiError> {
        let review = Review { a, object: Some(object), old };
        let Some(target) = self.wants(&review, policy, binding) else { return Ok(false) };
        let shown = match (target.present(a, object).await, olds.of(a, target, None, old).await) {
            (Ok(object), Ok(shown)) => Ok(Shown { object: Some(object), ..shown }),
            (Err(error), _) | (_, Err(error)) => Err(not_converted(&error)),
        };
        let (shown, cases) = match shown.and_then(|shown| Ok((self.cases(&review, &shown, target, policy, binding)?, shown))) {
            Ok((Some(cases), shown)) => (shown, cases),
            Ok((None, _)) => return Ok(false),
            Err(why) if policy.fail => return Err(self.denied(&review, "MutatingAdmissionPolicy", policy, binding, &why)),
            Err(_) => return Ok(false),
        };
        let mut changed = shown.object.clone().unwrap_or_default();
        for case in cases {
            match mutating::run(&policy.body, &case.bindings, &policy.variables, &target.managed(a), &mut changed) {
                Ok(()) => {}
                Err(why) if policy.fail => return Err(self.denied(&review, "MutatingAdmissionPolicy", policy, binding, &why)),
                Err(why) => tracing::debug!(policy = policy.name, "a mutation is left out: {why}"),
            }
        }
        // On the way back something may be lost, so only what was changed goes there.
        if shown.object.as_ref() != Some(&changed) {
            *object = target.take_back(a, changed).await?;
        }
        Ok(true)
    }

    /// Judges by the validating policies. Answers warnings.
    pub async fn validate(&self, a: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        let mut warnings = Vec::new();
        if self.validating.is_empty() || self.validating_bindings.is_empty() {
            return Ok(warnings);
        }
        let scale = |o: Option<&Value>| o.filter(|_| a.subresource == "scale").map(|o| scale_of(a.kind, o));
        let (new_scale, old_scale) = (scale(object), scale(old));
        let review = Review { a, object: new_scale.as_ref().or(object), old: old_scale.as_ref().or(old) };
        let mut forms = Presented::default();
        let (policies, bindings) = (self.validating.get(), self.validating_bindings.get());
        for policy in policies.iter() {
            for binding in bindings.iter().filter(|b| b.policy == policy.name) {
                self.judge(&review, policy, binding, &mut forms, &mut warnings).await?;
            }
        }
        Ok(warnings)
    }

    async fn judge(
        &self,
        review: &Review<'_>,
        policy: &Policy<Validating>,
        binding: &Binding,
        forms: &mut Presented,
        warnings: &mut Vec<String>,
    ) -> Result<(), ApiError> {
        let Some(target) = self.wants(review, policy, binding) else { return Ok(()) };
        let kind = "ValidatingAdmissionPolicy";
        let shown = forms.of(review.a, target, review.object, review.old).await.map_err(|error| not_converted(&error));
        let cases = match shown.and_then(|shown| self.cases(review, &shown, target, policy, binding)) {
            Ok(Some(cases)) => cases,
            Ok(None) => return Ok(()),
            Err(why) if policy.fail => return Err(self.refused(review, policy, binding, &Finding::failure(why))),
            Err(_) => return Ok(()),
        };
        let mut failures: Vec<Value> = Vec::new();
        for case in cases {
            let scope = Defined::new(case.bindings.values(), &policy.variables);
            let unknown = validating::annotate(&policy.body, &scope, &policy.name);
            for finding in validating::run(&policy.body, &scope, policy.fail) {
                let (name, bound) = (&policy.name, &binding.name);
                if binding.actions.contains(&Action::Audit) {
                    failures.push(json!({
                        "message": finding.message, "policy": name, "binding": bound, "expressionIndex": finding.index,
                        "validationActions": binding.actions.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>(),
                    }));
                    note_over(FAILURE, Value::from(failures.clone()).to_string());
                }
                if binding.actions.contains(&Action::Warn) {
                    let message = &finding.message;
                    warnings.push(format!("Validation failed for {kind} '{name}' with binding '{bound}': {message}"));
                }
                if binding.actions.contains(&Action::Deny) {
                    return Err(self.refused(review, policy, binding, &finding));
                }
            }
            if let Some(why) = unknown.into_iter().next().filter(|_| policy.fail) {
                return Err(self.refused(review, policy, binding, &Finding::failure(why)));
            }
        }
        Ok(())
    }

    /// In which form a policy wants the request, if it and the binding want it.
    fn wants<T>(&self, review: &Review<'_>, policy: &Policy<T>, binding: &Binding) -> Option<Target> {
        let (a, object, old) = (review.a, review.object, review.old);
        let target = policy.matching.target(a)?;
        if !policy.matching.selects(a, object, old, &self.namespaces) {
            return None;
        }
        if let Some(matching) = &binding.matching {
            if matching.has_rules() && matching.target(a).is_none() {
                return None;
            }
            if !matching.selects(a, object, old, &self.namespaces) {
                return None;
            }
        }
        Some(target)
    }

    /// One case for each parameter object, or a single one without; `None` when the conditions do not hold.
    fn cases<T>(
        &self,
        review: &Review<'_>,
        shown: &Shown,
        target: Target,
        policy: &Policy<T>,
        binding: &Binding,
    ) -> Result<Option<Vec<Case>>, String> {
        let a = review.a;
        let about = request(a, review.object.or(review.old), target);
        let mut base = bindings(a, &self.authorizer, &about, shown.object.as_ref(), shown.old.as_ref());
        base.set("namespaceObject", &namespace_object(a, &self.namespaces));
        base.set("params", &Value::Null);
        let parameters = match &policy.parameters {
            None => vec![Value::Null],
            Some(kind) => match parameters::find(&self.shelves, kind, binding.parameters.as_ref(), &a.key.namespace)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let mut cases = Vec::new();
        for parameter in parameters {
            let mut bindings = base.clone();
            bindings.set("params", &parameter);
            if conditions_hold(&policy.conditions, &Defined::new(bindings.values(), &policy.variables))? {
                cases.push(Case { bindings });
            }
        }
        Ok((!cases.is_empty()).then_some(cases))
    }

    fn refused(&self, review: &Review<'_>, policy: &Policy<Validating>, binding: &Binding, finding: &Finding) -> ApiError {
        let mut error = self.denied(review, "ValidatingAdmissionPolicy", policy, binding, &finding.message);
        (error.code, error.reason) = (finding.code(), finding.reason.clone());
        error
    }

    fn denied<T>(&self, review: &Review<'_>, kind: &str, policy: &Policy<T>, binding: &Binding, message: &str) -> ApiError {
        let (name, bound) = (&policy.name, &binding.name);
        let why = format!("{kind} '{name}' with binding '{bound}' denied request: {message}");
        let mut error = forbidden(review.a, review.object.or(review.old), &why);
        if let Some(details) = &mut error.details {
            details.causes.push(Cause { reason: String::new(), message: message.into(), field: String::new() });
        }
        error
    }
}
