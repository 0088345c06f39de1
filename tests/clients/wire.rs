//! Just enough of the protobuf wire format to write and read Kubernetes' messages by field numbers, as upstream's `.proto` files
//! give them. Knows nothing of what the server knows.

/// What a body of one object begins with.
pub const MAGIC: &[u8] = b"k8s\0";

/// A message being written.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn text(self, number: u8, text: &str) -> Message {
        self.bytes(number, text.as_bytes())
    }

    pub fn message(self, number: u8, inner: Message) -> Message {
        self.bytes(number, &inner.0)
    }

    pub fn entry(self, number: u8, key: &str, value: &str) -> Message {
        self.message(number, Message::default().text(1, key).text(2, value))
    }

    pub fn number(mut self, number: u8, value: u64) -> Message {
        self.0.push(number << 3);
        self.varint(value);
        self
    }

    pub fn bytes(mut self, number: u8, bytes: &[u8]) -> Message {
        assert!(number < 16, "one byte of key is enough here");
        self.0.push(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The object in its envelope.
    pub fn object(self, api_version: &str, kind: &str) -> Vec<u8> {
        let types = Message::default().text(1, api_version).text(2, kind);
        [MAGIC, &Message::default().message(1, types).message(2, self).0].concat()
    }
}

/// The fields of a message that was read: numbers and values, in their order.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(u64, Value)>);

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Fields {
    #[track_caller]
    pub fn read(mut bytes: &[u8]) -> Fields {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(value.to_vec())
                }
                other => panic!("no message of these tests has wire type {other}"),
            };
            fields.push((key >> 3, value));
        }
        Fields(fields)
    }

    /// An object: its `apiVersion`, its `kind` and its message.
    #[track_caller]
    pub fn object(body: &[u8]) -> (String, String, Fields) {
        let envelope = Fields::read(body.strip_prefix(MAGIC).expect("the magic bytes"));
        let types = envelope.message(1);
        (types.text(1), types.text(2), envelope.message(2))
    }

    fn all(&self, number: u64) -> impl Iterator<Item = &Vec<u8>> {
        self.0.iter().filter_map(move |(n, v)| match v {
            Value::Bytes(bytes) if *n == number => Some(bytes),
            _ => None,
        })
    }

    pub fn messages(&self, number: u64) -> Vec<Fields> {
        self.all(number).map(|b| Fields::read(b)).collect()
    }

    /// The field, or an empty message.
    pub fn message(&self, number: u64) -> Fields {
        self.messages(number).pop().unwrap_or_default()
    }

    pub fn raw(&self, number: u64) -> Vec<u8> {
        self.all(number).last().cloned().unwrap_or_default()
    }

    pub fn text(&self, number: u64) -> String {
        String::from_utf8(self.raw(number)).expect("UTF-8")
    }

    pub fn number(&self, number: u64) -> Option<u64> {
        self.0.iter().rev().find_map(|(n, v)| match v {
            Value::Number(value) if *n == number => Some(*value),
            _ => None,
        })
    }

    /// A map of texts, as `key=value`.
    pub fn map(&self, number: u64) -> Vec<String> {
        self.messages(number).iter().map(|e| format!("{}={}", e.text(1), e.text(2))).collect()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than ten bytes");
}
