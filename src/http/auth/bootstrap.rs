//! Bootstrap tokens: `id.secret`, kept in Secrets of `kube-system`, for machines that are to become nodes.
use super::User;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::parse_seconds;
use crate::storage::Shelf;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::Value;

const TYPE: &str = "bootstrap.kubernetes.io/token";
const GROUP: &str = "system:bootstrappers";

/// Who holds this token, if it is a good one; `now` in seconds since the epoch.
pub fn recognise(secrets: &Shelf, token: &str, now: i64) -> Option<User> {
    let (id, secret) = parts(token)?;
    let entry = secrets.snapshot().get(&ObjectKey::new("kube-system", format!("bootstrap-token-{id}"))).cloned()?;
    if entry.meta.deleting.is_some() {
        return None;
    }
    user_of(&entry.parse(), id, secret, now)
}

/// `abcdef.0123456789abcdef`
fn parts(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let good = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (good(id, 6) && good(secret, 16)).then_some((id, secret))
}

fn user_of(object: &Value, id: &str, secret: &str, now: i64) -> Option<User> {
    let text = |key: &str| -> Option<String> { String::from_utf8(STANDARD.decode(object["data"][key].as_str()?).ok()?).ok() };
    // Digests are compared, so that the time tells nothing about how much of the secret was right.
    let same = |a: &str, b: &str| digest(&SHA256, a.as_bytes()).as_ref() == digest(&SHA256, b.as_bytes()).as_ref();
    if object["type"] != TYPE || text("token-id")? != id || !same(&text("token-secret")?, secret) {
        return None;
    }
    // A time that cannot be read counts as passed.
    if text("expiration").is_some_and(|end| parse_seconds(&end).is_none_or(|end| end <= now)) {
        return None;
    }
    if text("usage-bootstrap-authentication")? != "true" {
        return None;
    }
    let mut groups = vec![GROUP.to_string()];
    for group in text("auth-extra-groups").unwrap_or_default().split(',').filter(|g| !g.is_empty()) {
        if !extra_group(group) {
            return None;
        }
        groups.push(group.into());
    }
    Some(User::new(format!("system:bootstrap:{id}"), groups))
}

/// Groups below the one that all bootstrap tokens have, and no others.
fn extra_group(group: &str) -> bool {
    let Some(name) = group.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix(':')) else { return false };
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 256 && name.bytes().all(|b| good(b) || matches!(b, b':' | b'-')) && name.bytes().last().is_some_and(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(change: impl FnOnce(&mut Value)) -> Value {
        let mut plain = json!({
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
            "expiration": "2026-01-01T00:00:00Z", "auth-extra-groups": "system:bootstrappers:workers",
        });
        change(&mut plain);
        let encode = |v: &Value| STANDARD.encode(v.as_str().unwrap_or_default());
        let data: serde_json::Map<String, Value> = plain.as_object().unwrap().iter().map(|(k, v)| (k.clone(), encode(v).into())).collect();
        json!({ "type": TYPE, "data": data })
    }

    #[test]
    fn good_and_bad_tokens() {
        let now = parse_seconds("2025-12-31T00:00:00Z").unwrap();
        let user = |object: &Value, now| user_of(object, "abcdef", "0123456789abcdef", now);
        let good = user(&secret(|_| {}), now).expect("a good token");
        assert_eq!(good.name, "system:bootstrap:abcdef");
        assert_eq!(good.groups, ["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"]);
        assert_eq!(user(&secret(|_| {}), now + 2 * 86_400), None, "expired");
        assert_eq!(user_of(&secret(|_| {}), "abcdef", "0123456789abcdeg", now), None);
        assert_eq!(user(&secret(|s| s["usage-bootstrap-authentication"] = "false".into()), now), None);
        assert_eq!(user(&secret(|s| s["auth-extra-groups"] = "system:masters".into()), now), None, "no way up");
        assert_eq!(parts("abcdef.0123456789abcdef"), Some(("abcdef", "0123456789abcdef")));
        assert_eq!(parts("ABCDEF.0123456789abcdef"), None);
    }
}
