//! The quickstart application: the documents' own kubia, applied at the first start.
use super::CliError;
use super::server::Server;
use crate::protocol::codec;

const MANIFESTS: &str = include_str!("../../config/quickstart/kubia.yaml");

/// Creates what is not there yet.
pub async fn apply(server: &Server) -> Result<(), CliError> {
    let told = |e: &dyn std::fmt::Display| CliError::failed(format!("the quickstart application cannot be created: {e}"));
    let kinds = &server.plane.kinds;
    for document in codec::yaml_documents(MANIFESTS.as_bytes()).map_err(|e| told(&e))? {
        let kind = document["kind"].as_str().unwrap_or_default();
        let served = kinds.iter().find(|s| s.kind.resource.kind == kind).ok_or_else(|| told(&format!("{kind} is not served")))?;
        let checked = served.decode(document.to_string().as_bytes()).map_err(|e| told(&e))?;
        match kinds.create(&served, "default", checked.value, false).await {
            Err(error) if error.reason != "AlreadyExists" => return Err(told(&error)),
            _ => {}
        }
    }
    Ok(())
}
