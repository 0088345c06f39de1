//! From a URL path to what it is about: upstream's request info.
use crate::protocol::status::ApiError;
use std::borrow::Cow;

/// What a path is about.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestPath {
    /// An object or a collection.
    Resource(Target),
    /// Anything else: discovery, health, metrics, documents.
    Other,
}

/// The resource that a path names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    pub group: String,
    pub version: String,
    pub resource: String,
    /// Empty: cluster-scoped, or all namespaces.
    pub namespace: String,
    /// Empty: the collection.
    pub name: String,
    /// `status`, `scale`, `log`, …; empty for the object itself.
    pub subresource: String,
    /// The deprecated `/watch/` prefix.
    pub watch_prefix: bool,
}

/// Takes a path apart. Percent-encoded parts are decoded; a part that decodes to nothing sensible is an error.
pub fn parse_path(path: &str) -> Result<RequestPath, ApiError> {
    let parts: Vec<Cow<'_, str>> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect::<Result<_, _>>()?;
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Ok(RequestPath::Other),
    };
    let mut target = Target { group: group.into(), version: version.into(), ..Default::default() };
    let rest = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => {
            target.watch_prefix = true;
            rest
        }
        rest => rest,
    };
    let rest = match rest {
        // `namespaces/x` is the namespace itself; `namespaces/x/status` and `…/finalize` are its subresources.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => rest,
        ["namespaces", namespace, rest @ ..] => {
            target.namespace = (*namespace).into();
            rest
        }
        rest => rest,
    };
    match rest {
        [resource] => target.resource = (*resource).into(),
        [resource, name] => (target.resource, target.name) = ((*resource).into(), (*name).into()),
        [resource, name, subresource, ..] => {
            (target.resource, target.name) = ((*resource).into(), (*name).into());
            target.subresource = (*subresource).into();
        }
        [] => return Ok(RequestPath::Other),
    }
    Ok(RequestPath::Resource(target))
}

/// Decodes `%XX`; in queries, `+` as well, is the caller's business.
pub fn decode(part: &str) -> Result<Cow<'_, str>, ApiError> {
    if !part.contains('%') {
        return Ok(Cow::Borrowed(part));
    }
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        if byte != b'%' {
            out.push(byte);
            i += 1;
            continue;
        }
        let digits = bytes.get(i + 1..i + 3).and_then(|d| std::str::from_utf8(d).ok());
        let Some(value) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) else {
            return Err(ApiError::bad_request(format!("invalid URL escape in \"{part}\"")));
        };
        out.push(value);
        i += 3;
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| ApiError::bad_request(format!("\"{part}\" is not valid UTF-8")))
}
