use super::bootstrap::{mandatory_flow_schemas, mandatory_priority_levels, suggested_flow_schemas, suggested_priority_levels};
use super::{flow_schema, priority_level};
use crate::actors::kinds::{Kind, begin_create, prepare_create};
use serde_json::{Value, json};

fn create(kind: &Kind, body: &Value) -> Result<Value, String> {
    let checked = kind.check(body.to_string().as_bytes()).map_err(|e| e.to_string())?;
    assert_eq!(checked.findings(), Vec::<String>::new());
    let mut object = checked.value;
    begin_create(kind, "", &mut object).map_err(|e| e.message)?;
    prepare_create(kind, object, "2026-01-01T00:00:00Z", "uid", *b"abcde").map_err(|e| e.message)
}

/// Upstream says of its own: they are good, and defaulting changes nothing.
#[test]
fn what_every_cluster_has_is_good_as_it_is() {
    let schemas = [mandatory_flow_schemas(), suggested_flow_schemas()].concat();
    let levels = [mandatory_priority_levels(), suggested_priority_levels()].concat();
    assert_eq!((schemas.len(), levels.len()), (11, 8));
    for (kind, objects) in [(&flow_schema::KIND, schemas), (&priority_level::KIND, levels.clone())] {
        for object in objects {
            let stored = create(kind, &object).expect("a good object");
            assert_eq!(stored["spec"], object["spec"], "{}", object["metadata"]["name"]);
            assert_eq!(stored["metadata"]["generation"], 1);
        }
    }
    let system = levels.iter().find(|l| l["metadata"]["name"] == "system").unwrap();
    let cells = priority_level::KIND.row(system, 0);
    assert_eq!(cells[1..6], [json!("Limited"), json!(30), json!(64), json!(6), json!(50)]);
}

#[test]
fn defaults() {
    let spec = json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}});
    let level = create(&priority_level::KIND, &json!({"metadata": {"name": "l"}, "spec": spec})).unwrap();
    let limited = &level["spec"]["limited"];
    assert_eq!((&limited["nominalConcurrencyShares"], &limited["lendablePercent"]), (&json!(30), &json!(0)));
    assert_eq!(limited["limitResponse"]["queuing"], json!({"queues": 64, "handSize": 8, "queueLengthLimit": 50}));
    let schema = json!({"metadata": {"name": "s"}, "spec": {"priorityLevelConfiguration": {"name": "l"}}});
    assert_eq!(create(&flow_schema::KIND, &schema).unwrap()["spec"]["matchingPrecedence"], 1000);
}

#[test]
fn refused_schemas() {
    let rule = |rule: Value| json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [rule]});
    let paths = |url: &str| {
        let paths = json!([{"verbs": ["get"], "nonResourceURLs": [url]}]);
        rule(json!({"subjects": [{"kind": "User", "user": {"name": "a"}}], "nonResourceRules": paths}))
    };
    let table = [
        (
            json!({"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 1}),
            "only the schema named 'exempt' may have matchingPrecedence 1",
        ),
        (
            json!({"priorityLevelConfiguration": {"name": ""}}),
            "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
        ),
        (rule(json!({"subjects": []})), "spec.rules[0].subjects: Required value: subjects must contain at least one value"),
        (
            rule(json!({"subjects": [{"kind": "Group", "user": {"name": "a"}}]})),
            "spec.rules[0].subjects[0].group: Required value: group is required when subject kind is 'Group'",
        ),
        (
            rule(json!({"subjects": [{"kind": "Group", "user": {"name": "a"}, "group": {"name": "a"}}]})),
            "spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'",
        ),
        (paths("healthz"), "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"healthz\": must start with slash"),
        (paths("/a*b"), "wildcard can only do suffix matching"),
    ];
    for (spec, message) in table {
        let error = create(&flow_schema::KIND, &json!({"metadata": {"name": "s"}, "spec": spec})).expect_err(message);
        assert!(error.contains(message), "{error}");
    }
    let mut changed = mandatory_flow_schemas().remove(1);
    changed["spec"]["matchingPrecedence"] = 9000.into();
    assert!(create(&flow_schema::KIND, &changed).unwrap_err().contains("spec of 'catch-all' must equal the fixed value"));
}

#[test]
fn refused_levels() {
    let queuing = |queuing: Value| json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}});
    let table = [
        ("l", json!({"type": "Exempt"}), "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"),
        ("l", json!({"type": "Limited"}), "spec.limited: Required value: must not be empty when type is Limited"),
        ("l", queuing(json!({"queues": 4, "handSize": 5})), "should not be greater than queues (4)"),
        (
            "l",
            queuing(json!({"queues": 1024, "handSize": 8})),
            "required entropy bits of deckSize 1024 and handSize 8 should not be greater than 60",
        ),
        (
            "exempt",
            json!({"type": "Exempt", "exempt": {"lendablePercent": 101}}),
            "spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
        ),
    ];
    for (name, spec, message) in table {
        let error = create(&priority_level::KIND, &json!({"metadata": {"name": name}, "spec": spec})).expect_err(message);
        assert!(error.contains(message), "{error}");
    }
    let shares = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 7, "lendablePercent": 3}});
    create(&priority_level::KIND, &json!({"metadata": {"name": "exempt"}, "spec": shares})).expect("shares are for people to choose");
}
