use super::kinds::*;
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn body(value: Value) -> Vec<u8> {
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let pod = json!({"metadata": {"name": "a", "creationTimestamp": null, "labels": {}}, "spec": {"containers": [{"name": "c", "imagge": "x"}], "nodeName": ""}});
    let checked = POD.check(&body(pod)).unwrap();
    assert_eq!(checked.unknown, ["spec.containers[0].imagge"]);
    let want = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}});
    assert_eq!(checked.value, want);
    assert_eq!(
        checked.strict_error(&POD).unwrap().to_string(),
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].imagge\""
    );
}

#[test]
fn duplicates_are_named_and_the_last_counts() {
    let text = br#"{"metadata":{"name":"a","labels":{"x":"1","x":"2"}},"spec":{"replicas":1,"replicas":2,"template":{"spec":{"containers":[{"name":"a","name":"b"}]}}}}"#;
    let checked = DEPLOYMENT.check(text).unwrap();
    assert_eq!(checked.duplicate, ["metadata.labels.x", "spec.replicas", "spec.template.spec.containers[0].name"]);
    assert_eq!(checked.value["spec"]["replicas"], 2);
}

#[test]
fn quantities_become_canonical_but_labels_do_not() {
    let pod = json!({"metadata": {"labels": {"limits": "1024Mi"}}, "spec": {"containers": [{"name": "c", "resources":
        {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "1000m", "example.com/x": 2}}}],
        "nodeSelector": {"protocol": "", "sizeLimit": "x"}, "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "2048Ki"}}]}});
    let value = POD.check(&body(pod)).unwrap().value;
    assert_eq!(
        value["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "1", "example.com/x": "2"}})
    );
    assert_eq!(value["spec"]["volumes"][0]["emptyDir"]["sizeLimit"], "2Mi");
    assert_eq!(value["metadata"]["labels"]["limits"], "1024Mi");
    assert_eq!(value["spec"]["nodeSelector"], json!({"protocol": "", "sizeLimit": "x"}));
    let bad = json!({"spec": {"hard": {"pods": "many"}}});
    assert!(RESOURCE_QUOTA.check(&body(bad)).unwrap_err().to_string().contains("quantities must match the regular expression"));
    let elsewhere = [
        (&HORIZONTAL_POD_AUTOSCALER, json!({"spec": {"behavior": {"scaleUp": {"tolerance": "x"}}}})),
        (&RESOURCE_SLICE, json!({"spec": {"devices": [{"name": "d", "capacity": {"memory": {"value": "x"}}}]}})),
        (&RESOURCE_SLICE, json!({"spec": {"devices": [{"name": "d", "capacity": {"a": {"requestPolicy": {"validValues": ["x"]}}}}]}})),
        (&CSI_STORAGE_CAPACITY, json!({"storageClassName": "s", "capacity": "x"})),
    ];
    for (codec, bad) in elsewhere {
        assert!(codec.check(&body(bad)).unwrap_err().to_string().contains("quantities must match the regular expression"));
    }
}

#[test]
fn the_protocol_of_a_load_balancers_port_stays() {
    let status = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ports": [{"port": 80}]}]}});
    let value = INGRESS.check(&body(json!({"status": status}))).unwrap().value;
    assert_eq!(value["status"]["loadBalancer"]["ingress"][0]["ports"][0], json!({"port": 80, "protocol": ""}));
}

#[test]
fn wrong_types_in_upstreams_words() {
    let cases: [(&Codec, &str, &str); 9] = [
        (
            &DEPLOYMENT,
            r#"{"spec":{"replicas":"a"}}"#,
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field Deployment.spec.replicas of type int32",
        ),
        (&POD, r#"{"spec":{"containers":[{"name":1}]}}"#, "Go struct field Pod.spec.containers[0].name of type string"),
        (&POD, r#"{"spec":{"containers":"x"}}"#, "cannot unmarshal string into Go struct field Pod.spec.containers of type"),
        (&POD, r#"{"apiVersion":"v2"}"#, "the API version in the data (v2) does not match the expected API version (v1)"),
        (&POD, r#"{"kind":"Service"}"#, "Service in version \"v1\" cannot be handled as a Pod"),
        (&POD, r#"{"metadata":{"creationTimestamp":"x"}}"#, "parsing time \"x\" as"),
        (&SECRET, r#"{"data":{"a":"*"}}"#, "illegal base64 data at input byte 0"),
        (&POD, "{", "unexpected end of JSON input"),
        (&POD, "{]", "invalid character ']' looking for beginning of object key string"),
    ];
    for (codec, text, want) in cases {
        let error = codec.check(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(POD.check(deep.as_bytes()).is_err());
}

#[test]
fn goes_leniencies() {
    let secret = SECRET.check(br#"{"kind":"","metadata":{"annotations":{"a":null}},"data":{"a":"aGVs\nbG8="}}"#).unwrap();
    assert_eq!(secret.value["data"]["a"], "aGVsbG8=");
    assert_eq!(secret.value["metadata"]["annotations"]["a"], "");
    let service =
        SERVICE.check(br#"{"spec":{"clusterIP":"","ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8080}]}}"#).unwrap();
    assert_eq!(service.value["spec"], json!({"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8080}]}));
}

#[test]
fn every_codec_takes_an_empty_object_and_its_own_output() {
    for codec in ALL {
        let Ok(once) = codec.check(b"{}") else { continue };
        assert_eq!(codec.check_value(&once.value).unwrap().value, once.value, "{codec:?}");
        assert!((codec.schema_name)().ends_with(codec.kind));
    }
    assert_eq!(super::codec("apps/v1", "Deployment").map(|c| c.kind), Some("Deployment"));
}

#[test]
fn stored_bytes_and_splice() {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "status": 1, "data": {"a\"": "b"}, "spec": 2,
        "metadata": {"name": "n", "managedFields": [], "resourceVersion": "7", "uid": "u", "labels": {"b": "1", "a": "2"},
            "creationTimestamp": "1970-01-01T00:00:10Z", "ownerReferences": [{"uid": "o", "kind": "K", "controller": true}]}});
    let (bytes, splice) = encode(&value);
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.starts_with(r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"creationTimestamp""#), "{text}");
    assert!(text.ends_with(r#""managedFields":[]},"spec":2,"data":{"a\"":"b"},"status":1}"#), "{text}");
    let spliced = format!("{}\"resourceVersion\":\"7\",{}", &text[..splice as usize], &text[splice as usize..]);
    assert_eq!(serde_json::from_str::<Value>(&spliced).unwrap(), value);
    let (key, meta) = meta_of(&value);
    assert_eq!((key.to_string(), meta.created, meta.label("a"), meta.deleting), ("n".into(), 10, Some("2"), None));
    assert_eq!(meta.controller().map(|o| &*o.uid), Some("o"));
}

#[test]
fn yaml_with_bounds() {
    let json = yaml_to_json(b"a: &x {b: 1.0, 2: yes}\nc:\n  <<: *x\n  b: 3\n").unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), r#"{"a":{"2":"yes","b":1},"c":{"2":"yes","b":3}}"#);
    let error = yaml_to_json(b"a: 1\nb: 2\na: 3\n").unwrap_err().to_string();
    assert!(error.contains("key \"a\" already set in map"), "{error}");
    let mut bomb = format!("a: &a [{}]\nb: [", "1,".repeat(3000));
    bomb.push_str(&"*a,".repeat(3000));
    bomb.push(']');
    assert!(yaml_to_json(bomb.as_bytes()).unwrap_err().to_string().contains("aliasing"));
    assert_eq!(yaml_documents(b"---\na: 1\n---\n---\nb: 2\n").unwrap().len(), 2);
}

proptest! {
    #[test]
    fn strange_bytes_never_panic(text in "[\\[\\]{}\":,a0 \\\\nul]{0,40}") {
        let _ = POD.check(text.as_bytes());
        let _ = yaml_to_json(text.as_bytes());
    }
}
