//! The forms that objects of a kind have in its versions: which there are, and the way from one to another.
use super::tracking::schema_of;
use super::{Body, Kind, all};
use crate::protocol::apply::{Converted, Schema};
use crate::protocol::status::ApiError;
use crate::storage::Entry;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

/// How often pure code is begun anew for want of converted objects. Each time it comes at least one version further.
const ROUNDS: usize = 16;

/// The built-in kinds that share their objects with others, by group and plural.
static FAMILIES: LazyLock<HashMap<(&'static str, &'static str), Vec<&'static Kind>>> = LazyLock::new(|| {
    let mut shelves: HashMap<String, Vec<&'static Kind>> = HashMap::new();
    for kind in all() {
        shelves.entry(kind.shelf()).or_default().push(kind);
    }
    let shared = shelves.into_values().filter(|kinds| kinds.len() > 1);
    shared
        .flat_map(|kinds| kinds.clone().into_iter().map(move |kind| ((kind.resource.group, kind.resource.plural), kinds.clone())))
        .collect()
});

/// The built-in kinds that serve the same objects as this one, itself among them; none when nobody else does.
pub fn family(kind: &Kind) -> &'static [&'static Kind] {
    FAMILIES.get(&(kind.resource.group, kind.resource.plural)).map(Vec::as_slice).unwrap_or_default()
}

impl Kind {
    /// Whether a version that Kubernetes has removed: its bodies are made today's when they are decoded.
    pub fn is_removed(&self) -> bool {
        matches!(self.body, Body::Legacy(..))
    }

    /// Whether objects are, or may be, stored in another form than this kind's, so that the actor that owns them cannot decide edits of
    /// this kind by itself.
    pub fn is_other_form(&self) -> bool {
        match self.reading() {
            Some(reading) => !reading.is_storage() || reading.asks(),
            None => self.view.is_some() && !self.is_removed(),
        }
    }

    /// A stored object, parsed, as this kind shows it.
    ///
    /// # Errors
    /// Those of a conversion webhook.
    pub async fn read_as(&self, entry: &Entry) -> Result<Value, ApiError> {
        match self.reading().filter(|reading| reading.asks() && !reading.is_plain(&entry.body)) {
            Some(reading) => {
                let mut shown = reading.show(vec![entry.parse_whole()]).await?;
                shown.pop().ok_or_else(|| ApiError::internal("a conversion lost the object"))
            }
            None => {
                let mut object = self.read(entry);
                if self.view.is_some() {
                    self.show(&mut object);
                }
                Ok(object)
            }
        }
    }

    /// An object of this kind, as it is stored.
    ///
    /// # Errors
    /// Those of a conversion webhook.
    pub async fn stored(&self, mut object: Value) -> Result<Value, ApiError> {
        match (self.view, self.reading()) {
            (Some(view), _) => (view.to_stored)(&mut object),
            (None, Some(reading)) if self.is_other_form() => return Ok(reading.store(object).await?),
            _ => {}
        }
        Ok(object)
    }

    /// An object of one of the kind's versions in another of them, where that needs nobody else.
    fn turned_now(&self, object: &Value, to: &str) -> Turned {
        if let Some(reading) = self.reading() {
            let Some(version) = reading.family().version(to) else { return Turned::NoVersion };
            return match reading.family().renamed(object.clone(), to) {
                Ok(turned) => Turned::Here(turned, version.managed.clone()),
                Err(_) => Turned::Elsewhere(version.managed.clone()),
            };
        }
        let named = |name: &str| family(self).iter().find(|kind| !kind.is_removed() && kind.resource.api_version() == name);
        let Some(target) = named(to) else { return Turned::NoVersion };
        let mut turned = object.clone();
        if let Some(view) = object["apiVersion"].as_str().and_then(named).and_then(|kind| kind.view) {
            (view.to_stored)(&mut turned);
        }
        if let Some(view) = target.view {
            (view.from_stored)(&mut turned);
        }
        Turned::Here(turned, schema_of(target))
    }
}

enum Turned {
    Here(Value, Schema),
    /// A webhook knows.
    Elsewhere(Schema),
    NoVersion,
}

/// Objects of a kind in its other versions, for pure code that compares them in those in which their fields are managed. What only a
/// webhook can convert is noted by the first run of the code, then asked for, and there for the next run.
pub struct Forms<'k> {
    kind: &'k Kind,
    known: Vec<Known>,
    missed: RefCell<Vec<Missed>>,
    /// The webhook does not answer, and the code does without: all versions are taken for one.
    without: bool,
}

struct Missed {
    object: Value,
    to: String,
}

struct Known {
    asked: Missed,
    turned: Value,
}

impl<'k> Forms<'k> {
    /// Nothing is known yet. For kinds that no webhook converts nothing has to be.
    pub fn of(kind: &'k Kind) -> Self {
        Forms { kind, known: Vec::new(), missed: RefCell::default(), without: false }
    }

    /// For code that runs where nobody can be asked.
    pub fn here(kind: &'k Kind) -> Self {
        Forms { without: kind.reading().is_some_and(|reading| reading.asks()), ..Forms::of(kind) }
    }

    /// The object in the form of a version. Without an `apiVersion` it is one that nobody has filled in.
    pub(super) fn convert(&self, own: &str, object: &Value, to: &str) -> Converted {
        let form = object["apiVersion"].as_str();
        if self.without || (to == own && form.is_none_or(|form| form == to)) {
            return Converted::Same;
        }
        match self.kind.turned_now(object, to) {
            Turned::NoVersion => Converted::Missing,
            Turned::Here(_, schema) | Turned::Elsewhere(schema) if form.is_none() => Converted::Other(schema.zero().clone(), schema),
            Turned::Here(turned, schema) => Converted::Other(turned, schema),
            Turned::Elsewhere(schema) => match self.known.iter().find(|known| known.asked.to == to && known.asked.object == *object) {
                Some(known) => Converted::Other(known.turned.clone(), schema),
                None => {
                    self.missed.borrow_mut().push(Missed { object: object.clone(), to: to.to_string() });
                    Converted::Missing
                }
            },
        }
    }

    /// Asks for what was missed, each version once. False when nothing was.
    async fn fetch(&mut self) -> Result<bool, ApiError> {
        let mut missed = self.missed.take();
        if missed.is_empty() {
            return Ok(false);
        }
        let Some(reading) = self.kind.reading() else { return Ok(false) };
        while let Some(to) = missed.first().map(|first| first.to.clone()) {
            let (asked, rest): (Vec<Missed>, Vec<Missed>) = missed.into_iter().partition(|one| one.to == to);
            let turned = reading.family().turned(asked.iter().map(|one| one.object.clone()).collect(), &to).await?;
            self.known.extend(asked.into_iter().zip(turned).map(|(asked, turned)| Known { asked, turned }));
            missed = rest;
        }
        Ok(true)
    }

    /// Runs pure code until it has every form that it looks at. What it has answered for want of one is dropped.
    ///
    /// # Errors
    /// Those of a conversion webhook, if the code is `strict` about it.
    pub async fn complete<T>(&mut self, strict: bool, act: impl Fn(&Forms<'_>) -> T) -> Result<T, ApiError> {
        for _ in 0..ROUNDS {
            let outcome = act(self);
            match self.fetch().await {
                Ok(false) => return Ok(outcome),
                Ok(true) => {}
                Err(error) if strict => return Err(error),
                Err(error) => {
                    tracing::warn!(kind = self.kind.resource.kind, "who manages fields in other versions is not known exactly: {error}");
                    self.without = true;
                }
            }
        }
        Err(ApiError::internal("the managers of the object's fields use too many versions"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use super::*;
    use serde_json::json;

    fn autoscalers(version: &str) -> &'static Kind {
        let of = |kind: &&Kind| kind.resource.kind == "HorizontalPodAutoscaler" && kind.resource.version == version;
        all().into_iter().find(of).expect("a version of autoscalers")
    }

    #[test]
    fn versions_share_their_objects() {
        let names = |kind: &Kind| -> Vec<String> { family(kind).iter().map(|kind| kind.resource.api_version()).collect() };
        let all_versions = names(autoscalers("v2"));
        assert!(all_versions.contains(&"autoscaling/v1".into()) && all_versions.contains(&"autoscaling/v2".into()), "{all_versions:?}");
        assert_eq!(names(autoscalers("v1")), all_versions);
        let alone = all().into_iter().find(|kind| kind.resource.kind == "ConfigMap").expect("ConfigMaps");
        assert!(names(alone).is_empty() && !alone.is_other_form());
        assert!(autoscalers("v1").is_other_form() && !autoscalers("v2").is_other_form());
    }

    #[test]
    fn an_object_has_a_form_in_each_version() {
        let kind = autoscalers("v2");
        let forms = Forms::of(kind);
        let resource =
            json!({ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } } });
        let object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "a" },
            "spec": { "maxReplicas": 3, "scaleTargetRef": { "kind": "Deployment", "name": "d" }, "metrics": [resource] },
        });
        assert!(matches!(forms.convert("autoscaling/v2", &object, "autoscaling/v2"), Converted::Same));
        assert!(matches!(forms.convert("autoscaling/v2", &object, "autoscaling/v9"), Converted::Missing), "there is no such version");
        let Converted::Other(older, _) = forms.convert("autoscaling/v2", &object, "autoscaling/v1") else { panic!("it looks different") };
        assert_eq!((&older["apiVersion"], &older["spec"]["targetCPUUtilizationPercentage"]), (&json!("autoscaling/v1"), &json!(60)));
        let Converted::Other(back, _) = forms.convert("autoscaling/v2", &older, "autoscaling/v2") else { panic!("it looks different") };
        assert_eq!(back, object, "there and back");
        let Converted::Other(nothing, _) = forms.convert("autoscaling/v2", &json!({}), "autoscaling/v1") else {
            panic!("a form of nothing")
        };
        assert_eq!(nothing["spec"], json!({}), "what nobody has filled in has no values in any version");
    }

    #[tokio::test]
    async fn code_that_misses_nothing_runs_once() {
        let (kind, runs) = (autoscalers("v1"), RefCell::new(0));
        let act = |forms: &Forms<'_>| {
            *runs.borrow_mut() += 1;
            matches!(forms.convert("autoscaling/v1", &json!({ "apiVersion": "autoscaling/v1" }), "autoscaling/v2"), Converted::Other(..))
        };
        assert!(Forms::of(kind).complete(true, act).await.expect("nobody has to be asked"));
        assert_eq!(runs.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_stored_object_is_read_and_written_in_any_version() {
        let kind = autoscalers("v1");
        let sent = json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "a", "namespace": "n" },
            "spec": { "maxReplicas": 3, "scaleTargetRef": { "kind": "Deployment", "name": "d" }, "targetCPUUtilizationPercentage": 7 },
        });
        let stored = kind.stored(sent.clone()).await.expect("no webhook");
        assert_eq!(stored["apiVersion"], "autoscaling/v2");
        assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 7);
        let (body, splice) = crate::protocol::codec::encode(&stored);
        let (key, meta) = crate::protocol::codec::meta_of(&stored);
        let entry = Entry { key, body, splice, revision: 5, token: 1, meta, light: Default::default() };
        let mut shown = kind.read_as(&entry).await.expect("no webhook");
        assert_eq!(shown["metadata"]["resourceVersion"].take(), "5");
        shown["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
        assert_eq!(shown, sent);
    }
}
