//! What a namespace's labels ask for.
use crate::protocol::status::FieldError;
use std::cmp::Ordering;
use std::fmt;

/// How strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The release whose rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Latest,
    /// `v1.N`
    Minor(u32),
}

/// A level as of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelVersion {
    pub level: Level,
    pub version: Version,
}

/// The three modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub enforce: LevelVersion,
    pub audit: LevelVersion,
    pub warn: LevelVersion,
}

/// The minor release that `latest` means: the level of the API served.
pub const LATEST: u32 = 36;

impl Version {
    /// The minor release.
    pub fn minor(self) -> u32 {
        match self {
            Version::Latest => LATEST,
            Version::Minor(minor) => minor,
        }
    }
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            Version::Latest => write!(f, "{level}:latest"),
            Version::Minor(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

/// Which level is stricter.
pub fn compare(a: Level, b: Level) -> Ordering {
    a.cmp(&b)
}

fn label(mode: &str) -> String {
    format!("pod-security.kubernetes.io/{mode}")
}

/// The policy of labels, with what is wrong in them. Wrong levels count as restricted for enforcing, as privileged otherwise.
pub fn parse(get: impl Fn(&str) -> Option<String>) -> (Policy, Vec<FieldError>) {
    let mut errors = Vec::new();
    let mut level = |mode: &str, fallback: Level| {
        let key = label(mode);
        let text = get(&key)?;
        Some(match text.as_str() {
            "privileged" => (Level::Privileged, true),
            "baseline" => (Level::Baseline, true),
            "restricted" => (Level::Restricted, true),
            _ => {
                errors.push(invalid(&key, &text, "must be one of privileged, baseline, restricted"));
                (fallback, false)
            }
        })
    };
    let enforce = level("enforce", Level::Restricted);
    let audit = level("audit", Level::Privileged);
    let warn = level("warn", Level::Privileged);
    let mut version = |mode: &str| {
        let key = label(&format!("{mode}-version"));
        let text = get(&key)?;
        if text == "latest" {
            return Some(Version::Latest);
        }
        let digits = text.strip_prefix("v1.").filter(|d| d.len() == 1 || !d.starts_with('0'));
        let minor = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
        if minor.is_none() {
            errors.push(invalid(&key, &text, "must be \"latest\" or \"v1.x\""));
        }
        Some(minor.map_or(Version::Latest, Version::Minor))
    };
    let versions = (version("enforce"), version("audit"), version("warn"));
    let or_latest = |version: Option<Version>| version.unwrap_or(Version::Latest);
    let of = |level: Option<(Level, bool)>, version: Option<Version>| LevelVersion {
        level: level.map_or(Level::Privileged, |(level, _)| level),
        version: or_latest(version),
    };
    let mut policy = Policy { enforce: of(enforce, versions.0), audit: of(audit, versions.1), warn: of(warn, versions.2) };
    // Who enforces is warned of the same, unless the warnings were set on their own.
    if warn.is_none() && enforce.is_some_and(|(level, good)| good && level > policy.warn.level) {
        policy.warn.level = policy.enforce.level;
        if versions.2.is_none() {
            policy.warn.version = policy.enforce.version;
        }
    }
    (policy, errors)
}

fn invalid(key: &str, value: &str, why: &str) -> FieldError {
    FieldError::invalid(format!("metadata.labels[{key}]"), value, why)
}
