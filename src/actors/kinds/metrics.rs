//! `metrics.k8s.io/v1beta1`: NodeMetrics and PodMetrics. They are made from the newest figures when asked for; nobody writes them.
use super::columns::{Column, NAME, name};
use super::{Body, Kind, PLAIN};
use crate::protocol::codec::kinds::{NODE_METRICS, POD_METRICS};
use crate::protocol::quantity::Quantity;
use crate::protocol::resource::Resource;
use serde_json::Value;

pub use crate::protocol::metrics::GROUP;

/// The version of the group that is served.
pub const VERSION: &str = "v1beta1";

/// `nodes.metrics.k8s.io`
pub static NODES: Kind = Kind {
    resource: resource("NodeMetrics", "nodes", false),
    body: Body::Typed(&NODE_METRICS),
    schema: "NodeMetrics",
    rules: PLAIN,
    columns: COLUMNS,
    row: |o, _| vec![name(o), total([&o["usage"]], "cpu"), total([&o["usage"]], "memory"), o["window"].clone()],
    view: None,
};

/// `pods.metrics.k8s.io`
pub static PODS: Kind = Kind {
    resource: resource("PodMetrics", "pods", true),
    body: Body::Typed(&POD_METRICS),
    schema: "PodMetrics",
    rules: PLAIN,
    columns: COLUMNS,
    row: |o, _| {
        let of = |resource: &str| total(o["containers"].as_array().into_iter().flatten().map(|c| &c["usage"]), resource);
        vec![name(o), of("cpu"), of("memory"), o["window"].clone()]
    },
    view: None,
};

const fn resource(kind: &'static str, plural: &'static str, namespaced: bool) -> Resource {
    let (short_names, verbs): (&[&str], &[&str]) = (&[], &["get", "list"]);
    Resource {
        group: GROUP,
        version: VERSION,
        kind,
        plural,
        singular: "",
        namespaced,
        short_names,
        categories: &[],
        verbs,
        subresources: &[],
    }
}

/// What metrics-server prints.
const COLUMNS: &[Column] = &[
    NAME,
    Column::new("cpu", "string", "quantity", "", 0),
    Column::new("memory", "string", "quantity", "", 0),
    Column::new("Window", "string", "duration", "", 0),
];

/// The sum over usages.
fn total<'a>(usages: impl IntoIterator<Item = &'a Value>, resource: &str) -> Value {
    let parsed = usages.into_iter().filter_map(|usage| usage[resource].as_str()?.parse::<Quantity>().ok());
    parsed.reduce(|sum, next| sum.add(&next)).unwrap_or_default().to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_add_containers_up() {
        let pod = json!({ "metadata": { "name": "p" }, "window": "15.2s", "containers": [
            { "name": "a", "usage": { "cpu": "1500000n", "memory": "20Ki" } }, { "name": "b", "usage": { "cpu": "500u", "memory": "2Mi" } },
        ] });
        assert_eq!((PODS.row)(&pod, 0), [json!("p"), json!("2m"), json!("2068Ki"), json!("15.2s")]);
        let node = json!({ "metadata": { "name": "n" }, "window": "1s", "usage": { "cpu": "7n", "memory": "1Gi" } });
        assert_eq!((NODES.row)(&node, 0), [json!("n"), json!("7n"), json!("1Gi"), json!("1s")]);
    }
}
