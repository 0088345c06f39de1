//! The key that signs, and what others need to check its signatures.
use super::{Claims, TokenError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// ECDSA over P-256, and the issuer that signs with it.
pub struct TokenKeys {
    issuer: String,
    id: String,
    signing: EncodingKey,
    checking: DecodingKey,
    /// The two halves of the public point, base64url.
    point: [String; 2],
}

impl TokenKeys {
    /// From a private key, PKCS#8 PEM.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn new(pem: &str, issuer: impl Into<String>) -> Result<TokenKeys, TokenError> {
        let pair = KeyPair::from_pem(pem).map_err(|e| TokenError::Key(e.to_string()))?;
        let signing = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|e| TokenError::Key(e.to_string()))?;
        // An uncompressed point: a byte that says so, then 32 bytes each.
        let public = pair.public_key_raw();
        let halves = (public.len() == 65).then(|| public.get(1..33).zip(public.get(33..65))).flatten();
        let (x, y) = halves.ok_or_else(|| TokenError::Key("it is no P-256 key".into()))?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok(TokenKeys {
            issuer: issuer.into(),
            id: encode(&Sha256::digest(pair.subject_public_key_info())),
            signing,
            checking: DecodingKey::from_ec_der(public),
            point: [encode(x), encode(y)],
        })
    }

    /// The issuer of every token that is signed here: a URL.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token that says `claims`.
    ///
    /// # Errors
    /// When the library refuses, which it has no reason to.
    pub fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        let header = Header { alg: Algorithm::ES256, kid: Some(self.id.clone()), typ: None, ..Default::default() };
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|e| TokenError::Signing(e.to_string()))
    }

    /// What a token says, if it was signed here. Nothing else is checked.
    pub fn read(&self, token: &str) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let read = jsonwebtoken::decode::<Claims>(token, &self.checking, &validation);
        read.map(|token| token.claims).map_err(|_| TokenError::Malformed)
    }

    /// `/openid/v1/jwks`: the public key as others read it.
    pub fn jwks(&self) -> Value {
        let [x, y] = &self.point;
        json!({ "keys": [{ "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256", "x": x, "y": y }] })
    }

    /// `/.well-known/openid-configuration`, of a server that is reached at `host:port`.
    pub fn discovery(&self, address: &str) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("https://{address}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

/// Whether a token claims to be of this issuer, or of upstream's first sort, which had none of its own. Nothing is checked.
pub(super) fn claims_issuer(token: &str, issuer: &str) -> bool {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return false };
    let claims: Option<Value> = URL_SAFE_NO_PAD.decode(payload).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    claims.is_some_and(|c| c["iss"] == issuer || c["iss"] == super::claims::LEGACY)
}
