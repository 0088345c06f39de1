//! Writes a `meta.k8s.io` `Table`, row by row, from objects that stay bytes.
use super::MetaVersion;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// A column of a table. `priority` 0 is always shown, higher ones with `-o wide`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    pub name: Cow<'static, str>,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    #[serde(rename = "type")]
    pub type_: Cow<'static, str>,
    /// `name` marks the column that names the object.
    pub format: Cow<'static, str>,
    pub description: Cow<'static, str>,
    pub priority: i32,
}

impl Column {
    /// A column of a built-in kind. Those of custom kinds are filled in field by field.
    pub const fn new(name: &'static str, type_: &'static str, format: &'static str, description: &'static str, priority: i32) -> Self {
        let (name, type_) = (Cow::Borrowed(name), Cow::Borrowed(type_));
        Column { name, type_, format: Cow::Borrowed(format), description: Cow::Borrowed(description), priority }
    }
}

/// The `includeObject` parameter of a request: what rows carry besides their cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// From the parameter's text; empty means the default. `None` is for unknown words.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(IncludeObject::Metadata),
            "None" => Some(IncludeObject::None),
            "Object" => Some(IncludeObject::Object),
            _ => None,
        }
    }
}

/// The object of a row as raw JSON, in parts that are written one after the other: an object whose revision is spliced in
/// needs no copy.
#[derive(Clone, Copy, Debug)]
pub enum RowObject<'a> {
    None,
    /// The value of `metadata`.
    Metadata(&'a [&'a [u8]]),
    /// The whole object.
    Object(&'a [&'a [u8]]),
}

/// The `metadata` of a list or a table.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ListMeta<'a> {
    #[serde(rename = "resourceVersion", skip_serializing_if = "str::is_empty")]
    pub resource_version: &'a str,
    #[serde(rename = "continue", skip_serializing_if = "str::is_empty")]
    pub continue_: &'a str,
    #[serde(rename = "remainingItemCount", skip_serializing_if = "Option::is_none")]
    pub remaining: Option<i64>,
}

/// A table that is being written.
pub struct TableWriter {
    out: BytesMut,
    version: MetaVersion,
    first: bool,
}

impl TableWriter {
    /// Begins a table. Without columns (`None`) `columnDefinitions` is null: in a watch only the first event has them.
    pub fn new(version: MetaVersion, columns: Option<&[Column]>, meta: ListMeta<'_>) -> Self {
        let mut writer = TableWriter { out: BytesMut::with_capacity(1024), version, first: true };
        writer.raw(b"{\"kind\":\"Table\",\"apiVersion\":\"");
        writer.raw(version.api_version().as_bytes());
        writer.raw(b"\",\"metadata\":");
        writer.json(&meta);
        writer.raw(b",\"columnDefinitions\":");
        writer.json(&columns);
        writer.raw(b",\"rows\":[");
        writer
    }

    /// Adds a row. Cells are in the order of the columns.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c Value>, object: RowObject<'_>) {
        self.raw(if self.first { b"{\"cells\":[" } else { b",{\"cells\":[" });
        self.first = false;
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.json(cell);
        }
        self.raw(b"],\"object\":");
        match object {
            RowObject::None => self.raw(b"null"),
            RowObject::Metadata(parts) => {
                let version = self.version;
                partial_object(&mut self.out, version, parts);
            }
            RowObject::Object(parts) => parts.iter().for_each(|part| self.raw(part)),
        }
        self.raw(b"}");
    }

    /// Bytes written so far, to decide when to send what there is.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Nothing is waiting to be taken.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes what was written so far, to send it ahead.
    pub fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// Ends the table: what was written since the last `take`.
    pub fn finish(mut self) -> Bytes {
        self.raw(b"]}");
        self.out.freeze()
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn json(&mut self, value: &impl Serialize) {
        // Writing into memory does not fail, and none of these values has a key that is no string.
        let _ = serde_json::to_writer((&mut self.out).writer(), value);
    }
}

/// Writes a `PartialObjectMetadata` around the raw JSON of `metadata`, given in parts.
pub fn partial_object(out: &mut BytesMut, version: MetaVersion, metadata: &[&[u8]]) {
    out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"");
    out.extend_from_slice(version.api_version().as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    metadata.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"}");
}
