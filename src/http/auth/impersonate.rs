//! Acting as somebody else: `Impersonate-*` headers, each of which needs the right to it.
use super::User;
use crate::actors::authority::Authorizer;
use crate::protocol::authority::{Attributes, account_groups, account_of};
use crate::protocol::status::ApiError;
use crate::protocol::user::{AUTHENTICATED, UNAUTHENTICATED};
use actix_web::http::header::HeaderMap;
use std::collections::BTreeMap;
use std::sync::Arc;

const EXTRA: &str = "impersonate-extra-";

/// Who is meant, as the headers say it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meant {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// The user that a request is to be judged as: the one that the headers name, if the real one may act as that.
///
/// # Errors
/// 403 without the right; 500, as upstream has it, when the headers name groups but no user.
pub fn impersonated(authorizer: &Authorizer, real: Arc<User>, headers: &HeaderMap) -> Result<Arc<User>, ApiError> {
    let Some(meant) = Meant::parse(headers)? else { return Ok(real) };
    let check = |wanted: Attributes<'_>| authorizer.authorize(&real, &Attributes { verb: "impersonate", version: "v1", ..wanted });
    let authentication = Attributes { group: "authentication.k8s.io", ..Default::default() };
    let mut groups = meant.groups.clone();
    match account_of(&meant.user) {
        Some((namespace, name)) => {
            check(Attributes { resource: "serviceaccounts", namespace, name, ..Default::default() })?;
            if groups.is_empty() {
                groups = account_groups(namespace).into();
            }
        }
        None => check(Attributes { resource: "users", name: &meant.user, ..Default::default() })?,
    }
    for group in &meant.groups {
        check(Attributes { resource: "groups", name: group, ..Default::default() })?;
    }
    for (key, values) in &meant.extra {
        for value in values {
            check(Attributes { resource: "userextras", subresource: key, name: value, ..authentication })?;
        }
    }
    if !meant.uid.is_empty() {
        check(Attributes { resource: "uids", name: &meant.uid, ..authentication })?;
    }
    let is_in = |group: &str| groups.iter().any(|g| g == group);
    match meant.user == User::anonymous().name {
        true if !is_in(UNAUTHENTICATED) => groups.push(UNAUTHENTICATED.into()),
        false if !is_in(AUTHENTICATED) && !is_in(UNAUTHENTICATED) => groups.push(AUTHENTICATED.into()),
        _ => {}
    }
    tracing::debug!(real = real.name, as_user = meant.user, "acting as somebody else");
    Ok(Arc::new(User { name: meant.user, uid: meant.uid, groups, extra: meant.extra }))
}

impl Meant {
    /// `None` when nobody is meant.
    fn parse(headers: &HeaderMap) -> Result<Option<Meant>, ApiError> {
        let mut meant = Meant::default();
        for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("impersonate-")) {
            let value = String::from_utf8(value.as_bytes().to_vec());
            let value = value.map_err(|_| ApiError::bad_request(format!("the header {name} is not valid UTF-8")))?;
            match name.as_str() {
                "impersonate-user" if meant.user.is_empty() => meant.user = value,
                "impersonate-uid" if meant.uid.is_empty() => meant.uid = value,
                "impersonate-group" => meant.groups.push(value),
                other => {
                    if let Some(key) = other.strip_prefix(EXTRA) {
                        meant.extra.entry(unescaped(key)).or_default().push(value);
                    }
                }
            }
        }
        if !meant.user.is_empty() {
            return Ok(Some(meant));
        }
        if meant == Meant::default() {
            return Ok(None);
        }
        Err(ApiError::internal("requested groups, extra fields or a uid without impersonating a user"))
    }
}

/// Keys of extra fields may hold what a header's name cannot: it is percent-encoded there.
fn unescaped(key: &str) -> String {
    crate::http::api::unescape_path(key).unwrap_or_else(|_| key.into()).to_ascii_lowercase()
}
