//! Messages as bytes: a length (four bytes, little endian), then the value in bincode's standard encoding.
use crate::protocol::mesh::MAX_FRAME;
use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

const LENGTH_BYTES: usize = 4;

/// Why bytes are no message, or a value is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("a message of {0} bytes is longer than the {MAX_FRAME} that are allowed")]
    TooLong(usize),
    #[error("the message cannot be read: {0}")]
    Malformed(String),
    #[error("the message cannot be written: {0}")]
    Unwritable(String),
}

/// The value with its length in front.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, CodecError> {
    let mut bytes = vec![0u8; LENGTH_BYTES];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(|e| CodecError::Unwritable(e.to_string()))?;
    let length = bytes.len() - LENGTH_BYTES;
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(CodecError::TooLong(length))?;
    for (slot, byte) in bytes.iter_mut().zip(prefix.to_le_bytes()) {
        *slot = byte;
    }
    Ok(bytes.into())
}

/// Takes one whole message's bytes off the front of `buffer`, or `None` when there is not one yet. The length is checked
/// as soon as it is there; memory grows with what has arrived, never with what a length promises.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(CodecError::TooLong(length));
    }
    if buffer.len() - LENGTH_BYTES < length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Reads one message's bytes. All of them must be used up.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<MAX_FRAME>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config).map_err(|e| CodecError::Malformed(e.to_string()))?;
    if used == bytes.len() { Ok(value) } else { Err(CodecError::Malformed(format!("{} bytes are left over", bytes.len() - used))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mesh::{Answer, ApiCall, Call, Envelope, Frame};
    use proptest::prelude::*;

    fn envelope(body: Vec<u8>) -> Envelope {
        let call = ApiCall { method: "PUT".into(), path: "/api/v1/x".into(), content_type: String::new(), body: body.into() };
        Envelope { to: "server/api".into(), from: "node/a".into(), correlation: 7, body: Call::Api(call) }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode::<Envelope>(&bytes);
            let _ = decode::<Answer>(&bytes);
            let _ = decode::<Frame>(&bytes);
            let mut buffer = BytesMut::from(bytes.as_slice());
            while let Ok(Some(message)) = take(&mut buffer) {
                let _ = decode::<Frame>(&message);
            }
        }

        #[test]
        fn damaged_messages_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = encode(&envelope(vec![1; 50])).unwrap()[LENGTH_BYTES..].to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode::<Envelope>(&bytes);
        }

        #[test]
        fn messages_survive_any_cut(body in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
            let sent = envelope(body);
            let bytes = encode(&sent).unwrap();
            let mut buffer = BytesMut::from(&bytes[..cut.index(bytes.len())]);
            prop_assert_eq!(take(&mut buffer), Ok(None));
            let have = buffer.len();
            buffer.extend_from_slice(&bytes[have..]);
            buffer.extend_from_slice(b"next");
            let message = take(&mut buffer).unwrap().unwrap();
            prop_assert_eq!(decode::<Envelope>(&message), Ok(sent));
            prop_assert_eq!(&buffer[..], b"next");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let mut promise = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
        assert_eq!(take(&mut promise), Err(CodecError::TooLong(u32::MAX as usize)));
        assert!(matches!(encode(&envelope(vec![0; MAX_FRAME])), Err(CodecError::TooLong(_))));
        // A string that claims to be endless, in a short message.
        assert!(decode::<Envelope>(&[253, 255, 255, 255, 255, 255, 255, 255, 127]).is_err());
        let mut trailing = encode(&Answer::Ok).unwrap()[LENGTH_BYTES..].to_vec();
        trailing.push(0);
        assert!(matches!(decode::<Answer>(&trailing), Err(CodecError::Malformed(_))));
    }
}
