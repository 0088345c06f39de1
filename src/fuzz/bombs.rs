//! Small inputs that ask for a lot of work, and large ones: each is answered in bounded time, the hopeless ones with a clear error.
use super::corpus::custom_kinds;
use crate::actors::kinds::{Edit, EditBody, FieldValidation, Kind, Part, Patch, Writer, all, begin_create, prepare_create, proposed};
use crate::protocol::cel::{Budget, Program, Type, from_json};
use crate::protocol::codec::{meta_of, yaml_documents, yaml_to_json};
use crate::protocol::selector::LabelSelector;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A debug build on a busy machine; a release build is some twenty times as fast.
const LONGEST: Duration = Duration::from_secs(10);

fn within<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let outcome = act();
    let taken = begun.elapsed();
    println!("{what}: {taken:?}");
    assert!(taken < LONGEST, "{what} took {taken:?}");
    outcome
}

fn kind(name: &str) -> &'static Kind {
    all().into_iter().find(|k| k.resource.kind == name && k.view.is_none()).expect("a kind that is served")
}

fn create(kind: &Kind, body: &Value) -> Result<Value, String> {
    let mut object = kind.check(body.to_string().as_bytes()).map_err(|e| e.to_string())?.value;
    begin_create(kind, if kind.resource.namespaced { "ns" } else { "" }, &mut object).map_err(|e| e.message)?;
    prepare_create(kind, object, "2026-01-01T00:00:00Z", "u", *b"abcde").map_err(|e| e.message)
}

fn pod() -> Value {
    json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } })
}

#[test]
fn depth_and_size() {
    let size = crate::http::api::MAX_BODY;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = open.repeat(size / open.len() / 2) + &close.repeat(size / 8);
        for name in ["Pod", "ConfigMap", "ControllerRevision", "CustomResourceDefinition"] {
            let body = format!("{{\"metadata\":{{\"name\":\"x\"}},\"data\":{deep}}}");
            assert!(within("deep JSON", || kind(name).check(body.as_bytes())).is_err());
        }
        assert!(within("deep YAML", || yaml_to_json(deep.as_bytes())).is_err());
    }
    let long = json!({ "metadata": { "name": "x" }, "data": { "k": "a".repeat(size) } });
    let said = within("a large value", || create(kind("ConfigMap"), &long)).expect_err("too large");
    assert!(said.contains("Too long"), "{}", &said[..200.min(said.len())]);
}

#[test]
fn aliases() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_string();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{inner}]\n");
    }
    let said = within("aliases", || yaml_to_json(bomb.as_bytes())).expect_err("a bomb").to_string();
    assert!(said.contains("YAML"), "{said}");
    assert!(within("aliases of a stream", || yaml_documents(bomb.as_bytes())).is_err());
    assert!(within("many documents", || yaml_documents("---\na\n".repeat(100_000).as_bytes())).is_err());
    assert!(within("an alias of itself", || yaml_to_json(b"a: &a [*a]")).is_err());
}

#[test]
fn many_of_everything() {
    let many: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("k{n}"), "v".into())).collect();
    let mut labelled = pod();
    labelled["metadata"]["labels"] = many.clone().into();
    let stored = within("10000 labels", || create(kind("Pod"), &labelled)).expect("they are allowed");
    let selector = json!({ "matchLabels": many });
    let selector = within("a selector of 10000 labels", || LabelSelector::from_object(&selector)).expect("good");
    assert!(within("10000 labels selected", || selector.matches_value(&stored["metadata"]["labels"])));
    let text = vec!["a in (b,c,d)"; 5000].join(",");
    within("a long selector", || LabelSelector::parse(&text)).expect("it is below the limit");
    assert!(LabelSelector::parse(&vec!["a"; 100_000].join(",")).is_err());

    let list = |item: Value| Value::from(vec![item; 100_000]);
    let lists = [
        ("Pod", "/spec/containers", json!({ "name": "c", "image": "i" })),
        ("Pod", "/spec/volumes", json!({ "name": "v", "emptyDir": {} })),
        ("Pod", "/spec/tolerations", json!({ "operator": "Exists" })),
        ("Pod", "/spec/containers/0/env", json!({ "name": "A", "value": "b" })),
        ("Pod", "/spec/containers/0/ports", json!({ "containerPort": 80, "hostPort": 80 })),
        ("Service", "/spec/ports", json!({ "name": "a", "port": 80 })),
        ("EndpointSlice", "/endpoints", json!({ "addresses": ["10.0.0.1"] })),
        ("Role", "/rules", json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] })),
        ("NetworkPolicy", "/spec/ingress", json!({})),
        ("Ingress", "/spec/rules", json!({ "host": "a.b" })),
        ("ResourceSlice", "/spec/devices", json!({ "name": "a" })),
    ];
    for (name, pointer, item) in lists {
        let mut body = json!({ "metadata": { "name": "x" }, "spec": { "containers": [{ "name": "c", "image": "i" }], "podSelector": {} } });
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        body.pointer_mut(parent).expect("a place")[key] = list(item);
        let outcome = within(&format!("100000 of {name} {pointer}"), || create(kind(name), &body));
        let said = outcome.err().unwrap_or_default();
        assert!(said.len() < 64 << 20, "{name} {pointer}: a refusal of {} bytes", said.len());
    }
}

#[test]
fn patches() {
    let old = create(kind("Pod"), &pod()).expect("good");
    let (key, _) = meta_of(&old);
    let run = |what: &str, patch: Patch| {
        let body = EditBody::Patch { patch, validation: FieldValidation::Ignore };
        let edit = Edit { key: key.clone(), part: Part::Main, body };
        within(what, || proposed(kind("Pod"), &edit, &old, &Writer::internal("fuzz")))
    };
    let numbered = |n: usize| json!({ "name": format!("c{n}"), "image": "i" });
    let containers: Vec<Value> = (0..10_000).map(numbered).collect();
    run("10000 new containers", Patch::Strategic(json!({ "spec": { "containers": containers } }))).expect("good");
    let order: Vec<Value> = (0..10_000).map(|n| json!({ "name": format!("c{n}") })).collect();
    let ordered = json!({ "spec": { "$setElementOrder/containers": order, "containers": containers } });
    let _ = run("an order of 10000", Patch::Strategic(ordered));
    let gone: Vec<Value> = (0..20_000).map(|n| json!({ "$patch": "delete", "name": format!("c{n}") })).collect();
    run("20000 deletions", Patch::Strategic(json!({ "spec": { "containers": gone } }))).expect("good");
    let growing = |n: usize| json!({ "op": "copy", "from": "/metadata", "path": format!("/metadata/annotations/{n}") });
    let copies: Vec<Value> =
        std::iter::once(json!({ "op": "add", "path": "/metadata/annotations", "value": {} })).chain((0..60).map(growing)).collect();
    assert!(run("copies that double", Patch::Json(copies.into())).is_err());
    let many = vec![json!({ "op": "test", "path": "/kind", "value": "Pod" }); 50_000];
    assert!(run("50000 operations", Patch::Json(many.into())).is_err());
    let config = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "spec": { "containers": containers } });
    let _ = run("10000 applied containers", Patch::Apply { config, force: true });
}

#[test]
fn expressions() {
    let list: Vec<u32> = (0..1000).collect();
    let variables = HashMap::from([("self", from_json(&json!({ "l": list, "s": "a".repeat(100_000) }), &Type::Dyn))]);
    let mut bombs = vec![
        "self.l.all(a, self.l.all(b, self.l.all(c, self.l.all(d, a + b + c + d >= 0))))".to_string(),
        "self.s.matches('(a+)+$') && self.s.matches('(a|aa)*b') || self.s.matches('(a*)*b')".to_string(),
        "self.l.map(a, self.s + self.s).size() > 0".to_string(),
        "self.l.map(a, self.l.map(b, self.l)).size() > 0".to_string(),
        "'a'.matches('((((a{1,100}){1,100}){1,100}){1,100})')".to_string(),
        "self.s.replace('a', self.s).size() > 0".to_string(),
        "self.l.map(x, self.s.split('')).size() > 0".to_string(),
        "self.s.format([self.s]) == ''".to_string(),
        "'%1000000000d'.format([1]) == ''".to_string(),
    ];
    bombs.push(
        (0..12).fold("self.s".into(), |inner: String, _| format!("[{inner}, {inner}].map(x, x + x)[0]")).chars().take(10_000).collect(),
    );
    for bomb in bombs {
        let short: String = bomb.chars().take(60).collect();
        let Ok(program) = within(&format!("compile {short}"), || Program::compile(&bomb)) else { continue };
        let _ = within(&format!("check {short}"), || program.check(&[("self", Type::Dyn)]));
        let _ = within(&format!("evaluate {short}"), || program.evaluate(&variables, &mut Budget::default()));
    }
    for text in ["(".repeat(10_000), "a.".repeat(5000) + "b", "[".repeat(9000), "1+".repeat(5000) + "1", "a?b:".repeat(2500) + "c"] {
        assert!(within("a deep expression", || Program::compile(&text)).is_err(), "{}", &text[..20]);
    }
    // Nots are counted, not nested.
    let nots = within("10000 nots", || Program::compile(&("!".repeat(10_000) + "true")));
    let _ = nots.map(|program| program.evaluate(&variables, &mut Budget::default()));
}

#[test]
fn definitions() {
    let body = |schema: Value| {
        json!({ "metadata": { "name": "as.b.example" }, "spec": { "group": "b.example", "scope": "Cluster", "names": { "plural": "as", "kind": "A" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }] } })
    };
    let with = |of: Value| body(json!({ "type": "object", "properties": { "spec": of } }));
    for pattern in ["(a+)+$", "(a|aa)*b", "((a{1,1000}){1,1000}){1,1000}", "[[[[", "(?=a)", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let definition = with(json!({ "type": "string", "pattern": pattern }));
        let Ok(object) = within(&format!("pattern {pattern}"), || create(kind("CustomResourceDefinition"), &definition)) else { continue };
        let kinds = within("its kind", || custom_kinds(&object)).expect("a kind");
        let text = json!({ "metadata": { "name": "x" }, "spec": "a".repeat(1_000_000) });
        let _ = within(&format!("{pattern} of a million letters"), || create(&kinds[0], &text));
    }
    let deep = (0..60).fold(json!({ "type": "string" }), |inner, _| json!({ "type": "array", "items": inner }));
    let _ = within("a deep schema", || create(kind("CustomResourceDefinition"), &with(deep)));
    let wide: serde_json::Map<String, Value> =
        (0..20_000).map(|n| (format!("p{n}"), json!({ "type": "string", "default": "x" }))).collect();
    let wide = with(json!({ "type": "object", "properties": wide }));
    let object = within("20000 properties", || create(kind("CustomResourceDefinition"), &wide)).expect("good");
    let kinds = within("their kind", || custom_kinds(&object)).expect("a kind");
    within("20000 defaults", || create(&kinds[0], &json!({ "metadata": { "name": "x" }, "spec": {} }))).expect("good");
    let set = with(json!({ "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "integer" } }));
    let object = create(kind("CustomResourceDefinition"), &set).expect("good");
    let kinds = custom_kinds(&object).expect("a kind");
    let numbers: Vec<u32> = (0..100_000).collect();
    within("a set of 100000", || create(&kinds[0], &json!({ "metadata": { "name": "x" }, "spec": numbers }))).expect("good");
    let rule = json!({ "rule": "self.all(a, self.all(b, self.all(c, a == b && b == c)))" });
    let costly = with(json!({ "type": "array", "items": { "type": "string" }, "x-kubernetes-validations": [rule] }));
    let said = within("a costly rule", || create(kind("CustomResourceDefinition"), &costly)).expect_err("too costly");
    assert!(said.contains("exceeds budget"), "{said}");
    let rules = vec![json!({ "rule": "true" }); 300];
    let _ = within("300 rules", || {
        create(kind("CustomResourceDefinition"), &with(json!({ "type": "object", "x-kubernetes-validations": rules })))
    });
}
