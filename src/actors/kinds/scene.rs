//! For tests of kinds: a kind, and what the write path makes of bodies of it.
use super::{Kind, Part, all, begin_create, prepare_create, prepare_update};
use crate::protocol::status::ApiError;
use serde_json::Value;

/// When objects in tests are made.
pub const NOW: &str = "2026-01-01T00:00:00Z";

/// A kind under test.
pub struct Scene(&'static Kind);

impl Scene {
    pub fn of(group: &str, kind: &str) -> Scene {
        let found = all().into_iter().find(|k| k.resource.group == group && k.resource.kind == kind);
        Scene(found.expect("a kind that is served"))
    }

    pub fn kind(&self) -> &'static Kind {
        self.0
    }

    /// The body decoded and made ready as `create` would. Also: filling in defaults once more changes nothing.
    pub fn create(&self, body: Value) -> Result<Value, ApiError> {
        let checked = self.0.check(body.to_string().as_bytes()).expect("a body of that kind");
        assert_eq!(checked.findings(), Vec::<String>::new());
        let namespace = if self.0.resource.namespaced { "ns" } else { "" };
        let mut object = checked.value;
        begin_create(self.0, namespace, &mut object)?;
        let object = prepare_create(self.0, object, NOW, "uid-1", *b"abcde")?;
        let mut again = object.clone();
        self.0.default(&mut again);
        assert_eq!(again, object, "defaults are not idempotent");
        Ok(object)
    }

    /// The same, as stored with revision 7.
    pub fn stored(&self, body: Value) -> Value {
        let mut object = self.create(body).unwrap_or_else(|error| panic!("{error}"));
        object["metadata"]["resourceVersion"] = "7".into();
        object
    }

    pub fn update(&self, old: &Value, change: impl FnOnce(&mut Value)) -> Result<Value, ApiError> {
        self.write(Part::Main, old, change)
    }

    pub fn status(&self, old: &Value, change: impl FnOnce(&mut Value)) -> Result<Value, ApiError> {
        self.write(Part::Status, old, change)
    }

    fn write(&self, part: Part, old: &Value, change: impl FnOnce(&mut Value)) -> Result<Value, ApiError> {
        let mut body = old.clone();
        change(&mut body);
        prepare_update(self.0, part, old, body)
    }

    /// Cells of a table row a minute after creation.
    pub fn row(&self, object: &Value) -> Vec<Value> {
        let now = crate::protocol::time::parse_seconds(NOW).expect("a time") + 60;
        let row = self.0.row(object, now);
        assert_eq!(row.len(), self.0.columns().len());
        row
    }

    /// The findings about a body, each as `field: words`.
    pub fn refusals(&self, body: Value) -> Vec<String> {
        findings(self.create(body))
    }
}

/// The findings of a refused write.
pub fn findings(outcome: Result<Value, ApiError>) -> Vec<String> {
    let error = outcome.err();
    let causes = error.and_then(|e| e.details).map(|d| d.causes).unwrap_or_default();
    causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}
