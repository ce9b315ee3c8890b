//! Grants: statements signed with the portal's Ed25519 key in DSSE envelopes, so that they can be checked offline.
//!
//! The bytes that were signed are the bytes that [`GrantPublicKey::verify`] gives back: nobody has to parse anything
//! before it is verified.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::key_file::{self, KeyFileError};
use crate::clock::Env;
use crate::domain::digest::Digest;

/// The payload type of an in-toto statement, which is what a grant is.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// RFC 8410: everything before the 32 bytes of a public key in SPKI.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A signed statement as it travels: DSSE 1.0 in JSON. Fields of other signers are skipped, as in-toto asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub payload_type: String,
    /// The signed bytes in base64.
    pub payload: String,
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    pub keyid: String,
    /// The 64 bytes of the signature in base64.
    pub sig: String,
}

/// The portal's signing key. `Debug` shows the name of the type.
pub struct GrantKey(SigningKey);

impl GrantKey {
    /// Reads the key file, or makes it if there is none.
    ///
    /// # Errors
    /// When the file can't be read or made, holds no key, or is open to others.
    pub fn open_or_create(path: &Path, env: &Env) -> Result<Self, KeyFileError> {
        key_file::open_or_create(path, env).map(|seed| Self(SigningKey::from_bytes(&seed)))
    }

    /// A new key that is nowhere but in memory.
    pub fn generate(env: &Env) -> Self {
        Self(SigningKey::from_bytes(&env.bytes()))
    }

    /// Signs a payload of the given type.
    pub fn sign(&self, payload_type: &str, payload: &[u8]) -> Envelope {
        let signature = self.0.sign(&pre_authentication_encoding(payload_type, payload));
        Envelope {
            payload_type: payload_type.to_owned(),
            payload: BASE64.encode(payload),
            signatures: vec![EnvelopeSignature {
                keyid: self.public().id(),
                sig: BASE64.encode(signature.to_bytes()),
            }],
        }
    }

    /// The half of the key that anybody may have.
    pub fn public(&self) -> GrantPublicKey {
        GrantPublicKey(self.0.verifying_key())
    }
}

impl fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantKey")
    }
}

/// The key that verifies grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantPublicKey(VerifyingKey);

/// Why an envelope is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    #[error("this is not a DSSE envelope")]
    NotAnEnvelope,
    #[error("the envelope holds another type of statement than was asked for")]
    OtherType,
    #[error("the envelope is not signed with this key")]
    OtherKey,
    #[error("the signature does not match: the statement was changed after it was signed")]
    BadSignature,
}

/// The text is not an Ed25519 public key in PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 public key in PEM")]
pub struct NotAPublicKey;

impl GrantPublicKey {
    /// Reads a key as [`to_pem`](Self::to_pem) and `openssl pkey -pubout` write it.
    ///
    /// # Errors
    /// When the text is anything else, or a key that makes forgery easy (a point of small order).
    pub fn from_pem(text: &str) -> Result<Self, NotAPublicKey> {
        let bytes = key_file::from_pem("PUBLIC KEY", &SPKI_HEAD, text).ok_or(NotAPublicKey)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NotAPublicKey)?;
        if key.is_weak() { Err(NotAPublicKey) } else { Ok(Self(key)) }
    }

    /// The key in SPKI PEM.
    pub fn to_pem(&self) -> String {
        key_file::to_pem("PUBLIC KEY", &SPKI_HEAD, self.0.as_bytes())
    }

    /// The 32 bytes of the key in hexadecimal.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    /// The key's name in envelopes: the first 16 hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        let mut id = Digest::of(self.0.as_bytes()).to_string();
        id.truncate(16);
        id
    }

    /// Checks an envelope in JSON, and gives back the bytes that were signed.
    ///
    /// # Errors
    /// When it is no envelope, of another type, or not signed with this key as it stands.
    pub fn verify(&self, payload_type: &str, envelope: &[u8]) -> Result<Vec<u8>, NotVerified> {
        let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| NotVerified::NotAnEnvelope)?;
        if envelope.payload_type != payload_type {
            return Err(NotVerified::OtherType);
        }
        let payload = BASE64.decode(&envelope.payload).map_err(|_| NotVerified::NotAnEnvelope)?;
        let id = self.id();
        // An envelope may carry more signatures than ours: during a change of keys, or a witness's.
        let ours = envelope.signatures.iter().find(|s| s.keyid == id).ok_or(NotVerified::OtherKey)?;
        let signature = BASE64
            .decode(&ours.sig)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(NotVerified::NotAnEnvelope)?;
        self.0
            .verify_strict(&pre_authentication_encoding(payload_type, &payload), &signature)
            .map_err(|_| NotVerified::BadSignature)?;
        Ok(payload)
    }
}

/// What is really signed (DSSE's PAE): the type is covered, and lengths keep the two apart.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::PlayedClock;
    use crate::domain::time::Timestamp;

    fn env(seed: u64) -> Env {
        Env::repeatable(&PlayedClock::at(Timestamp::default()), seed)
    }

    #[test]
    fn the_encoding_before_signing_is_the_published_one() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn keys_are_written_and_read_as_in_rfc_8410() {
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let seed = key_file::private_from_pem(private).unwrap();
        let key = GrantKey(SigningKey::from_bytes(&seed));
        assert_eq!(key.public().to_pem(), public);
        assert_eq!(GrantPublicKey::from_pem(public), Ok(key.public()));
        assert_eq!(key_file::private_to_pem(&seed), private);
        assert!(key.public().to_hex().starts_with("19bf4409"));
        assert_eq!(key.public().id(), &Digest::of(key.public().0.as_bytes()).to_string()[..16]);
        for damaged in ["", private, &public.replace("MCow", "MCox"), &public.replace("ZuE=", "Zu==")] {
            assert_eq!(GrantPublicKey::from_pem(damaged), Err(NotAPublicKey), "{damaged}");
        }
        let weak = key_file::to_pem("PUBLIC KEY", &SPKI_HEAD, &[0; 32]);
        assert_eq!(GrantPublicKey::from_pem(&weak), Err(NotAPublicKey));
    }

    #[test]
    fn debug_of_a_key_prints_its_name() {
        assert_eq!(format!("{:?}", GrantKey::generate(&env(1))), "GrantKey");
    }

    #[test]
    fn another_key_another_type_and_a_borrowed_key_id_are_refused() {
        let (key, other) = (GrantKey::generate(&env(1)), GrantKey::generate(&env(2)));
        let mut envelope = key.sign(IN_TOTO, b"{}");
        let json = |envelope: &Envelope| serde_json::to_vec(envelope).unwrap();
        assert_eq!(other.public().verify(IN_TOTO, &json(&envelope)), Err(NotVerified::OtherKey));
        assert_eq!(key.public().verify("text/plain", &json(&envelope)), Err(NotVerified::OtherType));
        envelope.signatures[0].keyid = other.public().id();
        assert_eq!(other.public().verify(IN_TOTO, &json(&envelope)), Err(NotVerified::BadSignature));
        envelope.signatures.clear();
        assert_eq!(key.public().verify(IN_TOTO, &json(&envelope)), Err(NotVerified::OtherKey));
    }

    #[test]
    fn a_second_signature_by_somebody_else_does_no_harm() {
        let (key, other) = (GrantKey::generate(&env(1)), GrantKey::generate(&env(2)));
        let mut envelope = other.sign(IN_TOTO, b"{}");
        envelope.signatures.extend(key.sign(IN_TOTO, b"{}").signatures);
        let json = serde_json::to_vec(&envelope).unwrap();
        assert_eq!(key.public().verify(IN_TOTO, &json).as_deref(), Ok(&b"{}"[..]));
    }

    #[test]
    fn every_flip_of_one_bit_of_an_envelope_is_noticed() {
        let key = GrantKey::generate(&env(1));
        let envelope = serde_json::to_vec(&key.sign(IN_TOTO, br#"{"run":"7"}"#)).unwrap();
        for bit in 0..envelope.len() * 8 {
            let mut flipped = envelope.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let answer = key.public().verify(IN_TOTO, &flipped);
            assert!(answer.is_err(), "bit {bit}: {}", String::from_utf8_lossy(&flipped));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_signed_verifies_and_comes_back_whole(payload: Vec<u8>, seed: u64) {
            let key = GrantKey::generate(&env(seed));
            let envelope = serde_json::to_vec(&key.sign(IN_TOTO, &payload)).unwrap();
            prop_assert_eq!(key.public().verify(IN_TOTO, &envelope), Ok(payload));
        }

        #[test]
        fn one_flipped_bit_of_any_payload_fails(payload in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index) {
            let key = GrantKey::generate(&env(1));
            let mut envelope = key.sign(IN_TOTO, &payload);
            let bit = at.index(payload.len() * 8);
            let mut flipped = payload;
            flipped[bit / 8] ^= 1 << (bit % 8);
            envelope.payload = BASE64.encode(flipped);
            let json = serde_json::to_vec(&envelope).unwrap();
            prop_assert_eq!(key.public().verify(IN_TOTO, &json), Err(NotVerified::BadSignature));
        }
    }
}
