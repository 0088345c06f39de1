//! The chain over a store in memory: what comes out of requests, and in which words they are refused.
use super::*;
use crate::actors::kinds::{self, Admission, Attributes, Kind, Operation};
use crate::protocol::codec;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::user::User;
use crate::storage::{Change, Commit, CommitError, Committer, Draft, Entry, Expect, MemoryStore, Op, Shelves};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// A chain, and the shelves that it looks at.
pub struct Rig {
    pub chain: AdmissionChain,
    pub shelves: Arc<Shelves>,
    pub committer: Committer,
    pub user: User,
}

pub fn kind(plural: &str) -> &'static Kind {
    kinds::all().into_iter().find(|k| k.resource.plural == plural).expect("a kind that is served")
}

impl Rig {
    pub fn new(plugins: Plugins) -> Rig {
        let (committer, shelves, _) =
            Committer::start(Box::new(MemoryStore::new()), |_, _| crate::protocol::light::Light::None).expect("a store");
        let settings = AdmissionSettings { plugins, ..AdmissionSettings::new(&shelves) };
        let chain = AdmissionChain::new(&shelves, committer.clone(), settings);
        let rig = Rig { chain, shelves, committer, user: User::new("jane", []) };
        rig.put("namespaces", json!({ "metadata": { "name": "ns" } }));
        rig.put("serviceaccounts", json!({ "metadata": { "name": "default", "namespace": "ns" } }));
        rig
    }

    /// Writes an object as it is.
    pub fn put(&self, shelf: &str, object: Value) -> Arc<Entry> {
        let change = self.draft(shelf, object);
        self.commit(vec![change]).expect("a commit").remove(0)
    }

    pub fn draft(&self, shelf: &str, object: Value) -> Change {
        let (key, meta) = codec::meta_of(&object);
        let (body, splice) = codec::encode(&object);
        let draft = Draft { body, splice, meta, light: Default::default() };
        Change { shelf: self.shelves.shelf(shelf), key, expect: Expect::Any, op: Op::Put(draft), token: self.committer.next_token() }
    }

    pub fn commit(&self, changes: Vec<Change>) -> Result<Vec<Arc<Entry>>, CommitError> {
        let (send, receive) = channel();
        let reply = Box::new(move |outcome| drop(send.send(outcome)));
        self.committer.submit(Commit { changes, reply }).expect("room");
        receive.recv().expect("an answer")
    }

    pub fn attributes<'a>(&'a self, plural: &str, operation: Operation, key: &'a ObjectKey) -> Attributes<'a> {
        Attributes { kind: kind(plural), operation, subresource: "", key, user: &self.user, dry_run: false, options: &Value::Null }
    }

    /// The object after a create, with the warnings.
    pub fn create(&self, plural: &str, mut object: Value) -> Result<(Value, Vec<String>), ApiError> {
        let namespace = if kind(plural).resource.namespaced { "ns" } else { "" };
        let key = ObjectKey::new(namespace, object["metadata"]["name"].as_str().unwrap_or_default());
        let a = self.attributes(plural, Operation::Create, &key);
        let mut warnings = self.chain.mutate(&a, &mut object, None)?;
        warnings.extend(self.chain.validate(&a, Some(&object), None)?);
        Ok((object, warnings))
    }

    pub fn refusal(&self, plural: &str, object: Value) -> String {
        self.create(plural, object).expect_err("a refusal").message
    }
}

fn rig() -> Rig {
    Rig::new(Plugins::default())
}

pub fn pod(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = json!({ "metadata": { "name": "p", "namespace": "ns" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    change(&mut pod);
    pod
}

#[test]
fn a_new_pod_gets_what_every_pod_has() {
    let rig = rig();
    rig.put("serviceaccounts", json!({ "metadata": { "name": "default", "namespace": "ns" }, "imagePullSecrets": [{ "name": "pull" }] }));
    let (pod, warnings) = rig.create("pods", pod(|_| {})).expect("a good pod");
    let spec = &pod["spec"];
    assert!(warnings.is_empty());
    assert_eq!((&spec["serviceAccountName"], &spec["priority"]), (&json!("default"), &json!(0)));
    assert_eq!((&spec["preemptionPolicy"], &spec["imagePullSecrets"]), (&json!("PreemptLowerPriority"), &json!([{ "name": "pull" }])));
    let volume = spec["volumes"][0]["name"].as_str().expect("a volume");
    assert!(volume.starts_with("kube-api-access-") && volume.len() == 21, "{volume}");
    let mount = json!([{ "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": volume, "readOnly": true }]);
    assert_eq!(spec["containers"][0]["volumeMounts"], mount);
    let sources = &spec["volumes"][0]["projected"];
    assert_eq!((&sources["defaultMode"], &sources["sources"][0]["serviceAccountToken"]["expirationSeconds"]), (&json!(420), &json!(3607)));
    let seconds: Vec<&Value> = spec["tolerations"].as_array().expect("tolerations").iter().map(|t| &t["tolerationSeconds"]).collect();
    assert_eq!(seconds, [&json!(300), &json!(300)]);
}

#[test]
fn refusals_are_in_upstreams_words() {
    let rig = rig();
    let limits = json!([{ "type": "Container", "max": { "cpu": "1" }, "default": { "cpu": "500m" }, "defaultRequest": { "cpu": "250m" } }]);
    rig.put("limitranges", json!({ "metadata": { "name": "l", "namespace": "ns" }, "spec": { "limits": limits } }));
    let class = json!({ "metadata": { "name": "high" }, "value": 100, "preemptionPolicy": "Never" });
    rig.put("priorityclasses.scheduling.k8s.io", class);
    let (limited, _) = rig.create("pods", pod(|p| p["spec"]["priorityClassName"] = "high".into())).expect("a good pod");
    assert_eq!(limited["spec"]["containers"][0]["resources"], json!({ "limits": { "cpu": "500m" }, "requests": { "cpu": "250m" } }));
    assert_eq!((&limited["spec"]["priority"], &limited["spec"]["preemptionPolicy"]), (&json!(100), &json!("Never")));
    let note = "LimitRanger plugin set: cpu request for container c; cpu limit for container c";
    assert_eq!(limited["metadata"]["annotations"]["kubernetes.io/limit-ranger"], note);

    type Case = (fn(&mut Value), &'static str);
    let cases: [Case; 5] = [
        (|p| p["spec"]["priorityClassName"] = "low".into(), "pods \"p\" is forbidden: no PriorityClass with name low was found"),
        (
            |p| p["spec"]["priority"] = 7.into(),
            "pods \"p\" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name",
        ),
        (
            |p| p["spec"]["serviceAccountName"] = "robot".into(),
            "pods \"p\" is forbidden: error looking up service account ns/robot: serviceaccount \"robot\" not found",
        ),
        (|p| p["spec"]["runtimeClassName"] = "gvisor".into(), "pods \"p\" is forbidden: pod rejected: RuntimeClass \"gvisor\" not found"),
        (
            |p| p["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "1" }, "limits": { "cpu": "2" } }),
            "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 2",
        ),
    ];
    for (change, words) in cases {
        assert_eq!(rig.refusal("pods", pod(change)), words);
    }
}

#[test]
fn namespaces_that_every_cluster_needs_stay() {
    let rig = rig();
    for (name, stays) in [("default", true), ("kube-system", true), ("ns", false)] {
        let key = ObjectKey::new("", name);
        let outcome = rig.chain.validate(&rig.attributes("namespaces", Operation::Delete, &key), None, Some(&json!({})));
        let words = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!(outcome.err().map(|e| e.message), stays.then_some(words));
    }
}

#[test]
fn pods_keep_to_the_standard_of_their_namespace() {
    let rig = rig();
    let labels = json!({ "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted" });
    rig.put("namespaces", json!({ "metadata": { "name": "ns", "labels": labels } }));
    let restricted = "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";
    let (_, warnings) = rig.create("pods", pod(|_| {})).expect("good enough for the baseline");
    assert_eq!(warnings, [format!("would violate PodSecurity \"restricted:latest\": {restricted}")]);
    let refused = rig.refusal(
        "pods",
        pod(|p| {
            p["spec"]["hostNetwork"] = true.into();
            p["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true, "capabilities": { "add": ["SYS_ADMIN"] } });
        }),
    );
    let words = "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": non-default capabilities (container \"c\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add), host namespaces (hostNetwork=true), privileged (container \"c\" must not set securityContext.privileged=true)";
    assert_eq!(refused, words);
    // What makes pods is only warned about.
    let set =
        json!({ "metadata": { "name": "s", "namespace": "ns" }, "spec": { "template": { "metadata": {}, "spec": pod(|_| {})["spec"] } } });
    assert_eq!(rig.create("replicasets", set).expect("warned only").1.len(), 1);
    let wrong = json!({ "metadata": { "name": "n", "labels": { "pod-security.kubernetes.io/enforce": "strict" } } });
    assert!(rig.refusal("namespaces", wrong).contains("must be one of privileged, baseline, restricted"));
}

#[test]
fn a_level_that_is_raised_warns_of_pods_that_are_there() {
    let rig = rig();
    rig.put("pods", pod(|p| p["spec"]["hostPID"] = true.into()));
    let key = ObjectKey::new("", "ns");
    let a = rig.attributes("namespaces", Operation::Update, &key);
    let new = json!({ "metadata": { "name": "ns", "labels": { "pod-security.kubernetes.io/enforce": "baseline" } } });
    let warnings = rig.chain.validate(&a, Some(&new), Some(&json!({ "metadata": { "name": "ns" } }))).expect("granted");
    let first = "existing pods in namespace \"ns\" violate the new PodSecurity enforce level \"baseline:latest\"";
    assert_eq!(warnings, [first, "p: host namespaces"]);
}

#[test]
fn plugins_are_chosen_by_name() {
    let chosen = Plugins::choose(&["AlwaysPullImages".into()], &["ServiceAccount".into()]).expect("known names");
    let rig = Rig::new(chosen);
    let (pod, _) = rig.create("pods", pod(|_| {})).expect("a good pod");
    assert_eq!((&pod["spec"]["containers"][0]["imagePullPolicy"], pod["spec"].get("volumes")), (&json!("Always"), None));
    assert!(
        Plugins::choose(&["Nothing".into()], &[]).expect_err("unknown").to_string().starts_with("unknown admission plugin \"Nothing\"")
    );
}

#[tokio::test]
async fn a_pod_waits_for_its_namespaces_account() {
    let rig = Rig::new(Plugins::default());
    rig.put("namespaces", json!({ "metadata": { "name": "fresh" } }));
    let key = ObjectKey::new("fresh", "p");
    let a = rig.attributes("pods", Operation::Create, &key);
    assert!(rig.chain.asks(&a) && !rig.chain.asks(&rig.attributes("pods", Operation::Create, &ObjectKey::new("ns", "p"))));
    let mut object = pod(|p| p["metadata"]["namespace"] = "fresh".into());
    rig.chain.mutate(&a, &mut object, None).expect("left for later");
    assert!(object["spec"].get("serviceAccountName").is_none());
    let asking = Admission::ask_mutating(&rig.chain, a, object, None);
    let (answer, _) =
        tokio::join!(asking, async { rig.put("serviceaccounts", json!({ "metadata": { "name": "default", "namespace": "fresh" } })) });
    assert_eq!(answer.expect("granted").0["spec"]["serviceAccountName"], "default");
}

#[test]
fn presets_are_merged_into_new_pods_or_speak_of_a_conflict() {
    let rig = rig();
    let preset = |env: Value| {
        json!({ "metadata": { "name": "allow-database", "namespace": "ns" }, "spec": {
            "selector": { "matchLabels": { "role": "frontend" } }, "env": env,
            "volumeMounts": [{ "name": "cache-volume", "mountPath": "/cache" }], "volumes": [{ "name": "cache-volume", "emptyDir": {} }],
        } })
    };
    let frontend = |more: fn(&mut Value)| {
        pod(|p| {
            p["metadata"]["labels"] = json!({ "role": "frontend" });
            more(p);
        })
    };
    rig.put("podpresets.settings.k8s.io", preset(json!([{ "name": "DB_PORT", "value": "6379" }])));
    let (made, warnings) = rig.create("pods", frontend(|_| {})).expect("granted");
    let container = &made["spec"]["containers"][0];
    assert_eq!((&container["env"][0]["name"], &container["volumeMounts"][0]["name"]), (&json!("DB_PORT"), &json!("cache-volume")));
    let applied =
        |object: &Value| object["metadata"]["annotations"].get("podpreset.admission.kubernetes.io/podpreset-allow-database").cloned();
    assert!(applied(&made).is_some_and(|v| v.is_string()) && warnings.is_empty(), "{made}");
    let (excluded, _) = rig
        .create("pods", frontend(|p| p["metadata"]["annotations"] = json!({ "podpreset.admission.kubernetes.io/exclude": "true" })))
        .expect("granted");
    assert_eq!((applied(&excluded), &excluded["spec"]["containers"][0]["env"]), (None, &Value::Null));
    let taken = frontend(|p| p["spec"]["containers"][0]["env"] = json!([{ "name": "DB_PORT", "value": "1" }]));
    let (kept, warnings) = rig.create("pods", taken).expect("granted");
    assert_eq!((applied(&kept), &kept["spec"]["containers"][0]["env"][0]["value"]), (None, &json!("1")));
    assert!(warnings.len() == 1 && warnings[0].starts_with("conflict occurred while applying podpresets: allow-database"), "{warnings:?}");
}

#[test]
fn what_a_pod_says_of_its_resources_as_a_whole_counts() {
    let rig = rig();
    let limits = json!([{ "type": "Pod", "max": { "cpu": "1" } }]);
    rig.put("limitranges", json!({ "metadata": { "name": "l", "namespace": "ns" }, "spec": { "limits": limits } }));
    let words = "pods \"p\" is forbidden: maximum cpu usage per Pod is 1, but limit is 2";
    let whole = |cpu: &str| pod(|p| p["spec"]["resources"] = json!({ "limits": { "cpu": cpu } }));
    assert_eq!(rig.refusal("pods", whole("2")), words);
    assert!(rig.create("pods", whole("1")).is_ok());
    // Who resizes later keeps to the same.
    let key = ObjectKey::new("ns", "p");
    let a = Attributes { subresource: "resize", ..rig.attributes("pods", Operation::Update, &key) };
    assert_eq!(rig.chain.validate(&a, Some(&whole("2")), Some(&whole("1"))).expect_err("too much").message, words);
    // A pod whose containers say nothing is no BestEffort pod if it says something itself.
    let class = |resources: Value| kinds::qos_class(&json!({ "resources": resources, "containers": [{ "resources": {} }] }));
    let both = json!({ "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1", "memory": "1Gi" } });
    let classes = [class(both), class(json!({ "requests": { "cpu": "1" } })), class(Value::Null)];
    assert_eq!(classes, ["Guaranteed", "Burstable", "BestEffort"]);
}
