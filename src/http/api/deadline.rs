//! How long a request may take: a minute, or what its client says, if that is less. Watches and connections take as long as they take.
use super::gateway::verb_of;
use super::options::Query;
use super::path::RequestPath;
use crate::protocol::duration::go_duration;
use crate::protocol::status::ApiError;
use actix_web::HttpRequest;
use std::time::Duration;

/// Upstream's `--request-timeout`.
const LONGEST: Duration = Duration::from_secs(60);

/// The limit of a request; `None` for a watch.
///
/// # Errors
/// 400 when the client's own limit is no duration.
pub fn of(request: &HttpRequest, path: &RequestPath) -> Result<Option<Duration>, ApiError> {
    let text = request.query_string();
    if text.is_empty() && !matches!(path, RequestPath::Resource(target) if target.watch_prefix) {
        return Ok(Some(LONGEST));
    }
    let query = Query::parse(text)?;
    if let RequestPath::Resource(target) = path
        && verb_of(request.method().as_str(), target, &query)? == "watch"
    {
        return Ok(None);
    }
    let wrong = |why: String| ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}"));
    match query.get("timeout") {
        "" => Ok(Some(LONGEST)),
        given => {
            let seconds = go_duration(given).map_err(wrong)?;
            // Nothing and less is no limit of the client's.
            let own = Duration::try_from_secs_f64(seconds).ok().filter(|own| !own.is_zero());
            Ok(Some(own.map_or(LONGEST, |own| own.min(LONGEST))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::parse_path;
    use actix_web::test::TestRequest;

    fn limit(uri: &str) -> Result<Option<u64>, String> {
        let request = TestRequest::get().uri(uri).to_http_request();
        let path = parse_path(request.path()).expect("a path");
        of(&request, &path).map(|limit| limit.map(|l| u64::try_from(l.as_millis()).expect("a minute at most"))).map_err(|e| e.message)
    }

    #[test]
    fn a_minute_or_less() {
        assert_eq!(limit("/api/v1/pods"), Ok(Some(60_000)));
        assert_eq!(limit("/api/v1/pods?timeout=1m30s"), Ok(Some(60_000)));
        assert_eq!(limit("/api/v1/pods?limit=1&timeout=1.5s250ms"), Ok(Some(1_750)));
        assert_eq!(limit("/api/v1/pods?timeout=0"), Ok(Some(60_000)));
        assert_eq!(limit("/api/v1/pods?timeout=-3s"), Ok(Some(60_000)));
        assert_eq!(limit("/api/v1/pods?watch=1&timeout=5s"), Ok(None));
        assert_eq!(limit("/api/v1/watch/pods"), Ok(None));
    }

    #[test]
    fn what_is_no_duration_is_told_in_gos_words() {
        let said = |given: &str| limit(&format!("/api/v1/pods?timeout={given}")).expect_err("refused");
        assert_eq!(said("10"), "invalid timeout specified in the request URL - time: missing unit in duration \"10\"");
        assert_eq!(said("ever"), "invalid timeout specified in the request URL - time: invalid duration \"ever\"");
        assert_eq!(said("3d"), "invalid timeout specified in the request URL - time: unknown unit \"d\" in duration \"3d\"");
    }
}
