//! Protobuf's wire format, as far as Kubernetes uses it.
use super::ProtobufError;

/// A field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// Walks over the fields of a message: number and content. Ends after an error.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    fn next_field(&mut self) -> Result<(u32, Piece<'a>), ProtobufError> {
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).map_err(|_| ProtobufError::Damaged("a field number is out of range"))?;
        let piece = match key & 7 {
            0 => Piece::Varint(varint(&mut self.rest)?),
            1 => Piece::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| SHORT)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
                self.rest = rest;
                Piece::Bytes(bytes)
            }
            5 => Piece::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(ProtobufError::Damaged("a field has an unknown wire type")),
        };
        Ok((number, piece))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

const SHORT: ProtobufError = ProtobufError::Damaged("it ends in the middle of a field");

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Piece<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The numbers of a packed list.
pub fn varints(bytes: &[u8]) -> impl Iterator<Item = Result<u64, ProtobufError>> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let number = varint(&mut rest);
        if number.is_err() {
            rest = &[];
        }
        Some(number)
    })
}

fn varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(SHORT)?;
        *rest = tail;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Damaged("a number is too long"))
}
