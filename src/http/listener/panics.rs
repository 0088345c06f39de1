//! A panic in a handler costs that request, not the worker.
use crate::protocol::status::ApiError;
use actix_http::body::{BoxBody, MessageBody};
use actix_http::header::{CONTENT_TYPE, HeaderValue};
use actix_http::{Request, Response, StatusCode};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory};
use futures_util::FutureExt;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Wraps a service so that a panic in it becomes the 500 `Status` that upstream's panic filter gives.
pub(super) fn answered<S, B>(
    service: S,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Response<B>,
    Error = Response<BoxBody>,
    InitError = S::InitError,
    Future: 'static,
    Service: Service<Request, Response = Response<B>, Error = Response<BoxBody>, Future: 'static>,
>
where
    S: ServiceFactory<Request, Config = ()> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::Response: Into<Response<B>> + 'static,
    S::Future: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let service = service.map_err(Into::<Response<BoxBody>>::into);
    apply_fn_factory(service, |request: Request, service: &_| {
        let path = request.path().to_string();
        // The call may panic before there is a future, and the future may panic when it is polled.
        let called = catch_unwind(AssertUnwindSafe(|| Service::call(service, request)));
        async move {
            let outcome = match called {
                Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            match outcome {
                Ok(answer) => answer.map(Into::into),
                Err(panic) => Err(apology(&path, panic)),
            }
        }
    })
}

fn apology(path: &str, panic: Box<dyn Any + Send>) -> Response<BoxBody> {
    let what = panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(path, panic = what.unwrap_or_default(), "a handler panicked");
    let error = ApiError::new(500, "InternalError", "This request caused apiserver to panic. Look in the logs for details.");
    let mut response = Response::with_body(StatusCode::INTERNAL_SERVER_ERROR, BoxBody::new(error.to_status().to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
