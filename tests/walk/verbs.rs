//! The steps of the walk, each one told by what went wrong in it.
use super::table::Case;
use super::{NAMESPACE, Resource, VIEWS, list, spoilt, text};
use crate::api::client::{Answer, Client, Watch};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long something that is deleted may still be there.
const GOING: Duration = Duration::from_secs(15);
/// Controllers write, too: what they come in between of is tried again.
const TRIES: usize = 5;
/// After so long.
const PAUSE: Duration = Duration::from_millis(50);

/// One kind under way.
struct Walk<'a> {
    api: &'a Client,
    resource: &'a Resource,
    good: &'a Value,
    /// Objects are stored as another version of the kind.
    viewed: bool,
    name: String,
    collection: String,
    path: String,
    faults: Vec<String>,
}

/// Does everything that can be done with a kind; answers what went wrong.
pub async fn walk(api: &Client, resource: &Resource, case: Option<&Case>, good: &Value) -> Vec<String> {
    let name = text(&good["metadata"]["name"]);
    let collection = resource.collection(NAMESPACE);
    let path = format!("{collection}/{name}");
    let viewed = case.is_none_or(|case| VIEWS.contains(&case.of));
    let mut walk = Walk { api, resource, good, viewed, name, collection, path, faults: Vec::new() };
    if case.is_some() {
        walk.described().await;
    }
    walk.refusals(case).await;
    let watch = walk.watching().await;
    if !walk.create().await {
        return walk.faults;
    }
    walk.read().await;
    walk.shapes().await;
    walk.apply().await;
    walk.patches().await;
    walk.replace().await;
    if resource.has("status") {
        walk.status(case).await;
    }
    walk.pages().await;
    walk.delete().await;
    walk.watched(watch).await;
    walk.apply_anew().await;
    walk.faults
}

/// Waits until nothing is there.
pub async fn gone(api: &Client, path: &str) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        let answer = api.get(path).await;
        if answer.status == 404 {
            return Ok(());
        }
        if begin.elapsed() > GOING {
            return Err(format!("is still there after its deletion: {}", answer.text()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Walk<'_> {
    fn expect(&mut self, what: &str, good: bool, seen: impl std::fmt::Display) -> bool {
        if !good {
            let seen: String = seen.to_string().chars().take(900).collect();
            self.faults.push(format!("{what}: {seen}"));
        }
        good
    }

    fn granted(&mut self, what: &str, code: u16, answer: &Answer) -> bool {
        self.expect(what, answer.status == code, format!("{} {}", answer.status, answer.text()))
    }

    fn refused(&mut self, what: &str, code: u16, says: &str, answer: &Answer) {
        let good = answer.status == code && text(&answer.json()["message"]).contains(says);
        self.expect(what, good, format!("{} {}", answer.status, answer.text()));
    }

    /// Whether somebody manages fields by that operation, in the version that was sent or the one that is stored.
    fn manages(&self, object: &Value, manager: &str, operation: &str) -> bool {
        list(&object["metadata"]["managedFields"]).iter().any(|m| {
            let version = m["apiVersion"] == self.good["apiVersion"] || (self.viewed && m["apiVersion"].is_string());
            m["manager"] == manager && m["operation"] == operation && version && m["fieldsV1"].is_object()
        })
    }

    /// What `kubectl explain` and `kubectl auth can-i` ask.
    async fn described(&mut self) {
        let (group, version) = self.resource.version.split_once('/').unwrap_or(("", &self.resource.version));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "verb": "patch", "group": group, "version": version, "resource": self.resource.plural } },
        });
        let answer = self.api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await;
        self.expect("a review of the rights", answer.json()["status"]["allowed"] == true, answer.text());
        if group == "settings.k8s.io" {
            // Removed versions are not described.
            return;
        }
        let root = if group.is_empty() { "api" } else { "apis" };
        let document = self.api.get(&format!("/openapi/v3/{root}/{}", self.resource.version)).await.json();
        let own = json!({ "group": group, "version": version, "kind": self.resource.kind });
        let schemas = document["components"]["schemas"].as_object();
        let schema = schemas.into_iter().flatten().map(|(_, s)| s).find(|s| list(&s["x-kubernetes-group-version-kind"]).contains(&own));
        let explained = schema.is_some_and(|s| s["description"].is_string() && s["properties"]["metadata"].is_object());
        self.expect("the description", explained, schema.unwrap_or(&Value::Null));
    }

    async fn refusals(&mut self, case: Option<&Case>) {
        if let Some(case) = case {
            let answer = self.api.post(&self.collection, &spoilt(case, self.good)).await;
            self.refused("a bad manifest", 422, case.says, &answer);
        }
        let mut unknown = self.good.clone();
        unknown["walked"] = 1.into();
        let answer = self.api.post(&format!("{}?fieldValidation=Strict", self.collection), &unknown).await;
        self.refused("an unknown field", 400, "strict decoding error: unknown field \"walked\"", &answer);
        let answer = self.api.post(&format!("{}?fieldValidation=Warn&dryRun=All", self.collection), &unknown).await;
        self.granted("a warning of an unknown field", 201, &answer);
        let warned = answer.headers.get_all("warning").iter().any(|w| w.to_str().is_ok_and(|w| w.contains("unknown field \\\"walked\\\"")));
        self.expect("a warning of an unknown field", warned, format!("{:?}", answer.headers));
        let answer = self.api.post(&format!("{}?dryRun=All", self.collection), self.good).await;
        self.granted("a dry run", 201, &answer);
        let answer = self.api.get(&self.path).await;
        self.refused("nothing after a dry run", 404, "not found", &answer);
    }

    /// Watches the object from before it is there.
    async fn watching(&self) -> Watch {
        let now = text(&self.api.get(&format!("{}?limit=1", self.collection)).await.json()["metadata"]["resourceVersion"]);
        let path = format!("{}?watch=1&resourceVersion={now}&fieldSelector=metadata.name%3D{}", self.collection, self.name);
        self.api.watch(&path).await
    }

    async fn create(&mut self) -> bool {
        let answer = self.api.post(&format!("{}?fieldManager=walker", self.collection), self.good).await;
        if !self.granted("create", 201, &answer) {
            return false;
        }
        let made = answer.json();
        let names = (&made["apiVersion"], &made["kind"]) == (&self.good["apiVersion"], &self.good["kind"]);
        let meta = &made["metadata"];
        let stamped = ["uid", "resourceVersion", "creationTimestamp"].iter().all(|f| meta[*f].is_string());
        self.expect("what was created", names && stamped, &made);
        let managed = list(&meta["managedFields"]);
        self.expect("managed fields of a create", self.manages(&made, "walker", "Update"), json!(managed));
        let again = self.api.post(&self.collection, self.good).await;
        self.refused("create twice", 409, "already exists", &again);
        true
    }

    async fn read(&mut self) {
        let answer = self.api.get(&self.path).await;
        self.granted("get", 200, &answer);
        let yaml = self.api.get_as(&self.path, "application/yaml").await;
        let parsed: Option<Value> = serde_yaml::from_str(&yaml.text()).ok();
        let same = parsed.is_some_and(|p| p["metadata"]["uid"] == answer.json()["metadata"]["uid"] && p["kind"] == self.good["kind"]);
        self.expect("YAML", same, yaml.text());
    }

    async fn shapes(&mut self) {
        let table = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";
        let answer = self.api.get_as(&self.collection, table).await;
        if self.granted("a table", 200, &answer) {
            let table = answer.json();
            let columns = list(&table["columnDefinitions"]).len();
            let rows = list(&table["rows"]);
            let full = rows.iter().all(|row| list(&row["cells"]).len() == columns);
            let own = rows.iter().any(|row| row["object"]["metadata"]["name"] == self.name.as_str());
            self.expect("a table", table["kind"] == "Table" && columns > 1 && full && own, &table);
        }
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let answer = self.api.get_as(&self.path, partial).await;
        let body = answer.json();
        let bare = body["kind"] == "PartialObjectMetadata" && body["metadata"]["name"] == self.name.as_str() && body.get("spec").is_none();
        self.expect("bare metadata", bare, &body);
        let answer = self.api.get_as(&self.collection, &partial.replace("Metadata;", "MetadataList;")).await;
        let body = answer.json();
        let own = list(&body["items"]).iter().any(|i| i["metadata"]["name"] == self.name.as_str());
        self.expect("a list of bare metadata", body["kind"] == "PartialObjectMetadataList" && own, &body);
    }

    /// A request whose conflicts with controllers don't count; `make` is given the newest state.
    async fn written(&mut self, what: &str, path: &str, make: impl Fn(&mut Value)) -> Option<(Value, Value)> {
        let mut answer = None;
        for _ in 0..TRIES {
            let before = self.api.get(&self.path).await.json();
            let mut body = before.clone();
            make(&mut body);
            let put = self.api.put(path, &body).await;
            if put.status == 200 {
                return Some((before, put.json()));
            }
            let conflict = put.status == 409;
            answer = Some(put);
            if !conflict {
                break;
            }
            // What it lost against is on its way to the disk, and not yet to be read.
            tokio::time::sleep(PAUSE).await;
        }
        let answer = answer.expect("tried once at least");
        self.granted(what, 200, &answer);
        None
    }

    async fn applied(&self, manager: &str, config: &Value) -> Answer {
        let how = [("content-type", "application/apply-patch+yaml")];
        self.api.send("PATCH", &format!("{}?fieldManager={manager}", self.path), &how, config.to_string()).await
    }

    async fn apply(&mut self) {
        let mut config = self.good.clone();
        config["metadata"]["labels"] = json!({ "walk": "one" });
        let first = self.applied("applier", &config).await;
        if !self.granted("apply", 200, &first) {
            return;
        }
        let managed = list(&first.json()["metadata"]["managedFields"]);
        self.expect("managed fields of an apply", self.manages(&first.json(), "applier", "Apply"), json!(managed));
        let version = |answer: &Answer| text(&answer.json()["metadata"]["resourceVersion"]);
        let mut steady = false;
        let mut seen = (first, None);
        for _ in 0..TRIES {
            let again = self.applied("applier", &config).await;
            steady = again.status == 200 && version(&again) == version(&seen.0);
            if steady {
                break;
            }
            seen = (again, Some(seen.0));
        }
        let told = format!("{} after {}", seen.0.text(), seen.1.map(|a| a.text()).unwrap_or_default());
        self.expect("apply without a change", steady, told);
        config["metadata"]["labels"]["walk"] = "two".into();
        let other = self.applied("other", &config).await;
        self.refused("a conflict of appliers", 409, "conflict with \"applier\"", &other);
        let forced = self.applied("other&force=true", &config).await;
        self.granted("a forced apply", 200, &forced);
        self.expect("a forced apply", forced.json()["metadata"]["labels"]["walk"] == "two", forced.text());
    }

    async fn patches(&mut self) {
        let json = json!([{ "op": "add", "path": "/metadata/annotations", "value": { "json": "yes" } }]);
        let answer = self.api.patch(&self.path, "json", &json).await;
        self.expect("a JSON patch", answer.status == 200 && answer.json()["metadata"]["annotations"]["json"] == "yes", answer.text());
        for how in ["merge", "strategic-merge"] {
            if how == "strategic-merge" && self.resource.version.starts_with("settings.k8s.io/") {
                // Nobody has a Go type for it any more.
                continue;
            }
            let patch = json!({ "metadata": { "annotations": { how: "yes" } } });
            let answer = self.api.patch(&self.path, how, &patch).await;
            let good = answer.status == 200 && answer.json()["metadata"]["annotations"][how] == "yes";
            self.expect(&format!("a {how} patch"), good, answer.text());
            let again = self.api.patch(&self.path, how, &patch).await;
            let same = again.json()["metadata"]["resourceVersion"] == answer.json()["metadata"]["resourceVersion"];
            self.expect(&format!("a {how} patch without a change"), same || self.is_busy(), again.text());
        }
    }

    /// Kinds that controllers keep writing.
    fn is_busy(&self) -> bool {
        let busy = ["nodes", "deployments", "statefulsets", "daemonsets", "replicasets", "replicationcontrollers", "jobs", "cronjobs"];
        busy.contains(&self.resource.plural.as_str())
            || matches!(
                self.resource.plural.as_str(),
                "poddisruptionbudgets" | "endpoints" | "persistentvolumes" | "persistentvolumeclaims"
            )
    }

    async fn replace(&mut self) {
        let path = self.path.clone();
        let made = self.written("replace", &path, |o| o["metadata"]["annotations"]["put"] = "yes".into()).await;
        let Some((before, after)) = made else { return };
        self.expect("replace", after["metadata"]["annotations"]["put"] == "yes", &after);
        let stale = self.api.put(&self.path, &before).await;
        self.refused("replace of an old state", 409, "the object has been modified", &stale);
        let same = self.written("replace without a change", &path, |_| {}).await;
        if let Some((before, after)) = same {
            let versions = (&before["metadata"]["resourceVersion"], &after["metadata"]["resourceVersion"]);
            self.expect("replace without a change", versions.0 == versions.1, format!("{before} became {after}"));
        }
        let protobuf = "application/vnd.kubernetes.protobuf";
        let read = self.api.get_as(&self.path, protobuf).await;
        if read.status == 406 {
            return;
        }
        self.expect("protobuf", read.status == 200 && read.body.starts_with(b"k8s\0"), format!("{} {}", read.status, read.text()));
        let put = self.api.send("PUT", &self.path, &[("content-type", protobuf)], read.body).await;
        if put.status != 409 && self.granted("replace by protobuf", 200, &put) {
            let old = self.api.get(&self.path).await.json();
            let (now, was) = (put.json(), &same_version(&old));
            self.expect("replace by protobuf changes nothing", same_version(&now) == *was, format!("{old} became {now}"));
        }
    }

    async fn status(&mut self, case: Option<&Case>) {
        let path = format!("{}/status", self.path);
        let answer = self.api.get(&path).await;
        self.granted("get of the status", 200, &answer);
        let Some(status) = case.map(|c| c.status).filter(|s| !s.is_empty()) else { return };
        let status: Value = serde_yaml::from_str(status).expect("a status");
        let answer = self.api.patch(&path, "merge", &json!({ "status": status })).await;
        if !self.granted("a patch of the status", 200, &answer) {
            return;
        }
        let has = |object: &Value| {
            let given = status.as_object().into_iter().flatten();
            given.into_iter().all(|(field, value)| match value {
                Value::Array(_) => object["status"][field].to_string().contains("Walked") || object["status"][field] == *value,
                _ => object["status"].get(field).is_some(),
            })
        };
        let patched = answer.json();
        self.expect("a patch of the status", has(&patched), &patched);
        let managed = list(&patched["metadata"]["managedFields"]);
        self.expect("managed fields of the status", managed.iter().any(|m| m["subresource"] == "status"), json!(managed));
        let main = self.path.clone();
        if let Some((before, after)) =
            self.written("replace beside the status", &main, |o| _ = o.as_object_mut().map(|o| o.remove("status"))).await
        {
            self.expect("replace leaves the status", before["status"] == after["status"], format!("{before} became {after}"));
        }
        if let Some((before, after)) =
            self.written("replace of the status", &path, |o| _ = o.as_object_mut().map(|o| o.remove("spec"))).await
        {
            self.expect("the status leaves the rest", before["spec"] == after["spec"], format!("{before} became {after}"));
        }
        let config = json!({
            "apiVersion": self.good["apiVersion"], "kind": self.good["kind"], "metadata": { "name": self.name }, "status": status,
        });
        let how = [("content-type", "application/apply-patch+yaml")];
        let answer = self.api.send("PATCH", &format!("{path}?fieldManager=status&force=true"), &how, config.to_string()).await;
        self.granted("apply of the status", 200, &answer);
    }

    /// A second object, and both of them on pages of one.
    async fn pages(&mut self) {
        let mut second = self.good.clone();
        second["metadata"]["name"] = format!("{}-second", self.name).into();
        second["metadata"]["labels"] = json!({ "walk": "two" });
        let answer = self.api.post(&self.collection, &second).await;
        // Of some kinds the name is not free to choose.
        if answer.status == 422 {
            return;
        }
        if !self.granted("a second object", 201, &answer) {
            return;
        }
        let (mut names, mut next) = (Vec::new(), String::new());
        for _ in 0..TRIES {
            let page = self.api.get(&format!("{}?limit=1&labelSelector=walk%3Dtwo&continue={next}", self.collection)).await;
            if !self.granted("a page", 200, &page) {
                break;
            }
            let page = page.json();
            let good = page["kind"] == format!("{}List", self.resource.kind) && page["apiVersion"] == self.good["apiVersion"];
            self.expect("a page", good && list(&page["items"]).len() <= 1, &page);
            names.extend(list(&page["items"]).iter().map(|i| text(&i["metadata"]["name"])));
            next = text(&page["metadata"]["continue"]);
            if next.is_empty() {
                break;
            }
        }
        let wanted = [self.name.clone(), format!("{}-second", self.name)];
        self.expect("pages", names == wanted, names.join(" "));
        let by_name = format!("fieldSelector=metadata.name%3D{}-second&gracePeriodSeconds=0", self.name);
        let answer = match self.resource.can("deletecollection") {
            true => self.api.delete(&format!("{}?{by_name}", self.collection)).await,
            false => self.api.delete(&format!("{}-second", self.path)).await,
        };
        self.granted("deletion of a collection", 200, &answer);
        if let Err(fault) = gone(self.api, &format!("{}-second", self.path)).await {
            self.faults.push(fault);
        }
    }

    async fn delete(&mut self) {
        let answer = self.api.delete(&format!("{}?dryRun=All", self.path)).await;
        self.granted("a dry run of a deletion", 200, &answer);
        let answer = self.api.delete(&format!("{}?gracePeriodSeconds=0", self.path)).await;
        self.granted("delete", 200, &answer);
        if let Err(fault) = gone(self.api, &self.path).await {
            self.faults.push(fault);
        }
        let answer = self.api.delete(&self.path).await;
        self.refused("delete twice", 404, "not found", &answer);
    }

    async fn watched(&mut self, mut watch: Watch) {
        let mut seen = Vec::new();
        while let Some(event) = watch.next().await {
            let kind = text(&event["type"]);
            if event["object"]["apiVersion"] != self.good["apiVersion"] || event["object"]["kind"] != self.good["kind"] {
                self.expect("an event's object", false, &event);
            }
            let end = matches!(kind.as_str(), "DELETED" | "ERROR");
            seen.push(kind);
            if end {
                break;
            }
        }
        let good = seen.first().is_some_and(|f| f == "ADDED") && seen.last().is_some_and(|l| l == "DELETED") && seen.len() > 3;
        self.expect("the watch", good, seen.join(" "));
    }

    /// An apply of what is not there makes it.
    async fn apply_anew(&mut self) {
        let dry = self.applied("applier&dryRun=All", self.good).await;
        self.granted("a dry run of an apply that creates", 201, &dry);
        let answer = self.applied("applier", self.good).await;
        if !self.granted("an apply that creates", 201, &answer) {
            return;
        }
        let managed = list(&answer.json()["metadata"]["managedFields"]);
        self.expect("managed fields of an apply that creates", self.manages(&answer.json(), "applier", "Apply"), json!(managed));
        self.api.delete(&format!("{}?gracePeriodSeconds=0", self.path)).await;
        if let Err(fault) = gone(self.api, &self.path).await {
            self.faults.push(fault);
        }
    }
}

/// All but who wrote it when.
fn same_version(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
        meta.remove("resourceVersion");
    }
    object
}
