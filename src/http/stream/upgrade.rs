//! From a request to a raw or framed byte stream: what upgrade is asked for, which protocol is agreed on.
use crate::http::listener::UPGRADE_WAS;
use crate::protocol::status::ApiError;
use actix_web::http::header::{CONNECTION, HeaderMap, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::Stream;
use std::convert::Infallible;
use tokio::sync::mpsc;

/// The header in which SPDY clients offer, and we choose, a stream protocol.
const STREAM_PROTOCOL: &str = "X-Stream-Protocol-Version";
/// Pieces of output that wait for the connection.
const OUTPUT_QUEUE: usize = 8;
/// The largest websocket message taken, bytes. Clients send some 32 KiB at a time.
const MAX_MESSAGE: usize = 1024 * 1024;

/// How a client wants its streams carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeKind {
    Spdy,
    WebSocket,
}

/// What upgrade the request asks for, `None` for a plain request.
pub fn upgrade_kind(req: &HttpRequest) -> Option<UpgradeKind> {
    let headers = req.headers();
    if !tokens(headers, CONNECTION.as_str()).any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return None;
    }
    if tokens(headers, UPGRADE_WAS).any(|token| token.eq_ignore_ascii_case("SPDY/3.1")) {
        return Some(UpgradeKind::Spdy);
    }
    tokens(headers, UPGRADE.as_str()).any(|token| token.eq_ignore_ascii_case("websocket")).then_some(UpgradeKind::WebSocket)
}

/// [`upgrade_kind`], with upstream's 400 for a plain request.
pub fn require_upgrade(req: &HttpRequest) -> Result<UpgradeKind, ApiError> {
    upgrade_kind(req).ok_or_else(|| ApiError::bad_request("Upgrade request required"))
}

/// The comma-separated parts of a header that may come several times.
fn tokens<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|t| !t.is_empty())
}

/// A SPDY upgrade that was agreed to: the answer to give, and the raw bytes both ways.
pub(super) struct SpdyUpgrade {
    pub response: HttpResponse,
    /// The client's first choice that we know; the last of ours when it named none.
    pub protocol: &'static str,
    pub input: web::Payload,
    /// Dropping all its clones ends the connection.
    pub output: mpsc::Sender<Bytes>,
}

/// Agrees on a protocol. A client that names none is from before the negotiation and gets the last of `known`.
pub(super) fn open_spdy(req: &HttpRequest, payload: web::Payload, known: &'static [&'static str]) -> Result<SpdyUpgrade, ApiError> {
    let offered: Vec<&str> = tokens(req.headers(), STREAM_PROTOCOL).collect();
    let agreed = offered.iter().find_map(|offer| known.iter().find(|protocol| *protocol == offer));
    let protocol = match agreed {
        Some(protocol) => protocol,
        None if offered.is_empty() => known.last().copied().unwrap_or_default(),
        None => {
            let (theirs, ours) = (offered.join(" "), known.join(" "));
            let why = format!("unable to upgrade: unable to negotiate protocol: client supports [{theirs}], server accepts [{ours}]");
            return Err(ApiError::new(403, "Forbidden", why));
        }
    };
    let (output, body) = mpsc::channel(OUTPUT_QUEUE);
    let mut response = HttpResponse::SwitchingProtocols();
    response.upgrade("SPDY/3.1");
    if !offered.is_empty() {
        response.insert_header((STREAM_PROTOCOL, protocol));
    }
    Ok(SpdyUpgrade { response: response.streaming(receiver_stream(body)), protocol, input: payload, output })
}

/// A websocket that was agreed to.
pub(super) struct WebSocketUpgrade {
    pub response: HttpResponse,
    /// Empty when the client named none.
    pub protocol: &'static str,
    pub session: actix_ws::Session,
    pub messages: actix_ws::AggregatedMessageStream,
}

/// Agrees on a subprotocol. A client that names none is served with the protocol called "".
pub(super) fn open_websocket(
    req: &HttpRequest,
    payload: web::Payload,
    known: &'static [&'static str],
) -> Result<WebSocketUpgrade, ApiError> {
    let offered: Vec<&str> = tokens(req.headers(), SEC_WEBSOCKET_PROTOCOL.as_str()).collect();
    let agreed = offered.iter().find_map(|offer| known.iter().find(|protocol| *protocol == offer)).copied();
    if agreed.is_none() && !offered.is_empty() {
        let (theirs, ours) = (offered.join(" "), known.join(" "));
        return Err(ApiError::bad_request(format!(
            "unable to upgrade: client supports websocket protocols [{theirs}], server accepts [{ours}]"
        )));
    }
    let (response, session, messages) = actix_ws::handle_with_protocols(req, payload, known)
        .map_err(|error| ApiError::bad_request(format!("unable to upgrade: {error}")))?;
    let messages = messages.max_frame_size(MAX_MESSAGE).aggregate_continuations().max_continuation_size(MAX_MESSAGE);
    Ok(WebSocketUpgrade { response, protocol: agreed.unwrap_or_default(), session, messages })
}

/// A bounded channel's receiver as a stream that cannot fail.
pub(super) fn receiver_stream(rx: mpsc::Receiver<Bytes>) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
    Box::pin(futures_util::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|bytes| (Ok(bytes), rx)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    fn kind(headers: &[(&'static str, &'static str)]) -> Option<UpgradeKind> {
        let request = headers.iter().fold(TestRequest::get(), |request, header| request.append_header(*header));
        upgrade_kind(&request.to_http_request())
    }

    #[test]
    fn upgrades_are_told_apart() {
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&[("Upgrade", "websocket")]), None);
        assert_eq!(kind(&[("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket")]), Some(UpgradeKind::WebSocket));
        assert_eq!(kind(&[("Connection", "Upgrade"), ("Upgrade", "websocket"), (UPGRADE_WAS, "SPDY/3.1")]), Some(UpgradeKind::Spdy));
        assert_eq!(kind(&[("Connection", "Upgrade"), ("Upgrade", "h2c")]), None);
    }

    #[actix_web::test]
    async fn the_clients_first_known_protocol_is_taken() {
        const KNOWN: &[&str] = &["v4.channel.k8s.io", "channel.k8s.io"];
        async fn open(offers: &[&'static str]) -> Result<&'static str, ApiError> {
            let request = offers.iter().fold(TestRequest::post(), |request, offer| request.append_header((STREAM_PROTOCOL, *offer)));
            let (request, mut payload) = request.to_http_parts();
            let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
            open_spdy(&request, payload, KNOWN).map(|upgrade| upgrade.protocol)
        }
        assert_eq!(open(&["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"]).await, Ok("v4.channel.k8s.io"));
        assert_eq!(open(&[]).await, Ok("channel.k8s.io"));
        assert_eq!(open(&["x"]).await.unwrap_err().code, 403);
    }
}
