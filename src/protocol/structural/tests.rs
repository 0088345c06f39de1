use super::*;
use crate::cel::Budget;
use serde_json::json;
use std::time::{Duration, Instant};

fn schema(properties: Value) -> Structural {
    Structural::parse(&json!({"type": "object", "properties": {"spec": properties}})).unwrap()
}

fn said(value: Value, s: &Structural) -> Vec<String> {
    validate(&value, s, "").iter().map(ToString::to_string).collect()
}

fn assert_said(cases: impl IntoIterator<Item = (Value, Value, &'static str)>) {
    for (properties, value, words) in cases {
        let found = said(json!({ "spec": value }), &schema(properties.clone()));
        assert_eq!(found.first().map(String::as_str), Some(words), "{properties}");
    }
}

#[test]
fn scalars_are_judged_in_upstream_s_words() {
    assert_said([
        (json!({"type": "integer"}), json!("x"), r#"spec: Invalid value: "string": spec in body must be of type integer: "string""#),
        (json!({"type": "string"}), json!(null), r#"spec: Invalid value: "null": spec in body must be of type string: "null""#),
        (json!({"type": "integer", "maximum": 3}), json!(4), "spec: Invalid value: 4: spec in body should be less than or equal to 3"),
        (
            json!({"type": "integer", "maximum": 3, "exclusiveMaximum": true}),
            json!(3),
            "spec: Invalid value: 3: spec in body should be less than 3",
        ),
        (
            json!({"type": "number", "minimum": 0.5}),
            json!(0.1),
            "spec: Invalid value: 0.1: spec in body should be greater than or equal to 0.5",
        ),
        (json!({"type": "integer", "multipleOf": 5}), json!(7), "spec: Invalid value: 7: spec in body should be a multiple of 5"),
        (json!({"type": "string", "maxLength": 2}), json!("abc"), "spec: Too long: may not be more than 2 bytes"),
        (
            json!({"type": "string", "minLength": 2}),
            json!("a"),
            r#"spec: Invalid value: "a": spec in body should be at least 2 chars long"#,
        ),
        (json!({"type": "string", "pattern": "^a+$"}), json!("b"), r#"spec: Invalid value: "b": spec in body should match '^a+$'"#),
        (json!({"type": "string", "enum": ["a", "b"]}), json!("c"), r#"spec: Unsupported value: "c": supported values: "a", "b""#),
        (
            json!({"type": "string", "format": "ipv4"}),
            json!("1.2"),
            r#"spec: Invalid value: "1.2": spec in body must be of type ipv4: "1.2""#,
        ),
    ]);
}

#[test]
fn lists_objects_and_logic_are_judged_in_upstream_s_words() {
    assert_said([
        (
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            json!(["a", "b"]),
            "spec: Too many: 2: must have at most 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!([]),
            "spec: Invalid value: 0: spec in body should have at least 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!([1]),
            r#"spec[0]: Invalid value: "integer": spec[0] in body must be of type string: "integer""#,
        ),
        (json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}), json!({}), "spec.a: Required value"),
        (
            json!({"type": "object", "minProperties": 1}),
            json!({}),
            "spec: Invalid value: 0: spec in body should have at least 1 properties",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            json!({"k": "v"}),
            r#"spec.k: Invalid value: "string": spec.k in body must be of type integer: "string""#,
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            r#"spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"a": "x", "b": "y"}),
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
        ),
        (
            json!({"type": "string", "not": {"pattern": "^x"}}),
            json!("xy"),
            r#"<nil>: Invalid value: "": "spec" must not validate the schema (not)"#,
        ),
    ]);
    let any = schema(json!({"type": "integer", "anyOf": [{"minimum": 10}, {"maximum": 1}]}));
    assert!(said(json!({"spec": 5}), &any)[0].contains("must validate at least one schema (anyOf)"));
    for good in [json!(12), json!(0), json!(1.0)] {
        assert_eq!(said(json!({ "spec": good }), &any), Vec::<String>::new());
    }
}

#[test]
fn formats_are_told_apart() {
    for (format, good, bad) in [
        ("date-time", "2024-01-01T00:00:00Z", "2024-13-01T00:00:00Z"),
        ("date", "2024-02-29", "2023-02-29"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/40"),
        ("byte", "aGVsbG8=", "%%"),
        ("duration", "1h30m", "soon"),
        ("hostname", "a.example.com", "-x"),
        ("uri", "https://example.com/x", "no uri"),
        ("email", "a@example.com", "a"),
    ] {
        assert!(formats::fits(format, good) && !formats::fits(format, bad), "{format}");
    }
}

#[test]
fn lists_that_are_sets_or_maps_have_no_duplicates() {
    let set = schema(json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}));
    assert_eq!(check_lists(&json!({"spec": ["a", "b", "a"]}), &set, "")[0].to_string(), r#"spec[2]: Duplicate value: "a""#);
    let map = schema(json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "integer"}}},
    }));
    let twice = json!({"spec": [{"name": "a", "v": 1}, {"name": "a", "v": 2}]});
    assert_eq!(check_lists(&twice, &map, "")[0].to_string(), r#"spec[1]: Duplicate value: {"name":"a"}"#);
}

#[test]
fn pruning_and_defaults() {
    let s = Structural::parse(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "a": {"type": "integer", "default": 7},
            "n": {"type": "string", "nullable": true, "default": "x"},
            "m": {"type": "string", "default": "y"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object", "properties": {}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"v": {"type": "integer", "default": 1}}}},
            "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
        }},
    }}))
    .unwrap();
    let mut object = json!({
        "apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x"}, "junk": 1,
        "spec": {"n": null, "m": null, "b": 1, "free": {"x": {"y": 1}, "known": {"z": 1}}, "map": {"k": {"w": 1}}, "pod": {"kind": "Pod", "x": 1}, "list": [{"k": "1", "j": 2}]},
    });
    let mut unknown = Vec::new();
    prune(&mut object, &s, true, &mut unknown, 100);
    assert_eq!(unknown, ["spec.free.known.z", "spec.list[0].j", "spec.map.k.w", "spec.b", "junk"]);
    apply_defaults(&mut object, &s);
    let once = object.clone();
    apply_defaults(&mut object, &s);
    assert_eq!(object, once);
    assert_eq!(object["spec"]["a"], 7);
    assert_eq!((&object["spec"]["n"], &object["spec"]["m"]), (&json!(null), &json!("y")));
    assert_eq!(object["spec"]["map"]["k"], json!({"v": 1}));
    assert_eq!(object["spec"]["free"], json!({"known": {}, "x": {"y": 1}}));
    assert_eq!(object["metadata"]["name"], "x");
}

#[test]
fn what_is_not_structural_is_said() {
    let cases = [
        (json!({"properties": {"a": {}}}), "s.type: Required value: must not be empty at the root"),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            "s.properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (json!({"type": "object", "properties": {"a": {"type": "array"}}}), "s.properties[a].items: Required value: must be specified"),
        (json!({"type": "object", "anyOf": [{"type": "object"}]}), "s.anyOf[0].type: Forbidden: must be empty to be structural"),
        (
            json!({"type": "object", "allOf": [{"properties": {"b": {}}}]}),
            "s.properties[b]: Required value: because it is defined in s.allOf[0].properties[b]",
        ),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
            "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
            "s.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: ",
        ),
        (json!({"type": "object", "additionalProperties": true}), "s.additionalProperties: Forbidden: must not be used at the root"),
    ];
    for (schema, words) in cases {
        let errors: Vec<String> = check_structural(&Structural::parse(&schema).unwrap(), "s").iter().map(ToString::to_string).collect();
        assert!(errors.iter().any(|e| e.starts_with(words)), "{schema}: {errors:?}");
    }
    let good = json!({"type": "object", "properties": {"p": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}}});
    assert!(check_structural(&Structural::parse(&good).unwrap(), "s").is_empty());
    let bad_default = json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}, "o": {"type": "object", "default": {"z": 1}, "properties": {}}}});
    let errors: Vec<String> = check_defaults(&Structural::parse(&bad_default).unwrap(), "s").iter().map(ToString::to_string).collect();
    assert!(errors[0].contains("must be of type integer") && errors[1].contains("must not have unknown fields"), "{errors:?}");
}

fn rules_of(schema: &Value) -> (CompiledRules, Structural) {
    let s = Structural::parse(schema).unwrap();
    let found = compile_rules(&s, "s");
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    (found.rules.unwrap(), s)
}

#[test]
fn rules_judge_values_and_transitions() {
    let (rules, _) = rules_of(&json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {
            "min": {"type": "integer"}, "max": {"type": "integer"},
            "fixed": {"type": "string", "maxLength": 20, "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is immutable", "reason": "FieldValueForbidden"}]},
            "once": {"type": "string", "maxLength": 20, "x-kubernetes-validations": [{"rule": "oldSelf.hasValue() || self == 'first'", "optionalOldSelf": true}]},
        },
        "x-kubernetes-validations": [
            {"rule": "self.min <= self.max", "messageExpression": "'min ' + string(self.min) + ' is above max'", "fieldPath": ".min"},
        ],
    }}}));
    let judge = |new: Value, old: Option<Value>| -> Vec<String> {
        evaluate_rules(&rules, &new, old.as_ref(), &mut Budget::default()).iter().map(ToString::to_string).collect()
    };
    assert_eq!(judge(json!({"spec": {"min": 1, "max": 2, "fixed": "a", "once": "first"}}), None), Vec::<String>::new());
    assert_eq!(judge(json!({"spec": {"min": 3, "max": 2}}), None), [r#"spec.min: Invalid value: "object": min 3 is above max"#]);
    let old = json!({"spec": {"min": 1, "max": 2, "fixed": "a"}});
    assert_eq!(judge(json!({"spec": {"min": 1, "max": 2, "fixed": "b"}}), Some(old)), ["spec.fixed: Forbidden: fixed is immutable"]);
    assert_eq!(
        judge(json!({"spec": {"min": 1, "max": 2, "once": "x"}}), None),
        [r#"spec.once: Invalid value: "string": failed rule: oldSelf.hasValue() || self == 'first'"#]
    );
    // What was wrong before and stays as it is, is let be.
    let bad = json!({"spec": {"min": 3, "max": 2}});
    assert_eq!(judge(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"min": 3, "max": 2}}), Some(bad)), Vec::<String>::new());
    assert_eq!(
        judge(json!({"spec": {"min": 1}}), None),
        [r#"spec: Invalid value: "object": no such key: max evaluating rule: self.min <= self.max"#]
    );
}

#[test]
fn rules_that_cannot_be_are_refused_with_their_definition() {
    let with = |rule: &str| {
        json!({"type": "object", "properties": {"spec": {
            "type": "object",
            "properties": {"l": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "s": {"type": "string"}},
            "x-kubernetes-validations": [{"rule": rule}],
        }}})
    };
    for (rule, words) in [
        ("self.nosuch == 1", "undefined field 'nosuch'"),
        ("self.s", "cel expression must evaluate to a bool"),
        ("self.s ==", "Syntax error"),
        ("", "rule is not specified"),
        ("self.l.all(a, a.all(b, self.l.all(c, c.all(d, d == b))))", "exceeds budget by factor of more than 100x"),
    ] {
        let found = compile_rules(&Structural::parse(&with(rule)).unwrap(), "s");
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        assert!(
            errors[0].starts_with("s.properties[spec].x-kubernetes-validations[0].rule:") && errors[0].contains(words),
            "{rule}: {errors:?}"
        );
    }
}

#[test]
fn hostile_schemas_and_objects_take_bounded_time() {
    let begun = Instant::now();
    let mut deep = json!({"type": "string"});
    for _ in 0..90 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(Structural::parse(&deep).is_ok());
    assert_eq!(Structural::parse(&json!({"type": "object", "properties": {"x": {"type": "object", "properties": {"x": deep.clone(), "y": {"items": {"items": {"items": {"items": {"items": {"items": {"items": {"items": {"items": deep}}}}}}}}}}}}})).unwrap_err(), ParseError::TooDeep);
    let bomb =
        Structural::parse(&json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "((((a{100}){100}){100}){100})"}}}))
            .unwrap();
    assert!(check_structural(&bomb, "s")[0].to_string().contains("must be a valid regular expression"));
    let slow = schema(json!({"type": "string", "pattern": "^(a|aa)+$"}));
    assert_eq!(said(json!({"spec": format!("{}b", "a".repeat(100_000))}), &slow).len(), 1);
    let many: Vec<Value> = (0..2000).map(|n| json!({"minimum": n + 1_000_000})).collect();
    let wide = schema(json!({"type": "array", "items": {"type": "integer", "anyOf": many}}));
    let items: Vec<u32> = (0..50_000).collect();
    assert!(!said(json!({ "spec": items }), &wide).is_empty());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
