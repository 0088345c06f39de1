//! `impresario.dev/v1 Decision`: a line of the causal log, as the API shows it.
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The group of what is Impresario's own.
pub const GROUP: &str = "impresario.dev";

/// What a controller or the scheduler decided, why, and what moved it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub metadata: ObjectMeta,
    /// Who decided: `deployment`, `default-scheduler`.
    pub controller: String,
    /// The object that it decided about.
    pub about: ObjectReference,
    /// The reason, for people.
    pub why: String,
    /// The change that moved it; absent when time alone did, or a start of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What was done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Why all of it or a part could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A change of an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub object: ObjectReference,
    /// `Written` or `Deleted`.
    pub change: String,
}

/// Something that was done to an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// `create`, `delete`, `patch` or `bind`.
    pub verb: String,
    pub object: ObjectReference,
}
