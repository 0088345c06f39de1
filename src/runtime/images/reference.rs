//! Image references: parsed strictly, written out in full.
//!
//! The grammar is that of the `distribution` project, which Docker, containerd and Kubernetes share:
//! `[domain[:port]/]path[:tag][@digest]`, with `docker.io/library/` and `:latest` filled in.
use super::error::{ImageError, Result};
use std::fmt;

/// A fully qualified image reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// Host and port of the registry.
    pub registry: String,
    /// The path in the registry, `library/busybox`.
    pub repository: String,
    /// `None` only where a digest is given.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
}

/// Upstream's limit for domain and path together.
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

impl ImageRef {
    /// Parses what stands in a pod's `image`; the error is upstream's text.
    pub fn parse(name: &str) -> Result<ImageRef> {
        parse(name).map_err(|why| ImageError::InvalidName { name: name.to_owned(), why })
    }

    /// `registry/repository`, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// `registry/repository@digest` for a manifest digest.
    pub fn with_digest(&self, digest: &str) -> String {
        format!("{}@{digest}", self.name())
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        // With a digest the tag says nothing more: upstream drops it when it looks the image up.
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(f, "@{digest}"),
            (None, Some(tag)) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

fn parse(name: &str) -> std::result::Result<ImageRef, String> {
    let invalid = || "invalid reference format".to_owned();
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (name, None),
    };
    if digest.is_none() && is_hex(rest, 64) {
        return Err(format!("invalid repository name ({rest}), cannot specify 64-byte hexadecimal strings"));
    }
    if let Some(digest) = digest
        && !is_digest(digest)
    {
        return Err(invalid());
    }
    // A colon after the last slash is a tag, one before it a port.
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(invalid());
    }
    let (registry, repository) = split_domain(path);
    if !is_domain(&registry) {
        return Err(invalid());
    }
    if repository.chars().any(|c| c.is_ascii_uppercase()) && is_path(&repository.to_ascii_lowercase()) {
        return Err("invalid reference format: repository name must be lowercase".to_owned());
    }
    if !is_path(&repository) {
        return Err(invalid());
    }
    if registry.len() + repository.len() + 1 > NAME_MAX {
        return Err(format!("repository name must not be more than {NAME_MAX} characters"));
    }
    let tag = match (tag, digest) {
        (None, None) => Some("latest".to_owned()),
        (tag, _) => tag.map(str::to_owned),
    };
    Ok(ImageRef { registry, repository, tag, digest: digest.map(str::to_owned) })
}

/// The first component is a domain when it could not be a path: a dot, a port, `localhost` or an upper-case letter.
fn split_domain(path: &str) -> (String, String) {
    let (domain, remainder) = match path.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.to_ascii_lowercase() != first => {
            (if first == "index.docker.io" { "docker.io" } else { first }, rest)
        }
        _ => ("docker.io", path),
    };
    match domain == "docker.io" && !remainder.contains('/') {
        true => (domain.to_owned(), format!("library/{remainder}")),
        false => (domain.to_owned(), remainder.to_owned()),
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Is this `sha256:` and 64 lower-case hexadecimal digits? Nothing else names content in this store.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| is_hex(hex, 64))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_MAX && tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    if let Some(v6) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return v6.parse::<std::net::Ipv6Addr>().is_ok();
    }
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// Letters and digits, with single separators between them: one dot, one or two underscores, or any number of dashes.
fn is_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().copied().is_some_and(alphanumeric) || !bytes.last().copied().is_some_and(alphanumeric) {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

/// Sends names to another repository: `luksa/kubia` to `impresario.local/kubia`, or all of `docker.io` to a mirror.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MirrorRule {
    /// A registry (`docker.io`) or a repository (`luksa/kubia`); matches whole path components.
    pub from: String,
    /// What replaces it. With a tag, that tag is taken whatever was asked for.
    pub to: String,
}

/// The name after the first rule that matches it, or `None` when none does.
pub fn mirrored(name: &ImageRef, rules: &[MirrorRule]) -> Option<ImageRef> {
    let full = name.name();
    rules.iter().find_map(|rule| {
        let tail = tail_after(&full, &rule.from)?;
        let target = parse(&format!("{}{tail}", rule.to)).ok()?;
        let given = tail.is_empty() && rule.to.rsplit_once('/').is_some_and(|(_, last)| last.contains(':'));
        match given {
            true => Some(target),
            false => Some(ImageRef { tag: name.tag.clone(), digest: name.digest.clone(), ..target }),
        }
    })
}

/// What follows `from` in `full`, when `from` is a registry or a repository that `full` is or lies under.
fn tail_after<'a>(full: &'a str, from: &str) -> Option<&'a str> {
    let under = |prefix: &str| full.strip_prefix(prefix).filter(|tail| tail.is_empty() || tail.starts_with('/'));
    let is_registry = !from.contains('/') && (from.contains(['.', ':']) || from == "localhost");
    match is_registry {
        true => under(from),
        false => under(&parse(from).ok()?.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(name: &str) -> String {
        ImageRef::parse(name).unwrap().to_string()
    }

    #[test]
    fn names_are_completed_as_docker_does() {
        assert_eq!(full("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full("luksa/kubia:v2"), "docker.io/luksa/kubia:v2");
        assert_eq!(full("impresario.local/kubia"), "impresario.local/kubia:latest");
        assert_eq!(full("localhost:5000/a/b__c-d:1.0"), "localhost:5000/a/b__c-d:1.0");
        assert_eq!(full("index.docker.io/nginx"), "docker.io/library/nginx:latest");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(full(&format!("nginx:1@{digest}")), format!("docker.io/library/nginx@{digest}"));
    }

    #[test]
    fn bad_names_are_refused_in_upstreams_words() {
        for bad in ["", "a b", "a//b", "a:", "-a", "a..b", "a___b", "x/_a", "a@sha256:12", "http://a/b", "a:b:c", "../etc"] {
            assert!(ImageRef::parse(bad).is_err(), "{bad}");
        }
        let error = ImageRef::parse("Busybox").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Failed to apply default image tag \"Busybox\": couldn't parse image name \"Busybox\": \
             invalid reference format: repository name must be lowercase"
        );
        assert_eq!(crate::runtime::api::RuntimeError::from(error).reason, "InvalidImageName");
    }

    #[test]
    fn mirrors_match_whole_components() {
        let rule = |from: &str, to: &str| MirrorRule { from: from.into(), to: to.into() };
        let go = |name: &str, rules: &[MirrorRule]| mirrored(&ImageRef::parse(name).unwrap(), rules).map(|r| r.to_string());
        let rules = [rule("luksa/kubia", "impresario.local/kubia:latest"), rule("quay.io", "localhost:5000/quay")];
        assert_eq!(go("luksa/kubia:v3", &rules).as_deref(), Some("impresario.local/kubia:latest"));
        assert_eq!(go("luksa/kubia-unhealthy", &rules), None);
        assert_eq!(go("quay.io/a/b:1", &rules).as_deref(), Some("localhost:5000/quay/a/b:1"));
        assert_eq!(go("quay.io.evil.org/a/b:1", &rules), None);
    }
}
