//! What upstream's conformance suite asks of the controllers of workloads, played with real pods on the shared node.
mod batch;
mod daemon_sets;
mod deployments;
mod disruptions;
mod replicas;
mod stateful_sets;

use crate::busybox::IMAGE;
use crate::cluster::{Cluster, shared};
use crate::https::{Answer, Client};
use crate::kubectl::{Kubectl, newest};
use crate::run::wait_for;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);

/// A namespace of one's own, with a client; gone with the value.
pub struct Place {
    pub kubectl: Kubectl<'static>,
    pub client: Client,
}

impl Place {
    fn new(name: &str) -> Place {
        Place::at(shared(), &format!("apps-{name}"))
    }

    /// A namespace of another cluster.
    pub fn at(cluster: &'static Cluster, namespace: &str) -> Place {
        let kubectl = cluster.kubectl(newest(), namespace);
        kubectl.make_namespace();
        Place { kubectl, client: cluster.client() }
    }

    /// The path of a collection or an object: `apps/v1`, `deployments/web`.
    pub fn path(&self, group: &str, rest: &str) -> String {
        let root = if group.contains('/') { format!("/apis/{group}") } else { format!("/api/{group}") };
        format!("{root}/namespaces/{}/{rest}", self.kubectl.namespace)
    }

    #[track_caller]
    pub fn create(&mut self, group: &str, plural: &str, object: &Value) -> Value {
        let answer = self.client.post(&self.path(group, plural), object).expect("an answer");
        expect(&answer, 201)
    }

    #[track_caller]
    pub fn get(&mut self, group: &str, rest: &str) -> Value {
        let answer = self.client.get(&self.path(group, rest)).expect("an answer");
        expect(&answer, 200)
    }

    #[track_caller]
    pub fn patch(&mut self, group: &str, rest: &str, patch: &Value) -> Value {
        let path = self.path(group, rest);
        let answer = self.client.request("PATCH", &path, "application/merge-patch+json", patch.to_string().as_bytes()).expect("an answer");
        expect(&answer, 200)
    }

    /// Reads, changes and replaces an object, anew when its controller has come in between.
    #[track_caller]
    fn change(&mut self, group: &str, rest: &str, change: impl Fn(&mut Value)) -> Value {
        let path = self.path(group, rest);
        let client = &mut self.client;
        let answer = wait_for("no controller is in between", SOON, || {
            let mut object = client.get(&path).ok()?.json();
            change(&mut object);
            client.put(&path, &object).ok().filter(|answer| answer.status != 409)
        });
        expect(&answer, 200)
    }

    #[track_caller]
    pub fn delete(&mut self, group: &str, rest: &str) -> Value {
        let answer = self.client.delete(&self.path(group, rest)).expect("an answer");
        expect(&answer, 200)
    }

    /// The items of a collection.
    #[track_caller]
    pub fn items(&mut self, group: &str, rest: &str) -> Vec<Value> {
        self.get(group, rest)["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until an object is as it should be, and answers with it.
    #[track_caller]
    pub fn until(&mut self, what: &str, group: &str, rest: &str, test: impl Fn(&Value) -> bool) -> Value {
        let path = self.path(group, rest);
        let mut last = Value::Null;
        let client = &mut self.client;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, SOON, || {
                last = client.get(&path).ok()?.json();
                test(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| panic!("{what}: {last:#}"))
    }

    /// Waits until a collection is as it should be, and answers with its items.
    #[track_caller]
    pub fn until_items(&mut self, what: &str, group: &str, rest: &str, test: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let list = self.until(what, group, rest, |list| list["items"].as_array().is_some_and(|items| test(items)));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Reads, patches and replaces what an object says of itself; each change is seen by the next read.
    #[track_caller]
    fn change_status(&mut self, group: &str, rest: &str) {
        let status = format!("{rest}/status");
        let held = self.get(group, &status);
        assert!(held["status"].is_object(), "{held}");
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "E2E", "message": "Set from the test"});
        self.patch(group, &status, &json!({"status": {"conditions": [condition("StatusPatched")]}}));
        self.replaced_status(group, &status, condition("StatusUpdate"));
        let after = self.get(group, &status);
        let kinds: Vec<&str> = after["status"]["conditions"].as_array().into_iter().flatten().filter_map(|c| c["type"].as_str()).collect();
        assert!(kinds.contains(&"StatusUpdate"), "{after}");
    }

    /// Replaces a status with one that has a further condition, however often somebody else comes in between.
    fn replaced_status(&mut self, group: &str, status: &str, condition: Value) {
        let path = self.path(group, status);
        let client = &mut self.client;
        wait_for("the status is replaced", SOON, || {
            let mut object = client.get(&path).ok()?.json();
            if !object["status"]["conditions"].is_array() {
                object["status"]["conditions"] = json!([]);
            }
            object["status"]["conditions"].as_array_mut()?.push(condition.clone());
            (client.put(&path, &object).ok()?.status == 200).then_some(())
        });
    }

    /// Makes, lists and deletes objects by their label.
    #[track_caller]
    fn collection(&mut self, group: &str, plural: &str, object: &Value) {
        let (one, selected) = (format!("{plural}?labelSelector=purge%3Dyes"), "purge");
        for name in ["first", "second"] {
            let mut object = object.clone();
            object["metadata"]["name"] = name.into();
            object["metadata"]["labels"] = json!({ selected: "yes" });
            self.create(group, plural, &object);
        }
        assert_eq!(self.items(group, &one).len(), 2);
        let everywhere = if group.contains('/') { format!("/apis/{group}/{one}") } else { format!("/api/{group}/{one}") };
        assert_eq!(self.client.get(&everywhere).expect("an answer").json()["items"].as_array().map(Vec::len), Some(2));
        self.delete(group, &one);
        self.until_items("the collection is gone", group, &one, <[Value]>::is_empty);
    }

    /// Reads, replaces and patches the size.
    #[track_caller]
    fn scale(&mut self, group: &str, rest: &str) {
        let scale = format!("{rest}/scale");
        let held = self.get(group, &scale);
        assert_eq!((&held["kind"], &held["spec"]["replicas"]), (&"Scale".into(), &1.into()));
        let path = self.path(group, &scale);
        let client = &mut self.client;
        let replaced = wait_for("the scale is replaced", SOON, || {
            let mut held = client.get(&path).ok()?.json();
            held["spec"]["replicas"] = 2.into();
            client.put(&path, &held).ok().filter(|answer| answer.status == 200)
        });
        assert_eq!(replaced.json()["spec"]["replicas"], 2);
        assert_eq!(self.get(group, rest)["spec"]["replicas"], 2);
        assert_eq!(self.patch(group, &scale, &json!({"spec": {"replicas": 4}}))["spec"]["replicas"], 4);
        assert_eq!(self.get(group, rest)["spec"]["replicas"], 4);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.kubectl.run("get all -o wide").stdout, self.kubectl.run("get events").stdout);
        }
        self.kubectl.run(&format!("delete namespace {} --wait=false", self.kubectl.namespace));
    }
}

#[track_caller]
fn expect(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

/// A pod template that runs a shell line.
pub fn template(app: &str, line: &str) -> Value {
    let container = json!({"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", line]});
    json!({"metadata": {"labels": {"app": app}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}})
}

/// One that runs until it is told to end.
pub fn sleeper(app: &str) -> Value {
    template(app, "trap exit TERM; sleep 1000 & wait")
}

/// One that is ready once somebody has made a file in it.
pub fn shy(app: &str) -> Value {
    let mut template = sleeper(app);
    template["spec"]["containers"][0]["readinessProbe"] = json!({"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1});
    template["spec"]["volumes"] = json!([{"name": "tmp", "emptyDir": {}}]);
    template["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "tmp", "mountPath": "/tmp"}]);
    template
}

pub fn workload(name: &str, replicas: i64, template: &Value) -> Value {
    let labels = template["metadata"]["labels"].clone();
    json!({"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}})
}

pub fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_string()
}

pub fn owner(object: &Value) -> &str {
    object["metadata"]["ownerReferences"][0]["kind"].as_str().unwrap_or_default()
}

/// Ready, and not on its way out.
pub fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    pod["metadata"]["deletionTimestamp"].is_null() && conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The reason of a condition that holds.
pub fn holds(object: &Value, kind: &str) -> Option<String> {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.find(|c| c["type"] == kind && c["status"] == "True")?;
    Some(found["reason"].as_str().unwrap_or_default().to_string())
}
