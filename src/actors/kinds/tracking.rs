//! `metadata.managedFields` on the write path: which schema a kind is tracked by, and what each way of writing it doesn't reach.
use super::actor::decode_error;
use super::{FieldValidation, Forms, Kind, Part, Writer};
use crate::protocol::apply::{self, Config, Converted, Record, Reset, Rules, Schema, managed};
use crate::protocol::codec::kinds::SCALE;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

type Name = (&'static str, &'static str, &'static str);

/// The schemas of built-in kinds, made when one is first written.
static SCHEMAS: LazyLock<RwLock<HashMap<Name, Schema>>> = LazyLock::new(RwLock::default);
static NOTHING: Reset = Reset::Nothing;
static STATUS: LazyLock<Reset> = LazyLock::new(Reset::status);
static ALL_BUT_STATUS: Reset = Reset::AllBut(&["status"]);
static SPECIFICATION: LazyLock<Reset> = LazyLock::new(|| Reset::fields(&[&["spec"]]));

/// The schema that a kind's objects are tracked by.
pub fn schema_of(kind: &Kind) -> Schema {
    if let Some(schema) = kind.custom_schema() {
        return schema.clone();
    }
    let resource = &kind.resource;
    let name = (resource.group, resource.version, resource.kind);
    if let Some(schema) = SCHEMAS.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
        return schema.clone();
    }
    let schema = apply::builtin(resource.group, resource.version, resource.kind);
    SCHEMAS.write().unwrap_or_else(PoisonError::into_inner).insert(name, schema.clone());
    schema
}

/// What a write to this part doesn't reach.
fn reset_of(kind: &Kind, part: Part) -> &'static Reset {
    match part {
        Part::Main if kind.has_status() => &STATUS,
        Part::Status if kind.custom_schema().is_some() => &ALL_BUT_STATUS,
        Part::Status => &SPECIFICATION,
        _ => &NOTHING,
    }
}

/// Who writes which part of an object of a kind, and how fields in other versions of the kind are compared.
pub(super) struct Act<'a> {
    pub kind: &'a Kind,
    pub part: Part,
    pub writer: &'a Writer,
    pub forms: &'a Forms<'a>,
}

impl Act<'_> {
    /// Runs `act` with the rules and the writer that this has.
    fn with<T>(&self, act: impl FnOnce(&Rules<'_>, &managed::Writer<'_>) -> T) -> T {
        let Act { kind, part, writer, forms } = *self;
        let schema = schema_of(kind);
        let (api_version, now) = (kind.resource.api_version(), time::rfc3339(time::now()));
        let convert = |object: &Value, to: &str| -> Converted { forms.convert(&api_version, object, to) };
        let rules = Rules { schema: &schema, reset: reset_of(kind, part), convert: Some(&convert) };
        let writer = managed::Writer { manager: &writer.manager, api_version: &api_version, subresource: part.subresource(), time: &now };
        act(&rules, &writer)
    }

    /// Records who set the fields of a new object, which is defaulted and not yet admitted.
    pub fn created(&self, object: &mut Value) {
        self.with(|rules, writer| apply::track(rules, None, object, writer));
    }

    /// Records who changed what, in an object that is written as a whole: before admission and strategies.
    pub fn edited(&self, old: &Value, new: &mut Value) {
        if matches!(self.part, Part::Main | Part::Status) {
            self.with(|rules, writer| apply::track(rules, Some(old), new, writer));
        }
    }

    /// The same for parts that are merged into the object by their strategy: afterwards.
    pub fn merged(&self, old: &Value, new: &mut Value) {
        let tracked = matches!(self.part, Part::Scale | Part::Approval | Part::EphemeralContainers | Part::Resize);
        if tracked {
            self.with(|rules, writer| apply::track(rules, Some(old), new, writer));
        }
    }
}

/// [`Act::created`] of a kind whose versions nobody else has to convert.
#[cfg(test)]
pub(crate) fn created(kind: &Kind, object: &mut Value, writer: &Writer) {
    Act { kind, part: Part::Main, writer, forms: &Forms::here(kind) }.created(object);
}

/// A configuration for server-side apply.
pub(super) struct Intent<'a> {
    pub config: &'a Value,
    pub force: bool,
    pub validation: FieldValidation,
}

impl Act<'_> {
    /// Applies a configuration to the live object, or makes a new one of it. The result is decoded and defaulted, with its managers in
    /// it; for a new object they are the record, which is finished when the object is complete.
    pub fn applied(&self, old: Option<&Value>, intent: &Intent<'_>) -> Result<(Value, Option<Record>, Vec<String>), ApiError> {
        let kind = self.kind;
        let config = &complete(kind, self.part, intent.config, old)?;
        let checked = kind.check_value(config).map_err(|e| decode_error(&e))?;
        let warnings = if intent.validation == FieldValidation::Warn { checked.findings() } else { Vec::new() };
        let config = Config { object: config, kind: kind.resource.kind, force: intent.force };
        let outcome = self.with(|rules, writer| apply::apply(rules, old, config, writer));
        let outcome = outcome.map_err(|error| error.to_api_error())?;
        // What no schema declares was refused above, whatever was asked for; here is what the schema of fields and owners does not see.
        if intent.validation == FieldValidation::Strict && checked.duplicate.is_empty() && !checked.unknown.is_empty() {
            return Err(apply::undeclared(intent.config, &checked.unknown).to_api_error());
        }
        if intent.validation == FieldValidation::Strict
            && let Some(error) = kind.strict_error(&checked.findings())
        {
            return Err(decode_error(&error));
        }
        let mut object = kind.check_value(&outcome.object).map_err(|e| decode_error(&e))?.value;
        kind.default(&mut object);
        let Some(old) = old else { return Ok((object, Some(outcome.record), warnings)) };
        outcome.record.finish(Some(old), &mut object);
        Ok((object, None, warnings))
    }
}

/// The configuration as one of the whole object: that of a Scale sets the replicas.
fn complete(kind: &Kind, part: Part, config: &Value, old: Option<&Value>) -> Result<Value, ApiError> {
    if part != Part::Scale {
        return Ok(config.clone());
    }
    SCALE.check_value(config).map_err(|e| decode_error(&e))?;
    let resource = &kind.resource;
    let old = old.unwrap_or(&Value::Null);
    let mut whole = json!({ "apiVersion": resource.api_version(), "kind": resource.kind, "metadata": { "name": old["metadata"]["name"] } });
    if let Some(version) = config["metadata"].get("resourceVersion") {
        whole["metadata"]["resourceVersion"] = version.clone();
    }
    if let Some(replicas) = config["spec"].get("replicas") {
        let mut place = &mut whole;
        for part in kind.scale_paths().spec_replicas.split('.') {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[part];
        }
        *place = replicas.clone();
    }
    Ok(whole)
}
