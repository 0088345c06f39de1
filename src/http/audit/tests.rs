//! Which requests are recorded, and what the file says of them.
use super::*;
use crate::http::api::Target;
use bytes::Bytes;

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:kube-proxy]
- level: RequestResponse
  resources: [{ group: '', resources: [pods] }]
- level: Metadata
  resources: [{ group: '', resources: ['pods/log', '*/status', secrets], resourceNames: [] }]
- level: None
  nonResourceURLs: ['/healthz*', /version]
- level: Request
  userGroups: [system:authenticated]
  namespaces: [kube-system]
";

fn request(resource: &str, subresource: &str, namespace: &str) -> Request {
    let target = Target {
        version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: "n".into(),
        ..Default::default()
    };
    Request { verb: "get".into(), uri: "/api/v1/x?y".into(), target: Some(target), ..Default::default() }
}

#[test]
fn the_first_rule_decides() {
    let policy = Policy::parse("p.yaml", POLICY).expect("a policy");
    let jane = User::new("jane", []);
    let level = |user: &User, request: &Request| policy.decide(user, request).level;
    assert_eq!(level(&User::new("system:kube-proxy", []), &request("pods", "", "a")), Level::None);
    assert_eq!(level(&jane, &request("pods", "", "a")), Level::RequestResponse);
    assert_eq!(level(&jane, &request("pods", "log", "a")), Level::Metadata);
    assert_eq!(level(&jane, &request("nodes", "status", "")), Level::Metadata);
    assert_eq!(level(&jane, &request("configmaps", "", "kube-system")), Level::Request);
    assert_eq!(level(&jane, &request("configmaps", "", "a")), Level::None);
    let path = |uri: &str| Request { verb: "get".into(), uri: uri.into(), ..Default::default() };
    assert_eq!(level(&jane, &path("/healthz/ping?verbose")), Level::None);
    assert_eq!(level(&jane, &path("/metrics")), Level::None);
}

#[test]
fn bad_policies_are_told() {
    let told = |text: &str| Policy::parse("p.yaml", text).expect_err("refused").to_string();
    let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
    assert!(told(head).contains("0 rules"));
    assert!(told("kind: Policy\n").contains("expected apiVersion audit.k8s.io/v1"));
    assert!(told(&format!("{head}rules: [{{ level: Everything }}]\n")).contains("unknown variant"));
    assert!(told(&format!("{head}rules: [{{ level: None, nonResourceURLs: ['*x'] }}]\n")).contains("rules[0]: nonResourceURLs"));
    assert!(told(&format!("{head}rules: [{{ level: None, nonResourceURLs: [/a], namespaces: [b] }}]\n")).contains("both regular"));
}

#[test]
fn the_file_has_a_line_for_each_stage_and_is_rotated() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    let mut sinks = Sinks::default();
    sinks.add_file(FileSettings { path: path.clone(), max_bytes: 3000, backups: 2 }).expect("opened");
    let audit = Audit::new(Policy::parse("p.yaml", POLICY).expect("a policy"), sinks);
    for _ in 0..10 {
        let mut record = audit.begin(&User::new("jane", []), request("pods", "", "a")).expect("recorded");
        record.request(&Bytes::from_static(b"{\"kind\":\"Pod\"}"));
        record.complete(409, &Bytes::from_static(b"{\"kind\":\"Status\",\"message\":\"no\",\"reason\":\"Conflict\"}"));
    }
    drop(audit.begin(&User::new("jane", []), request("pods", "log", "a")));
    // Waits for the file's thread.
    drop(audit);
    let names = ["log", "log.1", "log.2"].map(|e| path.with_extension(e));
    assert!(names.iter().all(|n| n.exists()), "rotated");
    assert!(!path.with_extension("log.3").exists(), "and the oldest went");
    let text = std::fs::read_to_string(path.with_extension("log.1")).expect("the file before");
    let event: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(event["stage"], "ResponseComplete");
    assert_eq!((&event["user"]["username"], &event["objectRef"]["resource"]), (&"jane".into(), &"pods".into()));
    assert_eq!((&event["responseStatus"]["code"], &event["responseStatus"]["message"]), (&409.into(), &"no".into()));
    assert_eq!((&event["requestObject"]["kind"], &event["responseObject"]["kind"]), (&"Pod".into(), &"Status".into()));
}
