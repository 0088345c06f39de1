//! A client that sends protobuf and takes nothing else, as client-go's typed clients are often set up.
use super::server;
use super::wire::{Fields, Message};
use crate::api::client::{Answer, Client};
use serde_json::json;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

struct Speaker {
    client: Client,
    /// `/api/v1/namespaces/<own>/configmaps`
    maps: String,
    namespace: &'static str,
}

impl Speaker {
    async fn new(namespace: &'static str) -> Speaker {
        let speaker = Speaker {
            client: Client::of(&server().kubeconfig(), "h2"),
            maps: format!("/api/v1/namespaces/{namespace}/configmaps"),
            namespace,
        };
        let body = Message::default().message(1, Message::default().text(1, namespace)).object("v1", "Namespace");
        assert_eq!(speaker.send("POST", "/api/v1/namespaces", body).await.status, 201);
        speaker
    }

    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Answer {
        let answer = self.client.send(method, path, &[("accept", PROTOBUF), ("content-type", PROTOBUF)], body).await;
        assert_eq!(answer.header("content-type"), PROTOBUF, "{}", answer.text());
        answer
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        self.client.send("GET", path, &[("accept", accept)], "").await
    }

    async fn make(&self, name: &str) -> Answer {
        self.send("POST", &self.maps, map(name, "v")).await
    }
}

fn meta(name: &str) -> Message {
    Message::default().text(1, name).entry(11, "scene", "protobuf")
}

fn map(name: &str, value: &str) -> Vec<u8> {
    Message::default()
        .message(1, meta(name))
        .entry(2, "k", value)
        .message(3, Message::default().text(1, "b").bytes(2, &[0, 255]))
        .object("v1", "ConfigMap")
}

/// Code and reason of a `Status`.
#[track_caller]
fn refusal(answer: &Answer) -> (u64, String) {
    let (version, kind, status) = Fields::object(&answer.body);
    assert_eq!((version.as_str(), kind.as_str(), status.text(2).as_str()), ("v1", "Status", "Failure"));
    assert_eq!(status.number(6), Some(answer.status.into()));
    (answer.status.into(), status.text(4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_in_protobuf_both_ways() {
    let speaker = Speaker::new("protobuf-objects").await;
    let made = speaker.make("one").await;
    assert_eq!(made.status, 201);
    let (version, kind, object) = Fields::object(&made.body);
    assert_eq!((version.as_str(), kind.as_str()), ("v1", "ConfigMap"));
    let given = object.message(1);
    assert_eq!((given.text(1).as_str(), given.text(3).as_str(), given.map(11)), ("one", speaker.namespace, vec!["scene=protobuf".into()]));
    assert!(given.text(5).len() == 36 && given.text(6).parse::<u64>().is_ok());
    assert!(given.message(8).number(1).is_some_and(|s| s > 1_700_000_000), "the time of creation");
    assert_eq!((object.map(2), object.message(3).raw(2)), (vec!["k=v".to_string()], vec![0, 255]));

    assert_eq!(refusal(&speaker.make("one").await), (409, "AlreadyExists".into()));
    let one = format!("{}/one", speaker.maps);
    assert_eq!(refusal(&speaker.send("PUT", &one, map("two", "v")).await), (400, "BadRequest".into()));
    assert_eq!(speaker.send("PUT", &one, map("one", "w")).await.status, 200);
    assert_eq!(speaker.client.get(&one).await.ok()["data"], json!({ "k": "w" }));
    // Preconditions: another uid.
    let options = Message::default().message(2, Message::default().text(1, "other")).object("v1", "DeleteOptions");
    assert_eq!(refusal(&speaker.send("DELETE", &one, options).await), (409, "Conflict".into()));
    let options = Message::default().message(2, Message::default().text(1, &given.text(5))).object("v1", "DeleteOptions");
    assert_eq!(speaker.send("DELETE", &one, options).await.status, 200);
    assert_eq!(refusal(&speaker.get(&one, PROTOBUF).await), (404, "NotFound".into()));
    let damaged = speaker.client.send("POST", &speaker.maps, &[("content-type", PROTOBUF)], "k8s\0\u{1}nonsense").await;
    damaged.refused(400, "BadRequest");
}

/// A Deployment has what makes the format hard: quantities, numbers or texts, nested lists, defaults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_in_protobuf() {
    let speaker = Speaker::new("protobuf-deployment").await;
    let new = Message::default;
    let limit = new().text(1, "cpu").message(2, new().text(1, "1.5"));
    let container = new().text(1, "c").text(2, "i").message(6, new().number(3, 80)).message(8, new().message(1, limit));
    let template = new().message(1, new().entry(11, "app", "web")).message(2, new().message(2, container));
    let rolling = new().message(1, new().number(1, 0).number(2, 2)).message(2, new().number(1, 1).text(3, "40%"));
    let spec = new()
        .number(1, 0)
        .message(2, new().entry(1, "app", "web"))
        .message(3, template)
        .message(4, new().text(1, "RollingUpdate").message(2, rolling));
    let body = new().message(1, meta("web")).message(2, spec).object("apps/v1", "Deployment");
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", speaker.namespace);
    assert_eq!(speaker.send("POST", &path, body).await.status, 201);

    let stored = speaker.client.get(&format!("{path}/web")).await.ok();
    assert_eq!(stored["spec"]["replicas"], 0);
    assert_eq!(stored["spec"]["strategy"]["rollingUpdate"], json!({ "maxUnavailable": 2, "maxSurge": "40%" }));
    let (_, kind, read) = Fields::object(&speaker.get(&format!("{path}/web"), PROTOBUF).await.body);
    let spec = read.message(2);
    assert_eq!((kind.as_str(), spec.number(1)), ("Deployment", Some(0)));
    let container = spec.message(3).message(2).message(2);
    assert_eq!((container.text(1).as_str(), container.message(6).number(3)), ("c", Some(80)));
    let limit = container.message(8).message(1);
    assert_eq!((limit.text(1).as_str(), limit.message(2).text(1).as_str()), ("cpu", "1500m"));
    let rolling = spec.message(4).message(2);
    assert_eq!((rolling.message(1).number(2), rolling.message(2).text(3).as_str()), (Some(2), "40%"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_watches_in_protobuf() {
    let speaker = Speaker::new("protobuf-lists").await;
    let start = {
        let (_, _, list) = Fields::object(&speaker.get(&speaker.maps, PROTOBUF).await.body);
        list.message(1).text(2)
    };
    for name in ["a", "b", "c"] {
        speaker.make(name).await;
    }
    speaker.send("PUT", &format!("{}/a", speaker.maps), map("a", "w")).await;
    speaker.send("DELETE", &format!("{}/b", speaker.maps), Vec::new()).await;

    let selected = format!("{}?labelSelector=scene%3Dprotobuf", speaker.maps);
    let (version, kind, page) = Fields::object(&speaker.get(&format!("{selected}&limit=1"), PROTOBUF).await.body);
    assert_eq!((version.as_str(), kind.as_str()), ("v1", "ConfigMapList"));
    assert_eq!(page.messages(2).len(), 1);
    let next = format!("{selected}&limit=1&continue={}", page.message(1).text(3));
    let (_, _, rest) = Fields::object(&speaker.get(&next, PROTOBUF).await.body);
    assert_eq!((rest.message(2).message(1).text(1).as_str(), rest.message(1).text(3).as_str()), ("c", ""));

    let watch = format!("{selected}&watch=1&resourceVersion={start}&timeoutSeconds=1&allowWatchBookmarks=true");
    let seen = events(&speaker.get(&watch, &format!("{PROTOBUF};stream=watch")).await);
    let words: Vec<String> = seen.iter().map(|(word, _, _, object)| format!("{word} {}", object.message(1).text(1))).collect();
    assert_eq!(words[..5], ["ADDED a", "ADDED b", "ADDED c", "MODIFIED a", "DELETED b"]);
    assert!(words[5..].iter().all(|w| w == "BOOKMARK "), "{words:?}");
    let (_, version, kind, object) = &seen[3];
    assert_eq!((version.as_str(), kind.as_str(), object.map(2)), ("v1", "ConfigMap", vec!["k=w".into()]));

    let streamed =
        format!("{selected}&watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1");
    let seen = events(&speaker.get(&streamed, PROTOBUF).await);
    assert!(seen[..2].iter().all(|(word, ..)| word == "ADDED"));
    assert_eq!((seen[2].0.as_str(), seen[2].3.message(1).map(12)), ("BOOKMARK", vec!["k8s.io/initial-events-end=true".into()]));
}

/// Metadata of everything comes in protobuf, custom resources too; custom resources themselves do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_in_protobuf() {
    let speaker = Speaker::new("protobuf-metadata").await;
    speaker.make("a").await;
    let accept = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let answer = speaker.get(&format!("{}?labelSelector=scene%3Dprotobuf", speaker.maps), &accept).await;
    let (version, kind, list) = Fields::object(&answer.body);
    assert_eq!((version.as_str(), kind.as_str()), ("meta.k8s.io/v1", "PartialObjectMetadataList"));
    let items = list.messages(2);
    assert_eq!((items.len(), items[0].message(1).text(1).as_str(), items[0].map(2)), (1, "a", Vec::<String>::new()));

    let definition = json!({ "metadata": { "name": "pets.protobuf.example.com" }, "spec": {
        "group": "protobuf.example.com", "scope": "Cluster", "names": { "plural": "pets", "singular": "pet", "kind": "Pet" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
    } });
    speaker.client.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await.ok();
    let pets = "/apis/protobuf.example.com/v1/pets";
    let pet = json!({ "apiVersion": "protobuf.example.com/v1", "kind": "Pet", "metadata": { "name": "rex" } });
    let made = async || speaker.client.post(pets, &pet).await.status == 201;
    let served = async {
        while !made().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), served).await.expect("the definition is served");
    let (_, kind, list) = Fields::object(&speaker.get(pets, &accept).await.body);
    assert_eq!((kind.as_str(), list.message(2).message(1).text(1).as_str()), ("PartialObjectMetadataList", "rex"));
    assert_eq!(speaker.get(pets, PROTOBUF).await.status, 406);
    assert_eq!(speaker.get(pets, &format!("{PROTOBUF},application/json")).await.header("content-type"), "application/json");
    speaker.client.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pets.protobuf.example.com").await.ok();
}

/// The events of a watch that has ended: type, `apiVersion`, `kind` and object.
#[track_caller]
fn events(answer: &Answer) -> Vec<(String, String, String, Fields)> {
    assert_eq!(answer.header("content-type"), format!("{PROTOBUF};stream=watch"));
    let mut left = &answer.body[..];
    let mut events = Vec::new();
    while let Some((length, rest)) = left.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let event = Fields::read(frame);
        let (version, kind, object) = Fields::object(&event.message(2).raw(1));
        events.push((event.text(1), version, kind, object));
        left = rest;
    }
    events
}
