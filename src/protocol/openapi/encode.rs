//! From the swagger 2.0 document as JSON to its protobuf form. What the messages have no field for is left out.
use super::proto::*;
use serde_json::{Map, Value};

/// The protobuf form of a whole document.
pub fn document(json: &Value) -> Document {
    let info = Info { title: text(&json["info"], "title"), version: text(&json["info"], "version") };
    let path = entries(&json["paths"]).map(|(name, value)| NamedPathItem { name: name.clone(), value: Some(path_item(value)) });
    Document {
        swagger: text(json, "swagger"),
        info: Some(info),
        paths: Some(Paths { path: path.collect() }),
        definitions: Some(named(&json["definitions"])),
    }
}

fn path_item(json: &Value) -> PathItem {
    let of = |method: &str| json.get(method).map(operation);
    PathItem { get: of("get"), put: of("put"), post: of("post"), delete: of("delete"), patch: of("patch"), parameters: parameters(json) }
}

fn operation(json: &Value) -> Operation {
    let response = |(code, value): (&String, &Value)| {
        let schema = value.get("schema").map(|schema_json| SchemaItem { schema: Some(schema(schema_json)) });
        let response = Response { description: text(value, "description"), schema };
        NamedResponse { name: code.clone(), value: Some(ResponseValue { response: Some(response) }) }
    };
    Operation {
        tags: texts(json, "tags"),
        description: text(json, "description"),
        operation_id: text(json, "operationId"),
        produces: texts(json, "produces"),
        consumes: texts(json, "consumes"),
        parameters: parameters(json),
        responses: Some(Responses { response_code: entries(&json["responses"]).map(response).collect() }),
        schemes: texts(json, "schemes"),
        vendor_extension: extensions(json),
    }
}

fn parameters(json: &Value) -> Vec<ParametersItem> {
    let list = json.get("parameters").and_then(Value::as_array).into_iter().flatten();
    list.map(|json| ParametersItem { parameter: Some(parameter(json)) }).collect()
}

fn parameter(json: &Value) -> Parameter {
    let (required, place, name) = (flag(json, "required"), text(json, "in"), text(json, "name"));
    let (description, kind, unique_items) = (text(json, "description"), text(json, "type"), flag(json, "uniqueItems"));
    match place.as_str() {
        "body" => {
            let body = BodyParameter { name, place, required, schema: json.get("schema").map(schema) };
            Parameter { body: Some(body), non_body: None }
        }
        "path" => {
            let path = PathParameter { required, place, description, name, kind, unique_items };
            Parameter { body: None, non_body: Some(NonBodyParameter { query: None, path: Some(path) }) }
        }
        _ => {
            let query = QueryParameter { required, place, description, name, kind, unique_items };
            Parameter { body: None, non_body: Some(NonBodyParameter { query: Some(query), path: None }) }
        }
    }
}

/// One schema.
pub fn schema(json: &Value) -> Schema {
    let number = |key: &str| json.get(key).and_then(Value::as_f64).unwrap_or_default();
    let count = |key: &str| json.get(key).and_then(Value::as_i64).unwrap_or_default();
    let list = |key: &str| json.get(key).and_then(Value::as_array).into_iter().flatten();
    let kind = text(json, "type");
    Schema {
        reference: text(json, "$ref"),
        format: text(json, "format"),
        description: text(json, "description"),
        maximum: number("maximum"),
        minimum: number("minimum"),
        max_length: count("maxLength"),
        min_length: count("minLength"),
        pattern: text(json, "pattern"),
        max_items: count("maxItems"),
        min_items: count("minItems"),
        required: texts(json, "required"),
        allowed: list("enum").map(|value| Any { yaml: value.to_string() }).collect(),
        additional_properties: json.get("additionalProperties").map(|value| match value {
            Value::Bool(allowed) => Box::new(AdditionalProperties { schema: None, boolean: Some(*allowed) }),
            other => Box::new(AdditionalProperties { schema: Some(schema(other)), boolean: None }),
        }),
        kind: (!kind.is_empty()).then(|| TypeItem { value: vec![kind] }),
        items: json.get("items").map(|items| ItemsItem { schema: vec![schema(items)] }),
        all_of: list("allOf").map(schema).collect(),
        properties: json.get("properties").map(named),
        vendor_extension: extensions(json),
    }
}

fn named(json: &Value) -> Named {
    Named { entries: entries(json).map(|(name, value)| NamedSchema { name: name.clone(), value: Some(schema(value)) }).collect() }
}

fn extensions(json: &Value) -> Vec<NamedAny> {
    let own = entries(json).filter(|(key, _)| key.starts_with("x-"));
    own.map(|(key, value)| NamedAny { name: key.clone(), value: Some(Any { yaml: value.to_string() }) }).collect()
}

fn entries(json: &Value) -> impl Iterator<Item = (&String, &Value)> {
    json.as_object().into_iter().flat_map(Map::iter)
}

fn text(json: &Value, key: &str) -> String {
    json.get(key).and_then(Value::as_str).unwrap_or_default().to_string()
}

fn texts(json: &Value, key: &str) -> Vec<String> {
    let list = json.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|value| value.as_str().map(str::to_string)).collect()
}

fn flag(json: &Value, key: &str) -> bool {
    json.get(key).and_then(Value::as_bool).unwrap_or_default()
}
