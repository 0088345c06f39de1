//! What one version of a definition decides about its objects.
use super::family::{Family, Version};
use super::printer::{Printer, printers};
use super::reading::Reading;
use crate::actors::kinds::columns::Column;
use crate::actors::kinds::{CustomBody, ScalePaths};
use crate::protocol::apply;
use crate::protocol::cel::Budget;
use crate::protocol::codec::{Checked, DecodeError, MAX_STRICT_FINDINGS, check_metadata, duplicates};
use crate::protocol::resource::Resource;
use crate::protocol::status::{FieldError, FieldErrorKind};
use crate::protocol::structural::{CompiledRules, check_embedded, check_lists, compile_stored_rules, prune, validate_update};
use serde_json::Value;
use std::sync::Arc;

/// A compiled version of a definition.
pub struct SchemaBody {
    own: Arc<Version>,
    api_version: &'static str,
    rules: Option<CompiledRules>,
    columns: Vec<Column>,
    printers: Vec<Printer>,
    fields: Vec<String>,
    scale: Option<ScalePaths>,
    reading: Arc<Reading>,
}

impl SchemaBody {
    /// The rest of a version (an entry of `spec.versions`), which is `own` in the family.
    pub fn new(family: &Arc<Family>, own: &Arc<Version>, version: &Value) -> Self {
        let (columns, printers) = printers(&version["additionalPrinterColumns"]);
        let plain = |path: &Value| path.as_str().unwrap_or_default().trim_start_matches('.').to_string();
        let fields = version["selectableFields"].as_array().into_iter().flatten().map(|f| plain(&f["jsonPath"])).collect();
        let scale = &version["subresources"]["scale"];
        let scale = (!scale.is_null()).then(|| ScalePaths {
            spec_replicas: plain(&scale["specReplicasPath"]),
            status_replicas: plain(&scale["statusReplicasPath"]),
            selector: plain(&scale["labelSelectorPath"]),
        });
        SchemaBody {
            api_version: crate::protocol::interned::interned(&own.api_version),
            rules: compile_stored_rules(&own.schema),
            columns,
            printers,
            fields,
            scale,
            reading: Arc::new(Reading::new(family.clone(), own)),
            own: own.clone(),
        }
    }

    fn refused(&self, problem: impl Into<String>) -> DecodeError {
        let Resource { kind, version, .. } = self.own.resource;
        DecodeError::Object { found: kind.into(), version: version.into(), kind, problem: problem.into() }
    }

    /// `apiVersion` and `kind` may be absent, but not different.
    fn check_names(&self, value: &Value) -> Result<(), DecodeError> {
        if let Some(found) = value["apiVersion"].as_str().filter(|v| *v != self.api_version) {
            return Err(DecodeError::ApiVersion { found: found.into(), expected: self.api_version });
        }
        let Resource { kind, version, .. } = self.own.resource;
        if let Some(found) = value["kind"].as_str().filter(|k| *k != kind) {
            let problem = format!("converting ({version}.{found}) to ({version}.{kind}): unknown conversion");
            return Err(DecodeError::Object { found: found.into(), version: version.into(), kind, problem });
        }
        Ok(())
    }
}

impl CustomBody for SchemaBody {
    fn check(&self, body: &[u8]) -> Result<Checked, DecodeError> {
        let mut value: Value = serde_json::from_slice(body).map_err(|e| self.refused(e.to_string()))?;
        if !value.is_object() {
            return Err(self.refused("json: cannot unmarshal into Go value of type map[string]interface {}"));
        }
        self.check_names(&value)?;
        let duplicate = duplicates(body).map_err(|e| self.refused(e.to_string()))?;
        let mut unknown = Vec::new();
        let metadata = value.get("metadata").filter(|m| !m.is_null()).cloned().unwrap_or_else(|| Value::Object(Default::default()));
        let (metadata, unknown_metadata) = check_metadata(&metadata).map_err(|e| self.refused(e))?;
        unknown.extend(unknown_metadata);
        if let Some(members) = value.as_object_mut() {
            members.insert("apiVersion".into(), self.api_version.into());
            members.insert("kind".into(), self.own.resource.kind.into());
            members.insert("metadata".into(), metadata);
        }
        prune(&mut value, &self.own.schema, true, &mut unknown, MAX_STRICT_FINDINGS);
        Ok(Checked { value, unknown, duplicate, mixed: Vec::new() })
    }

    fn default(&self, object: &mut Value) {
        self.own.default(object);
    }

    fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = validate_update(new, old, &self.own.schema, "");
        let lists = |object: &Value| check_lists(object, &self.own.schema, "");
        let found = lists(new);
        // Who holds a list with duplicates already may keep some.
        if !found.is_empty() && old.is_none_or(|old| lists(old).is_empty()) {
            errors.extend(found);
        }
        errors.extend(check_embedded(new, &self.own.schema));
        let Some(rules) = &self.rules else { return errors };
        let blocks = |e: &FieldError| {
            use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
            matches!(e.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
        };
        if errors.iter().any(blocks) {
            let why =
                "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            errors.push(FieldError::invalid("<nil>", Value::Null, why));
        } else {
            let found = crate::protocol::structural::evaluate_rules(rules, new, old, &mut Budget::default());
            errors.extend(found);
        }
        errors
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        self.printers.iter().map(|printer| printer.cell(object, now)).collect()
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn managed(&self) -> &apply::Schema {
        &self.own.managed
    }

    fn scale(&self) -> Option<&ScalePaths> {
        self.scale.as_ref()
    }

    fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }
}
