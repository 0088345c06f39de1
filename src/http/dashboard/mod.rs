//! To come.
use crate::actors::base::Registry;
use crate::actors::mesh::MeshServer;
use crate::http::api::Gateway;
use crate::http::auth::User;
use crate::protocol::status::ApiError;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
pub struct Dashboard {}
impl Dashboard {
    pub fn new(_: Arc<Gateway>, _: Registry, _: Arc<MeshServer>, _: CancellationToken) -> Self {
        Dashboard {}
    }
    pub fn owns(path: &str) -> bool {
        path.starts_with("/dashboard")
    }
    pub async fn serve(&self, _: &User, _: &HttpRequest, _: web::Payload) -> Result<HttpResponse, ApiError> {
        Err(ApiError::not_implemented("the dashboard"))
    }
}
pub fn token_of(_: &HeaderMap) -> Option<String> {
    None
}
