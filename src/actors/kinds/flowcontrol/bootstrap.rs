//! The flow schemas and priority levels that every cluster has, as upstream's API server keeps them.
use serde_json::{Value, json};

/// Objects with this annotation at `true` are put back to what the server wants; people who change one set it to `false`.
pub const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";

/// Priority levels that must be as they are.
pub fn mandatory_priority_levels() -> Vec<Value> {
    vec![
        priority_level(
            "catch-all",
            json!({"type": "Limited", "limited": {
                "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"},
            }}),
        ),
        priority_level("exempt", json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}})),
    ]
}

/// Priority levels to begin with.
pub fn suggested_priority_levels() -> Vec<Value> {
    vec![
        queued("system", 30, 33, 64, 6),
        queued("node-high", 40, 25, 64, 6),
        queued("leader-election", 10, 0, 16, 4),
        queued("workload-high", 40, 50, 128, 6),
        queued("workload-low", 100, 90, 128, 6),
        queued("global-default", 20, 50, 128, 6),
    ]
}

/// Flow schemas that must be as they are.
pub fn mandatory_flow_schemas() -> Vec<Value> {
    vec![
        flow_schema("exempt", "exempt", 1, "", rule(groups(&["system:masters"]), everything(), any_path())),
        flow_schema("catch-all", "catch-all", 10_000, BY_USER, rule(everybody(), everything(), any_path())),
    ]
}

/// Flow schemas to begin with.
pub fn suggested_flow_schemas() -> Vec<Value> {
    let nodes = || groups(&["system:nodes"]);
    let everything_of =
        |name, level, precedence, method, subjects| flow_schema(name, level, precedence, method, rule(subjects, everything(), any_path()));
    let leases = |verbs: &[&str]| resource_rule(verbs, &["coordination.k8s.io"], &["leases"], false);
    let mut leaders = users(&["system:kube-controller-manager", "system:kube-scheduler"]);
    leaders.extend(system_accounts());
    let health = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]});
    vec![
        everything_of("system-nodes", "system", 500, BY_USER, nodes()),
        flow_schema(
            "system-node-high",
            "node-high",
            400,
            BY_USER,
            rule(nodes(), vec![resource_rule(&["*"], &[""], &["nodes", "nodes/status"], true), leases(&["*"])], vec![]),
        ),
        flow_schema("probes", "exempt", 2, "", rule(everybody(), vec![], vec![health])),
        flow_schema(
            "system-leader-election",
            "leader-election",
            100,
            BY_USER,
            rule(leaders, vec![leases(&["get", "create", "update"])], vec![]),
        ),
        everything_of("kube-controller-manager", "workload-high", 800, BY_NAMESPACE, users(&["system:kube-controller-manager"])),
        everything_of("kube-scheduler", "workload-high", 800, BY_NAMESPACE, users(&["system:kube-scheduler"])),
        everything_of("kube-system-service-accounts", "workload-high", 900, BY_NAMESPACE, system_accounts()),
        everything_of("service-accounts", "workload-low", 9000, BY_USER, groups(&["system:serviceaccounts"])),
        everything_of("global-default", "global-default", 9900, BY_USER, everybody()),
    ]
}

const BY_USER: &str = "ByUser";
const BY_NAMESPACE: &str = "ByNamespace";

fn priority_level(name: &str, spec: Value) -> Value {
    object("PriorityLevelConfiguration", name, spec)
}

fn queued(name: &str, shares: i64, lendable: i64, queues: i64, hand: i64) -> Value {
    let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 50});
    let response = json!({"type": "Queue", "queuing": queuing});
    let limited = json!({"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response});
    priority_level(name, json!({"type": "Limited", "limited": limited}))
}

fn flow_schema(name: &str, level: &str, precedence: i64, method: &str, rule: Value) -> Value {
    let mut spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]});
    if !method.is_empty() {
        spec["distinguisherMethod"] = json!({"type": method});
    }
    object("FlowSchema", name, spec)
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    let metadata = json!({"name": name, "annotations": {AUTO_UPDATE: "true"}});
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
}

fn rule(subjects: Vec<Value>, resources: Vec<Value>, paths: Vec<Value>) -> Value {
    let mut rule = json!({"subjects": subjects});
    if !resources.is_empty() {
        rule["resourceRules"] = resources.into();
    }
    if !paths.is_empty() {
        rule["nonResourceRules"] = paths.into();
    }
    rule
}

fn resource_rule(verbs: &[&str], groups: &[&str], resources: &[&str], cluster_scope: bool) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "namespaces": ["*"]});
    if cluster_scope {
        rule["clusterScope"] = true.into();
    }
    rule
}

fn everything() -> Vec<Value> {
    vec![resource_rule(&["*"], &["*"], &["*"], true)]
}

fn any_path() -> Vec<Value> {
    vec![json!({"verbs": ["*"], "nonResourceURLs": ["*"]})]
}

fn everybody() -> Vec<Value> {
    groups(&["system:unauthenticated", "system:authenticated"])
}

fn groups(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"kind": "Group", "group": {"name": name}})).collect()
}

fn users(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"kind": "User", "user": {"name": name}})).collect()
}

fn system_accounts() -> Vec<Value> {
    vec![json!({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "kube-system"}})]
}
