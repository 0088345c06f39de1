//! Answers as HTTP has them: headers, and bodies that go out as fast as their readers take them.
use super::gateway::Answer;
use super::outflow::{Outflow, STALL_LIMIT, pieces, watching};
use super::render;
use super::watch::WatchStream;
use crate::http::audit::Record;
use crate::http::listener::Cutoff;
use crate::protocol::protobuf;
use crate::protocol::status::ApiError;
use crate::protocol::table::Encoding;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// What every answer says about caching.
const NOT_CACHED: HeaderValue = HeaderValue::from_static("no-cache, private");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Bodies above this go out in pieces, and hold their request's seat until the last one.
const LARGE: usize = 256 * 1024;

/// A whole answer. `seat` is given back when nothing of the answer is left here.
pub(super) fn whole(answer: Answer, seat: Option<OwnedSemaphorePermit>, cutoff: Option<&Cutoff>) -> HttpResponse {
    let mut response = builder(answer.code);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type)));
    response.insert_header((header::CACHE_CONTROL, NOT_CACHED));
    if !answer.etag.is_empty() {
        response.insert_header((header::ETAG, answer.etag));
        response.insert_header((header::VARY, "Accept"));
    }
    if answer.gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    for value in warning_headers(&answer.warnings) {
        response.append_header((header::WARNING, value));
    }
    match cutoff {
        Some(cutoff) if answer.body.len() > LARGE => {
            response.no_chunking(answer.body.len() as u64);
            response.streaming(Outflow::new(pieces(answer.body, seat), cutoff.clone(), STALL_LIMIT))
        }
        _ => response.body(answer.body),
    }
}

/// Upstream's bounds: when all warnings together pass the first, each is cut to the second, and the rest is left out.
const ALL_WARNINGS: usize = 4 * 1024;
const ONE_WARNING: usize = 256;

/// `299 - "unknown field \"spec.foo\""`, within bounds that clients' header limits allow.
fn warning_headers(warnings: &[String]) -> Vec<HeaderValue> {
    let cut = warnings.iter().map(String::len).sum::<usize>() > ALL_WARNINGS;
    let mut left = ALL_WARNINGS;
    let mut values = Vec::new();
    for warning in warnings {
        let text = quoted(if cut { warning.get(..warning.floor_char_boundary(ONE_WARNING)).unwrap_or_default() } else { warning });
        if cut && text.len() > left {
            break;
        }
        left = left.saturating_sub(text.len());
        values.extend(HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()));
    }
    values
}

/// The inside of a quoted string in a header; what a header cannot hold becomes a space.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn watch_response(
    stream: WatchStream,
    stop: CancellationToken,
    record: Option<Record>,
    cutoff: Option<&Cutoff>,
) -> HttpResponse {
    let content_type = HeaderValue::from_static(stream.content_type());
    let warnings = warning_headers(&stream.warnings);
    let chunks = watching(stream, stop, record);
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, content_type)).insert_header((header::CACHE_CONTROL, NOT_CACHED));
    for value in warnings {
        response.append_header((header::WARNING, value));
    }
    match cutoff {
        Some(cutoff) => response.streaming(Outflow::new(chunks, cutoff.clone(), STALL_LIMIT)),
        None => response.streaming(chunks),
    }
}

/// An error as a `Status` body; protobuf for clients that take nothing else.
pub fn error_response(error: &ApiError, accept: &str) -> HttpResponse {
    let mut response = builder(error.code);
    // Clients ask again by themselves, before anybody hears of it, when they are told after how long: right under load, wrong where
    // somebody has decided, as a disruption budget does.
    let pause = match &error.details {
        Some(details) => details.retry_after_seconds,
        None => u32::from(error.code == 429),
    };
    if pause > 0 {
        response.insert_header((header::RETRY_AFTER, pause.to_string()));
    }
    response.insert_header((header::CACHE_CONTROL, NOT_CACHED));
    let status = error.to_status();
    if render::media(accept).is_ok_and(|media| media.encoding == Encoding::Protobuf)
        && let Ok(bytes) = protobuf::from_json(&status)
    {
        return response.insert_header((header::CONTENT_TYPE, protobuf::MEDIA_TYPE)).body(bytes);
    }
    response.insert_header((header::CONTENT_TYPE, JSON)).body(status.to_string())
}

fn builder(code: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}
