//! The page, as it is in `dashboard/`, embedded in the binary. It holds no secret, and loads nothing from elsewhere.
use crate::protocol::status::ApiError;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use ring::digest::{SHA256, digest};
use std::sync::LazyLock;

/// The page may load only what is served beside it, be framed by nobody, and send nothing anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Path behind `/dashboard`, media type, bytes.
type Asset = (&'static str, &'static str, &'static [u8]);

const ASSETS: &[Asset] = &[
    ("/", HTML, include_bytes!("../../../dashboard/index.html")),
    ("/style.css", STYLE, include_bytes!("../../../dashboard/style.css")),
    ("/icon.svg", PICTURE, include_bytes!("../../../dashboard/icon.svg")),
    ("/main.js", SCRIPT, include_bytes!("../../../dashboard/main.js")),
    ("/connection.js", SCRIPT, include_bytes!("../../../dashboard/connection.js")),
    ("/state.js", SCRIPT, include_bytes!("../../../dashboard/state.js")),
    ("/words.js", SCRIPT, include_bytes!("../../../dashboard/words.js")),
    ("/dom.js", SCRIPT, include_bytes!("../../../dashboard/dom.js")),
    ("/panels.js", SCRIPT, include_bytes!("../../../dashboard/panels.js")),
    ("/tree.js", SCRIPT, include_bytes!("../../../dashboard/tree.js")),
];

/// An entity tag for each asset: pages are asked for again at every visit, and rarely sent.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(|(_, _, body)| tag_of(body)).collect());

fn tag_of(body: &[u8]) -> String {
    let digest = digest(&SHA256, body);
    format!("\"{}\"", hex::encode(digest.as_ref().iter().copied().take(12).collect::<Vec<u8>>()))
}

/// The file at a path behind `/dashboard`, or 304 when the browser has it.
pub(super) fn answer(path: &str, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let found = ASSETS.iter().zip(TAGS.iter()).find(|((at, _, _), _)| *at == path);
    let ((_, media, body), tag) = found.ok_or_else(not_found)?;
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let fresh = known.split(',').any(|k| k.trim() == tag);
    let mut response = if fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, tag.clone()))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"));
    if fresh {
        return Ok(response.finish());
    }
    Ok(response.insert_header((header::CONTENT_TYPE, *media)).body(*body))
}

/// The 404 of a path that is not part of the dashboard.
pub(super) fn not_found() -> ApiError {
    ApiError::new(404, "NotFound", "the server could not find the requested resource")
}
