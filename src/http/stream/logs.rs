//! Container logs as a plain text answer.
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::stream;
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Streams what comes through `lines` until its senders are gone or `stop` fires. Nothing is gathered: a client that does not read
/// holds the sender up; a client that goes away closes the channel, which the sender sees.
pub fn logs_response(lines: mpsc::Receiver<Bytes>, stop: CancellationToken) -> HttpResponse {
    let body = stream::unfold((lines, stop), |(mut lines, stop)| async move {
        let next = tokio::select! {
            () = stop.cancelled() => None,
            next = lines.recv() => next,
        };
        next.map(|bytes| (Ok::<_, Infallible>(bytes), (lines, stop)))
    });
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain")).insert_header((CACHE_CONTROL, "no-cache, private")).streaming(body)
}
