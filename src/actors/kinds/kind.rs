//! What a kind is: data and pure functions. Built-in ones are `static`; those of CustomResourceDefinitions are made at run time.
use super::columns::Column;
use super::custom::Reading;
use crate::protocol::apply::Schema;
use crate::protocol::codec::{Checked, Codec, DecodeError};
use crate::protocol::legacy::Legacy;
use crate::protocol::light::Light;
use crate::protocol::names::{NameRule, name_is_subdomain};
use crate::protocol::resource::Resource;
use crate::protocol::status::FieldError;
use crate::protocol::user::User;
use crate::storage::Entry;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// Everything the machinery needs to know about a kind.
#[derive(Clone)]
pub struct Kind {
    pub resource: Resource,
    pub body: Body,
    /// The short Go type name, for patch strategies: `Pod`. Empty for custom kinds, which have no strategic merge patch.
    pub schema: &'static str,
    pub rules: Rules,
    pub columns: &'static [Column],
    /// The cells of a table row; `now` in seconds since the epoch.
    pub row: fn(object: &Value, now: i64) -> Vec<Value>,
    /// Set when objects are stored as another kind: another version, or another group.
    pub view: Option<&'static View>,
}

/// How a kind's bodies are decoded.
#[derive(Clone)]
pub enum Body {
    /// A generated type knows the schema.
    Typed(&'static Codec),
    /// A CustomResourceDefinition does.
    Custom(Arc<dyn CustomBody>),
    /// A version that Kubernetes has removed: bodies are converted, then checked by the codec of today's kind.
    Legacy(&'static Legacy, &'static Codec),
}

/// A kind that is served besides the one that its objects are stored as: `events.k8s.io/v1` Events are stored as `v1` Events.
pub struct View {
    /// The shelf that the objects are on: `events`.
    pub stored: &'static str,
    /// Makes an object of the view one of the stored kind.
    pub to_stored: fn(&mut Value),
    /// Makes a stored object one of the view.
    pub from_stored: fn(&mut Value),
}

/// What a CustomResourceDefinition's version decides about its objects. All of it is pure and takes bounded time.
pub trait CustomBody: Send + Sync {
    /// Decodes a JSON body: types checked, unknown fields pruned and named.
    fn check(&self, body: &[u8]) -> Result<Checked, DecodeError>;
    /// Fills in the schema's defaults.
    fn default(&self, object: &mut Value);
    /// The schema's rules, CEL rules among them; `old` for an update.
    fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError>;
    fn columns(&self) -> &[Column];
    fn row(&self, object: &Value, now: i64) -> Vec<Value>;
    /// Paths of `selectableFields`, without the leading dot.
    fn fields(&self) -> &[String];
    /// How its objects are merged by server-side apply.
    fn managed(&self) -> &Schema;
    /// Where the scale subresource finds its numbers, when there is one.
    fn scale(&self) -> Option<&ScalePaths>;
    /// How stored objects become objects of this version, and those of this version stored ones.
    fn reading(&self) -> &Arc<Reading>;
}

/// Where a Scale reads and writes: dotted paths without the leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    pub spec_replicas: String,
    pub status_replicas: String,
    /// A text, or a LabelSelector; none when empty.
    pub selector: String,
}

/// The decisions in which built-in kinds differ. All of them are pure functions over the object.
#[derive(Clone, Copy)]
pub struct Rules {
    /// What the name must look like.
    pub name: NameRule,
    /// Fills in defaults, on create and update alike.
    pub default: fn(&mut Value),
    /// What a creator may not set (status, mostly), and what the server sets.
    pub create: fn(&mut Value),
    /// Writes down who asked for a new object, after `create`.
    pub requester: fn(&mut Value, &User),
    /// Carries over what an updater may not change.
    pub update: fn(new: &mut Value, old: &Value),
    /// The same for updates of `status`.
    pub update_status: fn(new: &mut Value, old: &Value),
    pub validate: fn(&Value) -> Vec<FieldError>,
    /// Rules for new objects besides `validate`: stored ones may have come by before they were made.
    pub validate_create: fn(&Value) -> Vec<FieldError>,
    pub validate_update: fn(new: &Value, old: &Value) -> Vec<FieldError>,
    /// Rules of the `status` subresource.
    pub validate_status: fn(new: &Value, old: &Value) -> Vec<FieldError>,
    /// Rules of the `finalize` subresource.
    pub validate_finalize: fn(&Value) -> Vec<FieldError>,
    pub light: fn(&Value) -> Light,
    /// Field selectors beyond `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    /// The value of one of `fields`.
    pub field: fn(&Entry, &str) -> Option<String>,
    /// `metadata.generation` counts changes of the specification.
    pub generation: bool,
    /// Seconds of grace before this object may be removed; 0 for most kinds.
    pub grace: fn(&Value) -> i64,
    /// Deletion without a word about dependents leaves them alone (only ReplicationController, for old clients' sake).
    pub orphans_by_default: bool,
    /// PUT creates what is not there (Lease, Event, Node …).
    pub create_on_update: bool,
    /// An update that names no version replaces whatever is there. Otherwise it is refused.
    pub unconditional: bool,
    /// Commits of other kinds' objects change its status, too: what does not rest on a version is merged with that.
    pub amended: bool,
    /// Advice for writers of a good object, sent as `Warning:` headers; `old` for an update.
    pub warnings: fn(new: &Value, old: Option<&Value>) -> Vec<String>,
}

/// Rules of a kind that has none of its own.
pub const PLAIN: Rules = Rules {
    name: name_is_subdomain,
    default: |_| {},
    create: |_| {},
    requester: |_, _| {},
    update: |_, _| {},
    update_status: |_, _| {},
    validate: |_| Vec::new(),
    validate_create: |_| Vec::new(),
    validate_update: |_, _| Vec::new(),
    validate_status: |_, _| Vec::new(),
    validate_finalize: |_| Vec::new(),
    light: |_| Light::None,
    fields: &[],
    field: field_by_path,
    generation: false,
    grace: |_| 0,
    orphans_by_default: false,
    create_on_update: false,
    unconditional: true,
    amended: false,
    warnings: |_, _| Vec::new(),
};

impl Kind {
    /// The shelf that holds this kind: `pods`, `replicasets.apps`.
    pub fn shelf(&self) -> String {
        self.view.map_or_else(|| self.resource.qualified(), |view| view.stored.to_string())
    }

    /// Whether updates of the main resource leave `status` alone.
    pub fn has_status(&self) -> bool {
        self.resource.subresource("status").is_some()
    }

    /// Decodes a JSON body of this kind.
    pub fn check(&self, body: &[u8]) -> Result<Checked, DecodeError> {
        match &self.body {
            Body::Typed(codec) => codec.check(body),
            Body::Custom(custom) => custom.check(body),
            Body::Legacy(legacy, codec) => legacy.check(codec, body),
        }
    }

    /// Decodes an object that is parsed already, for instance the result of a patch.
    pub fn check_value(&self, value: &Value) -> Result<Checked, DecodeError> {
        if let Body::Typed(codec) = &self.body {
            return codec.check_value(value);
        }
        let body = serde_json::to_vec(value).map_err(|e| self.refused(e.to_string()))?;
        self.check(&body)
    }

    /// [`Kind::check_value`] of a new state of `old`, which was checked before. When they differ in the status at most, only that is
    /// decoded, and the rest stays as it is.
    ///
    /// # Errors
    /// As [`Kind::check_value`].
    pub fn check_status(&self, mut new: Value, old: &Value) -> Result<Checked, DecodeError> {
        let (Body::Typed(codec), Some(members), Some(before)) = (&self.body, new.as_object_mut(), old.as_object()) else {
            return self.check_value(&new);
        };
        let alike = |name: &String| name == "status" || members.get(name) == before.get(name);
        if !members.keys().chain(before.keys()).all(alike) {
            return self.check_value(&new);
        }
        let mut part: Map<String, Value> = members.remove_entry("status").into_iter().collect();
        for name in ["apiVersion", "kind"] {
            part.extend(members.get(name).map(|member| (name.to_string(), member.clone())));
        }
        let mut checked = codec.check_value(&Value::Object(part))?;
        members.extend(checked.value.as_object_mut().and_then(|part| part.remove_entry("status")));
        checked.value = new;
        Ok(checked)
    }

    /// The error that `fieldValidation=Strict` makes of what was found in a body: unknown and duplicate fields.
    pub fn strict_error(&self, findings: &[String]) -> Option<DecodeError> {
        (!findings.is_empty()).then(|| self.refused(format!("strict decoding error: {}", findings.join(", "))))
    }

    /// Makes a stored object one as readers of this kind know it.
    pub fn show(&self, object: &mut Value) {
        if let Some(view) = self.view {
            (view.from_stored)(object);
        }
        if let Body::Legacy(legacy, _) = &self.body {
            legacy.downgrade(object);
        }
    }

    /// What everybody who uses this version is told, when Kubernetes has removed it.
    pub fn deprecation(&self) -> Option<String> {
        match &self.body {
            Body::Legacy(legacy, _) => Some(legacy.warning()),
            _ => None,
        }
    }

    fn refused(&self, problem: String) -> DecodeError {
        let Resource { kind, version, .. } = self.resource;
        DecodeError::Object { found: kind.into(), version: version.into(), kind, problem }
    }

    /// Fills in defaults.
    pub fn default(&self, object: &mut Value) {
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => (self.rules.default)(object),
            Body::Custom(custom) => custom.default(object),
        }
    }

    /// The findings about an object that is to be created.
    pub fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = self.validate(object);
        if matches!(self.body, Body::Typed(_) | Body::Legacy(..)) {
            errors.extend((self.rules.validate_create)(object));
        }
        errors
    }

    /// The findings about an object, new or not.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => (self.rules.validate)(object),
            Body::Custom(custom) => custom.validate(object, None),
        }
    }

    /// The findings about an object's next state, those of [`Kind::validate`] among them.
    pub fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => {
                let mut errors = (self.rules.validate)(new);
                errors.extend((self.rules.validate_update)(new, old));
                errors
            }
            Body::Custom(custom) => custom.validate(new, Some(old)),
        }
    }

    /// The findings about an update of `status`.
    pub fn validate_status(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => (self.rules.validate_status)(new, old),
            Body::Custom(custom) => custom.validate(new, Some(old)),
        }
    }

    pub fn columns(&self) -> &[Column] {
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => self.columns,
            Body::Custom(custom) => custom.columns(),
        }
    }

    /// The cells of a table row; `now` in seconds since the epoch.
    pub fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        match &self.body {
            Body::Typed(_) => (self.row)(object, now),
            Body::Custom(custom) => custom.row(object, now),
            Body::Legacy(legacy, _) => {
                let mut today = object.clone();
                legacy.upgrade(&mut today);
                (self.row)(&today, now)
            }
        }
    }

    /// What `fieldSelector` may name.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = vec!["metadata.name", "metadata.namespace"];
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => fields.extend(self.rules.fields),
            Body::Custom(custom) => fields.extend(custom.fields().iter().map(String::as_str)),
        }
        fields
    }

    /// The value of one of [`Kind::fields`].
    pub fn field(&self, entry: &Entry, path: &str) -> Option<String> {
        match &self.body {
            Body::Typed(_) | Body::Legacy(..) => (self.rules.field)(entry, path),
            Body::Custom(_) => field_by_path(entry, path),
        }
    }

    /// A stored object, parsed, in this kind's version.
    pub fn read(&self, entry: &Entry) -> Value {
        let object = entry.parse_whole();
        match self.reading() {
            Some(reading) if !reading.is_plain(&entry.body) => reading.show_now(object),
            _ => object,
        }
    }

    /// Whether stored objects may look different when this kind shows them.
    pub fn converts(&self) -> bool {
        self.view.is_some() || self.reading().is_some_and(|reading| reading.converts())
    }

    /// For kinds of definitions: how their objects are merged by server-side apply.
    pub fn custom_schema(&self) -> Option<&Schema> {
        match &self.body {
            Body::Custom(custom) => Some(custom.managed()),
            Body::Typed(_) | Body::Legacy(..) => None,
        }
    }

    /// For kinds of definitions: how stored objects are shown in this version.
    pub fn reading(&self) -> Option<&Arc<Reading>> {
        match &self.body {
            Body::Custom(custom) => Some(custom.reading()),
            Body::Typed(_) | Body::Legacy(..) => None,
        }
    }

    /// Where the Scale of an object finds its numbers.
    pub fn scale_paths(&self) -> Cow<'_, ScalePaths> {
        let custom = match &self.body {
            Body::Custom(custom) => custom.scale(),
            Body::Typed(_) | Body::Legacy(..) => None,
        };
        custom.map_or_else(|| Cow::Owned(ScalePaths::workload()), Cow::Borrowed)
    }
}

impl ScalePaths {
    /// Where every built-in workload has them.
    fn workload() -> Self {
        ScalePaths { spec_replicas: "spec.replicas".into(), status_replicas: "status.replicas".into(), selector: "spec.selector".into() }
    }
}

/// The value at a dotted path of the parsed object, as text.
pub(super) fn field_by_path(entry: &Entry, path: &str) -> Option<String> {
    let object = entry.parse();
    let found = path.split('.').try_fold(&object, |value, part| value.get(part))?;
    Some(match found {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}
