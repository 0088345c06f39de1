//! The keys that secrets are encrypted with at rest: AES-256-GCM, one file, the newest key first.
use super::{PkiError, files};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::collections::HashMap;
use std::path::Path;

/// What a sealed body begins with; no JSON does.
const MARK: &[u8] = b"\0imp1";
/// Bytes of a key's id, which stand behind the mark.
const ID: usize = 4;

/// Seals with the newest key, opens with any.
pub struct SealingKeys {
    newest: [u8; ID],
    keys: HashMap<[u8; ID], LessSafeKey>,
}

impl SealingKeys {
    /// The file within the directory of the cluster's keys: `<id> <key>` lines.
    pub const FILE: &'static str = "secrets.keys";

    /// Reads the keys; makes the first one where there is none.
    pub fn open_or_create(pki: &Path) -> Result<Self, PkiError> {
        let path = pki.join(Self::FILE);
        let text = match files::read(&path)? {
            Some(text) => text,
            None => {
                let first = fresh_line()?;
                files::make_dir(pki)?;
                files::write(&path, &first)?;
                first
            }
        };
        Self::parse(&text).map_err(|what| PkiError::Unusable {
            path,
            what,
            advice: "restore it from a backup: without it no Secret of this cluster can be read".into(),
        })
    }

    /// Puts a new key in front. A server seals everything with it at its next start.
    pub fn rotate(pki: &Path) -> Result<(), PkiError> {
        let path = pki.join(Self::FILE);
        let held = files::read(&path)?.unwrap_or_default();
        files::write(&path, &format!("{}{held}", fresh_line()?))
    }

    /// Drops all keys but the newest; for when nothing is sealed with them any more.
    pub fn forget_old(pki: &Path) -> Result<(), PkiError> {
        let path = pki.join(Self::FILE);
        let held = files::read(&path)?.unwrap_or_default();
        files::write(&path, &format!("{}\n", held.lines().next().unwrap_or_default()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut newest = None;
        let mut keys = HashMap::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || format!("has no key in line {}", i + 1);
            let (id, key) = line.split_once(' ').ok_or_else(wrong)?;
            let mut bytes = [0; ID];
            hex::decode_to_slice(id, &mut bytes).map_err(|_| wrong())?;
            let key = STANDARD.decode(key.trim()).ok().and_then(|k| UnboundKey::new(&AES_256_GCM, &k).ok()).ok_or_else(wrong)?;
            keys.insert(bytes, LessSafeKey::new(key));
            newest = newest.or(Some(bytes));
        }
        Ok(SealingKeys { newest: newest.ok_or("is empty")?, keys })
    }

    /// Encrypts a body and binds it to its place.
    pub fn seal(&self, place: &[u8], body: &[u8]) -> Result<Bytes, &'static str> {
        let key = self.keys.get(&self.newest).ok_or("there is no key")?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| "there is no randomness to be had")?;
        let mut text = body.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut text)
            .map_err(|_| "the body is too long")?;
        Ok([MARK, &self.newest, &nonce, &text].concat().into())
    }

    /// The body, and whether it should be sealed anew: it was not, or with an older key.
    pub fn open(&self, place: &[u8], sealed: &Bytes) -> Result<(Bytes, bool), &'static str> {
        let Some(rest) = sealed.strip_prefix(MARK) else { return Ok((sealed.clone(), true)) };
        let (id, rest) = rest.split_first_chunk::<ID>().ok_or("it is cut short")?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or("it is cut short")?;
        let key = self.keys.get(id).ok_or("the key that it was encrypted with is not in secrets.keys")?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length =
            key.open_in_place(nonce, Aad::from(place), &mut text).map_err(|_| "it was changed, or belongs to another object")?.len();
        text.truncate(length);
        Ok((text.into(), *id != self.newest))
    }
}

fn fresh_line() -> Result<String, PkiError> {
    let mut bytes = [0; ID + 32];
    getrandom::fill(&mut bytes).map_err(|e| PkiError::Request(format!("there is no randomness to be had: {e}")))?;
    let (id, key) = bytes.split_at(ID);
    Ok(format!("{} {}\n", hex::encode(id), STANDARD.encode(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_opens_in_its_place_only_and_unchanged_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = SealingKeys::open_or_create(dir.path()).expect("made");
        let sealed = keys.seal(b"a", b"{}").expect("sealed");
        assert_eq!(keys.open(b"a", &sealed).expect("opens"), (Bytes::from_static(b"{}"), false));
        assert!(keys.open(b"b", &sealed).is_err());
        let mut changed = sealed.to_vec();
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(keys.open(b"a", &changed.into()).is_err());
        assert!(keys.open(b"a", &sealed.slice(..12)).is_err());
        let again = SealingKeys::open_or_create(dir.path()).expect("read");
        assert!(again.open(b"a", &sealed).is_ok());
        std::fs::write(dir.path().join(SealingKeys::FILE), "nonsense\n").expect("written");
        assert!(SealingKeys::open_or_create(dir.path()).err().expect("refused").to_string().contains("line 1"));
    }
}
