//! Streams through the API: exec, attach, port-forward, logs.
pub mod spdy;
use crate::protocol::status::ApiError;
use crate::runtime::api::{SessionInput, SessionOutput};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
#[derive(Clone, Copy, Debug)]
pub struct ExecOptions { pub stdin: bool, pub stdout: bool, pub stderr: bool, pub tty: bool }
pub fn check_exec(_: &HttpRequest, _: &ExecOptions) -> Result<(), ApiError> { Ok(()) }
pub async fn exec_response(_: &HttpRequest, _: web::Payload, _: ExecOptions, _: (mpsc::Sender<SessionInput>, mpsc::Receiver<SessionOutput>), _: CancellationToken) -> Result<HttpResponse, ApiError> { Err(ApiError::not_implemented("exec")) }
pub async fn port_forward_response<F, Fut>(_: &HttpRequest, _: web::Payload, _: F, _: CancellationToken) -> Result<HttpResponse, ApiError> where F: Fn(u16) -> Fut + 'static, Fut: Future<Output = Result<tokio::io::DuplexStream, ApiError>> { Err(ApiError::not_implemented("port-forward")) }
pub fn log_response(mut chunks: mpsc::Receiver<Bytes>, stop: CancellationToken) -> HttpResponse {
    let body = async_stream(async move { tokio::select! { biased; () = stop.cancelled() => None, c = chunks.recv() => c.map(|c| (c, (chunks, stop))) } });
    body
}
fn async_stream<F>(_: F) -> HttpResponse { HttpResponse::NotImplemented().finish() }
