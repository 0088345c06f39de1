use super::*;
use crate::status::ApiError;
use serde_json::{Value, json};

const ALL: Offer = Offer { yaml: true, protobuf: true, shapes: true };
const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

#[test]
fn durations_read_as_kubectl_prints_them() {
    let cases = [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (18_720, "5h12m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (273_600, "3d4h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (66_096_000, "2y35d"),
        (252_288_000, "8y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(human_duration(seconds), text, "{seconds}");
    }
    assert_eq!(age(None, 5), "<unknown>");
    assert_eq!(age(Some(5), 12), "7s");
}

#[test]
fn kubectls_header_means_a_table() {
    assert_eq!(negotiate(KUBECTL, ALL).unwrap().shape, Shape::Table(MetaVersion::V1));
    assert_eq!(wants_table(KUBECTL), Some(MetaVersion::V1));
    let plain = negotiate(KUBECTL, Offer { shapes: false, ..ALL }).unwrap();
    assert_eq!((plain.shape, plain.encoding), (Shape::Object, Encoding::Json));
    assert_eq!(wants_table("application/json, */*"), None);
}

#[test]
fn preferences_decide_and_ties_go_by_order() {
    let choose = |accept| negotiate(accept, ALL).map(|m| m.encoding);
    assert_eq!(choose(""), Ok(Encoding::Json));
    assert_eq!(choose("*/*"), Ok(Encoding::Json));
    assert_eq!(choose("application/yaml;q=0.5, application/json;q=0.4"), Ok(Encoding::Yaml));
    assert_eq!(choose("*/*, application/yaml"), Ok(Encoding::Yaml));
    assert_eq!(choose("application/vnd.kubernetes.protobuf,application/json"), Ok(Encoding::Protobuf));
    assert_eq!(
        negotiate("application/vnd.kubernetes.protobuf,application/json", Offer { protobuf: false, ..ALL }).unwrap().encoding,
        Encoding::Json
    );
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    assert_eq!(negotiate(partial, ALL).unwrap().shape, Shape::PartialObject(MetaVersion::V1));
    assert!(negotiate("application/json;pretty=1", ALL).unwrap().pretty);
}

#[test]
fn what_cannot_be_had_is_406() {
    for accept in ["text/html", "application/json;q=0", "application/json;as=Table;g=meta.k8s.io;v=v7", "rubbish"] {
        let error = ApiError::from(negotiate(accept, ALL).unwrap_err());
        assert_eq!((error.code, error.reason.as_str()), (406, "NotAcceptable"));
        let expected =
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
        assert_eq!(error.message, expected);
    }
}

#[test]
fn a_table_is_written_around_raw_objects() {
    let columns = [Column::new("Name", "string", "name", "The name.", 0)];
    let meta = ListMeta { resource_version: "7", remaining: Some(3), ..Default::default() };
    let mut writer = TableWriter::new(MetaVersion::V1, Some(&columns), meta);
    let cell = json!("a");
    writer.row([&cell], RowObject::Metadata(&[b"{\"name\":\"a\",", b"\"resourceVersion\":\"5\"}"]));
    let head = writer.take();
    writer.row([&cell, &json!(2)], RowObject::Object(&[b"{\"kind\":\"X\"}"]));
    writer.row([], RowObject::None);
    let bytes = [head, writer.finish()].concat();
    let table: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(table["metadata"], json!({"resourceVersion": "7", "remainingItemCount": 3}));
    assert_eq!(table["columnDefinitions"][0]["type"], "string");
    assert_eq!(table["rows"][0]["object"]["apiVersion"], "meta.k8s.io/v1");
    assert_eq!(table["rows"][0]["object"]["metadata"]["resourceVersion"], "5");
    assert_eq!(table["rows"][1]["cells"], json!(["a", 2]));
    assert_eq!(table["rows"][1]["object"]["kind"], "X");
    assert_eq!(table["rows"][2]["object"], Value::Null);
    let event = TableWriter::new(MetaVersion::V1Beta1, None, ListMeta::default()).finish();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["columnDefinitions"], Value::Null);
}
