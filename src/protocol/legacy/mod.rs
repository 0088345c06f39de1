//! API versions that Kubernetes has removed: what they looked like, and how their objects become today's and back.
//!
//! All of it works on JSON. On the way in the old version's own defaults are filled in where they differ from today's, fields
//! move to where they are today, and then the codec of today's kind checks the result. On the way out only shapes change.
mod apiextensions;
mod apps;
mod autoscaling;
mod discovery;
mod fields;
mod ingress;
pub mod pod_preset;
mod policy;
mod rbac;
mod small;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crd;
mod webhooks;

pub use table::TABLE;

use crate::codec::duplicates::duplicates;
use crate::codec::{Checked, Codec, DecodeError};
use crate::resource::Resource;
use serde_json::Value;

/// One kind of one removed version.
pub struct Legacy {
    /// `extensions/v1beta1`
    pub api_version: &'static str,
    pub kind: &'static str,
    /// Where the kind is today: `apps/v1`. Its name has not changed.
    pub today: &'static str,
    /// The minor versions of Kubernetes 1 that deprecated and removed it.
    pub deprecated: u8,
    pub removed: u8,
    to_today: fn(&mut Value),
    from_today: fn(&mut Value),
}

impl Legacy {
    /// `extensions`
    pub fn group(&self) -> &'static str {
        split(self.api_version).0
    }

    /// `v1beta1`
    pub fn version(&self) -> &'static str {
        split(self.api_version).1
    }

    /// What upstream warned users of this version of.
    pub fn warning(&self) -> String {
        let Legacy { api_version, kind, today, deprecated, removed, .. } = self;
        format!("{api_version} {kind} is deprecated in v1.{deprecated}+, unavailable in v1.{removed}+; use {today} {kind}")
    }

    /// Makes an object of this version one of today's. Doing it again changes nothing.
    pub fn upgrade(&self, object: &mut Value) {
        if !object.is_object() {
            return;
        }
        (self.to_today)(object);
        object["apiVersion"] = self.today.into();
        object["kind"] = self.kind.into();
    }

    /// Makes one of today's objects one of this version.
    pub fn downgrade(&self, object: &mut Value) {
        if !object.is_object() {
            return;
        }
        (self.from_today)(object);
        object["apiVersion"] = self.api_version.into();
        object["kind"] = self.kind.into();
    }

    /// The same for what a client sent: its type must be this one, where it is given.
    pub fn accept(&self, object: &mut Value) -> Result<(), DecodeError> {
        self.check_type(object)?;
        self.upgrade(object);
        Ok(())
    }

    /// Checks a JSON body of this version. The answer is an object of today's; `codec` is that of today's kind.
    pub fn check(&self, codec: &Codec, body: &[u8]) -> Result<Checked, DecodeError> {
        let parsed = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        // What is no object at all is explained as it would be today.
        let Some(mut value) = parsed else { return codec.check(body).map_err(|e| self.said(e)) };
        let duplicate = duplicates(body).map_err(|e| self.refused(e.to_string()))?;
        self.accept(&mut value)?;
        let checked = codec.check_value(&value).map_err(|e| self.said(e))?;
        Ok(Checked { duplicate, ..checked })
    }

    fn check_type(&self, value: &Value) -> Result<(), DecodeError> {
        let given = |field: &str| value[field].as_str().filter(|t| !t.is_empty()).map(str::to_string);
        if let Some(found) = given("apiVersion").filter(|v| v != self.api_version) {
            return Err(DecodeError::ApiVersion { found, expected: self.api_version });
        }
        match given("kind").filter(|k| k != self.kind) {
            Some(found) => {
                let version = self.version();
                let problem = format!("converting ({version}.{found}) to ({version}.{}): unknown conversion", self.kind);
                Err(DecodeError::Object { found, version: version.into(), kind: self.kind, problem })
            }
            None => Ok(()),
        }
    }

    fn refused(&self, problem: String) -> DecodeError {
        DecodeError::Object { found: self.kind.into(), version: self.version().into(), kind: self.kind, problem }
    }

    /// The error of today's codec, said of the version that the client sent.
    fn said(&self, error: DecodeError) -> DecodeError {
        match error {
            DecodeError::Object { found, kind, problem, .. } => {
                DecodeError::Object { found, version: self.version().into(), kind, problem }
            }
            other => other,
        }
    }
}

/// The removed version of that name. Kinds that are never stored (reviews, `Eviction`) are found here too.
pub fn find(api_version: &str, kind: &str) -> Option<&'static Legacy> {
    TABLE.iter().find(|l| l.api_version == api_version && l.kind == kind)
}

/// Whether Kubernetes has removed this version of a kind.
pub fn is_removed(resource: &Resource) -> bool {
    let Resource { group, version, kind, .. } = *resource;
    group == "settings.k8s.io" || TABLE.iter().any(|l| l.kind == kind && l.group() == group && l.version() == version)
}

/// Makes a body of a removed version one of today's, and answers what it was; other bodies are left alone.
pub fn upgrade(object: &mut Value) -> Option<&'static Legacy> {
    let legacy = find(object["apiVersion"].as_str()?, object["kind"].as_str()?)?;
    legacy.upgrade(object);
    Some(legacy)
}

/// Why a resource that Kubernetes once had is not served in any version: accepting it would promise what nobody keeps.
pub fn gone(group: &str, version: &str, plural: &str) -> Option<&'static str> {
    let policy = matches!((group, version), ("policy" | "extensions", "v1beta1")) && plural == "podsecuritypolicies";
    policy.then_some(
        "the server could not find the requested resource: PodSecurityPolicy is unavailable in v1.25+, and nothing here would enforce it; \
         label namespaces with pod-security.kubernetes.io/enforce instead",
    )
}

fn split(api_version: &'static str) -> (&'static str, &'static str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}
