//! Join tokens: `K1<sha256 hex of the CA's public key>.<id, 6>.<secret, 16>`.
//!
//! The first part lets the machine know the cluster, the rest lets the cluster know the machine. Of the secret only a
//! hash is kept. Every operation works on the file itself, so that the CLI may add a token while the server runs.
use super::{PkiError, files};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

const PREFIX: &str = "K1";
const ID_LENGTH: usize = 6;
const SECRET_LENGTH: usize = 16;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("this is not a join token: it looks like K1<64 hex digits>.<6 characters>.<16 characters>")]
    Malformed,
    #[error("the join token is not known to this cluster")]
    Unknown,
    #[error("the join token expired at {0}")]
    Expired(String),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// A token in full: what a joining machine is given.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// SHA-256 of the CA's SubjectPublicKeyInfo, lowercase hex.
    pub ca_hash: String,
    pub id: String,
    secret: String,
}

impl JoinToken {
    /// The part that the server is shown: `<id>.<secret>`.
    pub fn secret_part(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}.{}", self.ca_hash, self.id, self.secret)
    }
}

impl fmt::Debug for JoinToken {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({})", self.id)
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Malformed)?;
        let (ca_hash, secret_part) = rest.split_once('.').ok_or(TokenError::Malformed)?;
        if ca_hash.len() != 64 || !ca_hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TokenError::Malformed);
        }
        let (id, secret) = split_secret_part(secret_part)?;
        Ok(JoinToken { ca_hash: ca_hash.to_ascii_lowercase(), id: id.into(), secret: secret.into() })
    }
}

fn split_secret_part(text: &str) -> Result<(&str, &str), TokenError> {
    let (id, secret) = text.split_once('.').ok_or(TokenError::Malformed)?;
    let fits = |part: &str, length| part.len() == length && part.bytes().all(|b| ALPHABET.contains(&b));
    if fits(id, ID_LENGTH) && fits(secret, SECRET_LENGTH) { Ok((id, secret)) } else { Err(TokenError::Malformed) }
}

/// What is kept and shown of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub id: String,
    /// SHA-256 of the secret, hex. Secrets are random, so a plain hash does.
    secret_sha256: String,
    pub description: String,
    pub created: Timestamp,
    /// `None`: never.
    pub expires: Option<Timestamp>,
}

/// The cluster's join tokens.
#[derive(Debug)]
pub struct Tokens {
    dir: PathBuf,
    ca_hash: String,
}

impl Tokens {
    /// Opens the list; at the first start, makes one token without end, kept readable in the file `join-token`. Whoever can
    /// read that file can read the CA's key beside it, so it gives nothing away.
    pub(super) fn open_or_create(dir: &Path, ca_hash: &str, now: Timestamp) -> Result<Tokens, PkiError> {
        let tokens = Tokens { dir: dir.to_path_buf(), ca_hash: ca_hash.to_string() };
        if files::read(&tokens.list_path())?.is_none() {
            let token = tokens.create(None, "made at the cluster's first start", now)?;
            files::write(&tokens.default_path(), &format!("{token}\n"))?;
        }
        tokens.list()?;
        Ok(tokens)
    }

    /// Opens the list of an existing cluster, for the command line.
    ///
    /// # Errors
    /// When `dir` holds no cluster's keys.
    pub fn open(dir: &Path) -> Result<Tokens, PkiError> {
        let ca_hash = super::node::known_ca_hash(dir)?.ok_or_else(|| PkiError::Unusable {
            path: dir.to_path_buf(),
            what: "holds no cluster's keys".into(),
            advice: "name the data directory of a server with --data-dir".into(),
        })?;
        let tokens = Tokens { dir: dir.to_path_buf(), ca_hash };
        tokens.list()?;
        Ok(tokens)
    }

    /// The text of the token made at the first start, as long as it is still known.
    pub fn default_token(&self) -> Result<Option<JoinToken>, PkiError> {
        let token = files::read(&self.default_path())?.and_then(|text| text.parse::<JoinToken>().ok());
        let known = self.list()?;
        Ok(token.filter(|token| known.iter().any(|t| t.id == token.id)))
    }

    /// Makes a token that is good for `ttl` (`None`: without end). Its text exists only in the answer.
    pub fn create(&self, ttl: Option<Duration>, description: &str, now: Timestamp) -> Result<JoinToken, PkiError> {
        let token = JoinToken { ca_hash: self.ca_hash.clone(), id: random_text(ID_LENGTH)?, secret: random_text(SECRET_LENGTH)? };
        let info = TokenInfo {
            id: token.id.clone(),
            secret_sha256: hash(&token.secret),
            description: description.to_string(),
            created: now,
            // A time to live beyond the calendar is as good as none.
            expires: ttl.and_then(|ttl| now.checked_add(ttl).ok()),
        };
        self.change(|list| {
            // Those long gone are dropped here; a fresh corpse stays, to say "expired" and not "unknown".
            list.retain(|t| t.expires.is_none_or(|at| now.as_second() - at.as_second() < 7 * 86_400));
            list.push(info);
        })?;
        Ok(token)
    }

    /// Every token, without secrets.
    pub fn list(&self) -> Result<Vec<TokenInfo>, PkiError> {
        let path = self.list_path();
        let Some(text) = files::read(&path)? else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|e| PkiError::Unusable {
            path,
            what: format!("is not a list of tokens ({e})"),
            advice: "remove it: joined nodes are not affected, and a new token is made at the next start".into(),
        })
    }

    /// Removes a token. Answers whether there was one with this id.
    pub fn remove(&self, id: &str) -> Result<bool, PkiError> {
        let mut found = false;
        self.change(|list| {
            let before = list.len();
            list.retain(|t| t.id != id);
            found = list.len() != before;
        })?;
        Ok(found)
    }

    /// Checks `<id>.<secret>`. That a token expired is said only to one who knows its secret.
    pub fn verify(&self, secret_part: &str, now: Timestamp) -> Result<(), TokenError> {
        let (id, secret) = split_secret_part(secret_part)?;
        let shown = hash(secret);
        let list = self.list()?;
        let known = list.iter().find(|t| t.id == id && same(&t.secret_sha256, &shown)).ok_or(TokenError::Unknown)?;
        match known.expires {
            Some(at) if now >= at => Err(TokenError::Expired(crate::protocol::time::rfc3339(at))),
            _ => Ok(()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<TokenInfo>)) -> Result<(), PkiError> {
        files::exclusively(&self.dir.join("tokens.lock"), || {
            let mut list = self.list()?;
            change(&mut list);
            let text = serde_json::to_string_pretty(&list).map_err(|e| PkiError::Crypto("write the list of tokens", e.to_string()))?;
            files::write(&self.list_path(), &text)
        })
    }

    fn list_path(&self) -> PathBuf {
        self.dir.join("tokens.json")
    }

    fn default_path(&self) -> PathBuf {
        self.dir.join("join-token")
    }
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Compares without stopping at the first difference.
fn same(a: &str, b: &str) -> bool {
    let difference = a.bytes().zip(b.bytes()).fold(0u8, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    a.len() == b.len() && difference == 0
}

/// Text of the token alphabet, each character equally likely.
fn random_text(length: usize) -> Result<String, PkiError> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| PkiError::Crypto("read random bytes", e.to_string()))?;
        // 252 is the largest multiple of 36 in a byte: what is above would favour the first letters.
        let letters = bytes.iter().filter(|b| **b < 252).filter_map(|b| ALPHABET.get(usize::from(*b) % ALPHABET.len()));
        text.extend(letters.map(|b| char::from(*b)).take(length - text.len()));
    }
    Ok(text)
}
