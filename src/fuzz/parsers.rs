//! Everything else that reads what somebody else wrote: bodies, selectors, paths, expressions.
use super::corpus::Corpus;
use super::mutate::{Source, bytes, text};
use super::objects::Outcome;
use super::odd;
use super::random::Random;
use super::strict;
use crate::actors::kinds::Kind;
use crate::http::api::{Continue, Query, delete_options, parse_path, unescape_path};
use crate::http::audit::{Policy, Request};
use crate::protocol::apply::{fieldset, managed};
use crate::protocol::cel::{Budget, Program, Type, from_json, to_json};
use crate::protocol::codec::{yaml_documents, yaml_to_json};
use crate::protocol::jsonpath::JsonPath;
use crate::protocol::protobuf;
use crate::protocol::quantity::Quantity;
use crate::protocol::selector::{FieldSelector, LabelSelector};
use crate::protocol::structural::{
    Structural, apply_defaults, check_defaults, check_embedded, check_lists, check_structural, compile_rules, prune, validate,
};
use crate::protocol::table::{Offer, negotiate, wants_table};
use crate::protocol::user::User;
use serde_json::{Value, json};
use std::collections::HashMap;

pub type Target = fn(&mut Random, &Corpus) -> Outcome<()>;

pub const TARGETS: &[(&str, Target)] = &[
    ("json", json_body),
    ("yaml", yaml_body),
    ("protobuf", protobuf_body),
    ("label selector", label_selector),
    ("field selector", field_selector),
    ("quantity", quantity),
    ("query", query),
    ("path", path),
    ("fields", fields),
    ("cel", expression),
    ("schema", schema),
    ("jsonpath", jsonpath),
    ("audit policy", audit_policy),
    ("accept", accept),
    ("unknown fields", strict::unknown),
    ("double fields", strict::doubled),
];

fn kind<'a>(random: &mut Random, corpus: &'a Corpus) -> (&'a Kind, &'a Value) {
    let seeded = random.pick(&corpus.kinds);
    // A kind without seeds is a finding of its own: it gets a body that it must refuse.
    (&*seeded.kind, seeded.bodies.get(random.below(seeded.bodies.len())).unwrap_or(&Value::Null))
}

fn json_body(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let (kind, seed) = kind(random, corpus);
    let body = bytes(random, seed.to_string().as_bytes());
    decoded(kind, &body)
}

/// What was decoded once is decoded as the same again.
fn decoded(kind: &Kind, body: &[u8]) -> Outcome<()> {
    let Ok(checked) = kind.check(body) else { return Ok(()) };
    let mut shown = checked.value.clone();
    kind.show(&mut shown);
    match kind.check_value(&shown) {
        Err(error) => Err(format!("a decoded object can't be decoded: {error}")),
        Ok(again) if kind.view.is_none() && again.value != checked.value => Err("decoding twice gives two objects".into()),
        Ok(_) => Ok(()),
    }
}

fn yaml_body(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let seed = random.word(&corpus.texts);
    let body = bytes(random, seed.as_bytes());
    let _ = yaml_documents(&body);
    let Ok(json) = yaml_to_json(&body) else { return Ok(()) };
    let value: Value = serde_json::from_slice(&json).map_err(|e| format!("YAML became broken JSON: {e}"))?;
    let found = corpus.kinds.iter().find(|s| value["kind"] == s.kind.resource.kind);
    found.map_or(Ok(()), |seeded| decoded(&seeded.kind, &json))
}

/// One of these texts, changed.
pub fn one_of(random: &mut Random, seeds: &[&'static str]) -> String {
    let seed = random.word(seeds);
    text(random, seed)
}

fn protobuf_body(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let (kind, seed) = kind(random, corpus);
    let Ok(body) = protobuf::from_json(seed) else { return Ok(()) };
    match protobuf::to_json(&bytes(random, &body)) {
        Ok(value) => decoded(kind, value.to_string().as_bytes()),
        Err(_) => Ok(()),
    }
}

fn label_selector(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] =
        &["a=b", "a==b,c!=d", "a in (b, c),d notin (e)", "!a,b", "a.example/b=c", "a>1,b<2", "", "a in (,b)", "x notin ()"];
    let given = one_of(random, SEEDS);
    if let Ok(selector) = LabelSelector::parse(&given) {
        let _ = selector.matches_value(&json!({ "a": "b", "c": "é" }));
        for requirement in selector.requirements() {
            if !requirement.key().is_ascii() || requirement.key().is_empty() {
                return Err(format!("a key that no label can have: {given:?}"));
            }
        }
    }
    let mut object = json!({ "matchLabels": { "a": "b" }, "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }] });
    object["matchExpressions"][0]["operator"] = odd::word(random).into();
    object["matchLabels"] = odd::value(random);
    let _ = LabelSelector::from_object(&object);
    Ok(())
}

fn field_selector(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &["metadata.name=a", "a!=b,c==d", r"a=b\,c\\\=", "spec.nodeName=", "=", ","];
    if let Ok(selector) = FieldSelector::parse(&one_of(random, SEEDS)) {
        let _ = selector.check_fields(&["metadata.name"]);
        let _ = selector.matches(|field| Some(field.to_string().into()));
    }
    Ok(())
}

fn quantity(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        "1",
        "100m",
        "1.5Gi",
        "1e3",
        "1E-3",
        "-5",
        "+0.5",
        "1Ei",
        "12345678901234567890",
        "0.000000001",
        ".5",
        "5.",
        "1n",
        "9223372036854775807Ei",
    ];
    let given = one_of(random, SEEDS);
    let Ok(parsed) = given.parse::<Quantity>() else { return Ok(()) };
    let written = parsed.to_string();
    let again: Quantity = written.parse().map_err(|e| format!("{given:?} became {written:?}: {e}"))?;
    if again.compare(&parsed).is_ne() || again.to_string() != written {
        return Err(format!("{given:?} became {written:?}, then {again}"));
    }
    let other: Quantity = random.word(SEEDS).parse().unwrap_or_default();
    let _ = (parsed.value(), parsed.milli_value(), parsed.rounded_to_milli(), parsed.is_whole(), parsed.add(&other), parsed.sub(&other));
    Ok(())
}

fn query(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        "labelSelector=a%3Db&limit=5&continue=x",
        "dryRun=All&fieldManager=m&force=true",
        "watch=1&resourceVersion=5&timeoutSeconds=9",
        "propagationPolicy=Orphan&gracePeriodSeconds=0",
        "a=%zz&&=&b",
        "pretty&pretty=false&fieldValidation=Strict",
    ];
    if let Ok(query) = Query::parse(&one_of(random, SEEDS)) {
        let _ = (query.flag("watch"), query.number("limit"), query.dry_run("PatchOptions"), query.field_validation("PatchOptions"));
        let _ = query.all("command");
        let body = json!({ "gracePeriodSeconds": odd::value(random), "preconditions": { "uid": odd::value(random) } });
        let body = if random.one_in(2) { bytes(random, body.to_string().as_bytes()) } else { Vec::new() };
        let _ = delete_options(&body, &query);
    }
    let _ = Continue::decode(&text(random, "eyJ2IjoiaW1wcmVzYXJpby92MSIsInJ2IjoxLCJucyI6IiIsInN0YXJ0IjoiYSJ9"));
    Ok(())
}

fn path(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        "/api/v1/namespaces/x/pods/y/log",
        "/apis/apps/v1/watch/namespaces/x/deployments",
        "/api/v1/namespaces/x/status",
        "/healthz",
        "//",
        "/api/v1/namespaces/%2e%2e/pods",
        "/apis//v1/x",
        "/api/v1/namespaces/x/services/https:y:80/proxy/a/b",
    ];
    let given = one_of(random, SEEDS);
    let _ = (parse_path(&given).is_ok(), unescape_path(&given).is_ok());
    Ok(())
}

fn fields(random: &mut Random, _: &Corpus) -> Outcome<()> {
    let seed = json!({
        "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
        "f:spec": { "f:containers": { "k:{\"name\":\"c\"}": { ".": {}, "f:image": {} } }, "f:tags": { "v:\"a\"": {}, "v:1.5": {} }, "i:3": {} },
    });
    let Ok(given) = serde_json::from_slice::<Value>(&bytes(random, seed.to_string().as_bytes())) else { return Ok(()) };
    if let Ok(set) = fieldset::from_value(&given) {
        let written = fieldset::to_value(&set);
        let again = fieldset::from_value(&written).map_err(|e| format!("a set that was written can't be read: {e}: {written}"))?;
        if again != set {
            return Err(format!("{given} became {written}"));
        }
    }
    let mut entry = json!({ "manager": "m", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": given });
    if random.one_in(2) {
        let field = *random.pick(&["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"]);
        entry[field] = odd::value(random);
    }
    let _ = managed::check(&json!([entry]));
    Ok(())
}

fn expression(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        "self.replicas <= 10",
        "has(self.a) && self.a.b[0] == 'x'",
        "self.items.all(x, x.name.startsWith('a'))",
        "self.map(x, x * 2).size() > 3",
        "self.a.matches('^a+$') ? 1 : 2u",
        "quantity('1Gi').isGreaterThan(quantity('1M'))",
        "duration('1h') + timestamp('2026-01-01T00:00:00Z')",
        "[1, 2.5, 'a', b'c', null, {'k': true}]",
        "self.?a.orValue('x')",
        "url('https://a/b').getHost()",
        "'a,b'.split(',').join('-').replace('a', 'b')",
        "ip('1.2.3.4').family() == 4",
        "1 / 0",
        "9223372036854775807 + 1",
        "self.x.exists_one(y, y in [1, 2])",
        "string(1) + 'é'.substring(0, 1)",
        "int('9e9')",
        "format.named('dns1123Label').value().validate('a')",
        "semver('1.2.3').major()",
        "self.list.sum()",
        "'%d %s'.format([1, 'a'])",
    ];
    let given = one_of(random, SEEDS);
    let Ok(program) = Program::compile(&given) else { return Ok(()) };
    let _ = program.check(&[("self", Type::Dyn)]);
    let mut object = random.pick(&corpus.bodies)["spec"].clone();
    object["items"] = json!([{ "name": "a" }]);
    let variables = HashMap::from([("self", from_json(&object, &Type::Dyn)), ("object", from_json(&odd::value(random), &Type::Dyn))]);
    match program.evaluate(&variables, &mut Budget::default()) {
        Ok(value) => drop(to_json(&value)),
        Err(fault) if fault.to_string().contains("internal error") => return Err(format!("a library function panics: {given:?}")),
        Err(_) => {}
    }
    Ok(())
}

fn schema(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let definition = corpus.bodies.iter().find(|b| b["kind"] == "CustomResourceDefinition").ok_or("no definition")?;
    let mut given = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    let source = Source { models: &corpus.models, seeds: &corpus.bodies };
    let described = corpus.models.definition("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    source.object(random, &mut given, described);
    let Ok(schema) = Structural::parse(&given) else { return Ok(()) };
    let _ = (check_structural(&schema, "s"), check_defaults(&schema, "s"));
    let mut object = corpus.bodies.iter().find(|b| b["kind"] == "CronTab").ok_or("no object")?.clone();
    source.object(random, &mut object, None);
    prune(&mut object, &schema, true, &mut Vec::new(), 100);
    apply_defaults(&mut object, &schema);
    let mut again = object.clone();
    apply_defaults(&mut again, &schema);
    if again != object {
        return Err("a schema's defaults are not idempotent".into());
    }
    let errors = [validate(&object, &schema, ""), check_lists(&object, &schema, ""), check_embedded(&object, &schema)].concat();
    let _ = compile_rules(&schema, "s");
    match errors.iter().find(|e| e.to_string().is_empty()) {
        Some(_) => Err("a finding without words".into()),
        None => Ok(()),
    }
}

fn jsonpath(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        ".spec.containers[0].name",
        "{.items[*].metadata['a.b']}",
        "..name",
        ".x[?(@.type==\"Ready\")].status",
        ".x[-1:]",
        ".x[0:2:1]",
        "$.a",
        r".a\.b",
    ];
    if let Ok(path) = JsonPath::parse(&one_of(random, SEEDS)) {
        let _ = path.find(random.pick(&corpus.bodies));
        let _ = path.fields();
    }
    Ok(())
}

fn audit_policy(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEED: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n  users: [a]\n  resources: [{group: '', resources: [pods, '*/log'], resourceNames: [a]}]\n- level: None\n  nonResourceURLs: ['/healthz*']\n";
    if let Ok(policy) = Policy::parse("policy", &text(random, SEED)) {
        let request = Request { verb: "get".into(), uri: format!("/{}", odd::word(random)), ..Request::default() };
        let _ = policy.decide(&User::new("a", []), &request);
    }
    Ok(())
}

fn accept(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "*/*;q=0.5",
        "application/vnd.kubernetes.protobuf;q=\"1\"",
        "application/yaml",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1;stream=watch;pretty=1",
    ];
    let given = one_of(random, SEEDS);
    let _ = negotiate(&given, Offer { yaml: true, protobuf: true, shapes: true });
    let _ = wants_table(&given);
    Ok(())
}
