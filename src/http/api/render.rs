//! Objects into answers: JSON as stored, YAML, tables, bare metadata.
use super::gateway::Answer;
use super::options::Query;
use crate::actors::kinds::{Kind, Outcome};
use crate::protocol::protobuf;
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::table::{
    Encoding, IncludeObject, ListMeta, Media, MetaVersion, Offer, RowObject, Shape, TableWriter, negotiate, partial_object,
};
use crate::protocol::time;
use crate::storage::Entry;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What objects can be answered as.
pub const OBJECTS: Offer = Offer { yaml: true, protobuf: false, shapes: true };

/// How a client wants objects.
pub fn media(accept: &str) -> Result<Media, ApiError> {
    // What nearly all clients send needs no parsing.
    if matches!(accept, "" | "application/json" | "*/*" | "application/json, */*") {
        return Ok(Media { encoding: Encoding::Json, shape: Shape::Object, pretty: false });
    }
    // JSON wherever the client takes it, which costs nothing here; protobuf for those who take nothing else.
    negotiate(accept, OBJECTS).or_else(|_| negotiate(accept, Offer { protobuf: true, ..OBJECTS })).map_err(ApiError::from)
}

/// Refuses a client that takes nothing but protobuf when the kind has no such form, before anything is done for it.
pub fn acceptable(kind: &Kind, accept: &str) -> Result<(), ApiError> {
    let media = media(accept)?;
    let formless = || !protobuf::has_form(&kind.resource.api_version(), kind.resource.kind);
    if media.encoding == Encoding::Protobuf && media.shape == Shape::Object && formless() {
        negotiate(accept, OBJECTS).map_err(ApiError::from)?;
    }
    Ok(())
}

/// Refuses a client that takes nothing but tables or bare metadata, of what can be had as neither: reviews.
pub fn shapeless(accept: &str) -> Result<(), ApiError> {
    if media(accept)?.shape != Shape::Object {
        negotiate(accept, Offer { protobuf: true, shapes: false, ..OBJECTS }).map_err(ApiError::from)?;
    }
    Ok(())
}

/// One object.
pub fn object(kind: &Kind, entry: &Entry, accept: &str, query: &Query, code: u16) -> Result<Answer, ApiError> {
    let media = media(accept)?;
    let body = match media.shape {
        // Nothing was stored, so there is no revision to show: a dry run of a create.
        Shape::Object if entry.revision == 0 => entry.body.clone(),
        Shape::Object => entry.served(),
        Shape::Table(version) => {
            let revision = entry.revision.to_string();
            let meta = ListMeta { resource_version: &revision, ..Default::default() };
            let mut writer = TableWriter::new(version, Some(kind.columns()), meta);
            table_row(&mut writer, kind, entry, include(query)?);
            writer.finish()
        }
        Shape::PartialObject(version) => partial(entry, version),
    };
    encoded(code, body, media)
}

/// A document that is no stored object: Scale, Status.
pub fn document(code: u16, value: &Value, accept: &str) -> Result<Answer, ApiError> {
    let media = media(accept)?;
    encoded(code, value.to_string().into(), media)
}

/// The body in the encoding that was asked for.
pub fn encoded(code: u16, body: Bytes, media: Media) -> Result<Answer, ApiError> {
    match media.encoding {
        Encoding::Yaml => {
            let value: Value = serde_json::from_slice(&body).map_err(ApiError::internal)?;
            let text = serde_yaml::to_string(&value).map_err(ApiError::internal)?;
            Ok(Answer { code, content_type: "application/yaml", body: text.into(), ..Default::default() })
        }
        Encoding::Protobuf => {
            let value: Value = serde_json::from_slice(&body).map_err(ApiError::internal)?;
            let bytes = protobuf::from_json(&value).map_err(|e| ApiError::new(406, "NotAcceptable", e.to_string()))?;
            Ok(Answer { code, content_type: protobuf::MEDIA_TYPE, body: bytes.into(), ..Default::default() })
        }
        _ if media.pretty => {
            let value: Value = serde_json::from_slice(&body).map_err(ApiError::internal)?;
            Ok(Answer::json(code, serde_json::to_vec_pretty(&value).map_err(ApiError::internal)?.into()))
        }
        _ => Ok(Answer::json(code, body)),
    }
}

/// A page of a list.
pub struct Page<'a> {
    pub entries: &'a [Arc<Entry>],
    pub meta: ListMeta<'a>,
}

/// A list in the shape that was asked for.
pub fn list(kind: &Kind, page: &Page<'_>, accept: &str, query: &Query) -> Result<Answer, ApiError> {
    let media = media(accept)?;
    let body = match media.shape {
        Shape::Object => object_list(kind, page),
        Shape::Table(version) => {
            let include = include(query)?;
            let mut writer = TableWriter::new(version, Some(kind.columns()), page.meta);
            page.entries.iter().for_each(|entry| table_row(&mut writer, kind, entry, include));
            writer.finish()
        }
        Shape::PartialObject(version) => partial_list(page, version),
    };
    encoded(200, body, media)
}

fn object_list(kind: &Kind, page: &Page<'_>) -> Bytes {
    let size: usize = page.entries.iter().map(|e| e.served_len() + 1).sum();
    let mut out = BytesMut::with_capacity(size + 256);
    out.put_slice(b"{\"kind\":\"");
    out.put_slice(kind.resource.kind.as_bytes());
    out.put_slice(b"List\",\"apiVersion\":\"");
    out.put_slice(kind.resource.api_version().as_bytes());
    out.put_slice(b"\",\"metadata\":");
    out.put_slice(serde_json::to_string(&page.meta).unwrap_or_default().as_bytes());
    out.put_slice(b",\"items\":[");
    for (i, entry) in page.entries.iter().enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        entry.write_served(&mut out);
    }
    out.put_slice(b"]}");
    out.freeze()
}

fn partial_list(page: &Page<'_>, version: MetaVersion) -> Bytes {
    let mut out = BytesMut::with_capacity(page.entries.len() * 512 + 256);
    out.put_slice(b"{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"");
    out.put_slice(version.api_version().as_bytes());
    out.put_slice(b"\",\"metadata\":");
    out.put_slice(serde_json::to_string(&page.meta).unwrap_or_default().as_bytes());
    out.put_slice(b",\"items\":[");
    for (i, entry) in page.entries.iter().enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        out.put_slice(&partial(entry, version));
    }
    out.put_slice(b"]}");
    out.freeze()
}

/// The object reduced to its metadata.
pub fn partial(entry: &Entry, version: MetaVersion) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    let (head, rest) = metadata_parts(entry);
    partial_object(&mut out, version, &[head.as_bytes(), rest]);
    out.freeze()
}

/// The JSON of `metadata` as served, in two parts, cut out of the stored bytes without parsing the object.
fn metadata_parts(entry: &Entry) -> (String, &[u8]) {
    #[derive(serde::Deserialize)]
    struct Outline<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let found = serde_json::from_slice::<Outline<'_>>(&entry.body).ok();
    let rest = found.map_or("}", |o| o.metadata.get().get(1..).unwrap_or("}"));
    let comma = if rest == "}" { "" } else { "," };
    (format!("{{\"resourceVersion\":\"{}\"{comma}", entry.revision), rest.as_bytes())
}

/// One object as a table of one row, for watches; only the first carries the columns.
pub fn table_of_one(kind: &Kind, entry: &Entry, version: MetaVersion, include: IncludeObject, columns: bool) -> Bytes {
    let revision = entry.revision.to_string();
    let meta = ListMeta { resource_version: &revision, ..Default::default() };
    let mut writer = TableWriter::new(version, columns.then_some(kind.columns()), meta);
    table_row(&mut writer, kind, entry, include);
    writer.finish()
}

fn table_row(writer: &mut TableWriter, kind: &Kind, entry: &Entry, include: IncludeObject) {
    let object = entry.parse_whole();
    let cells = kind.row(&object, time::now().as_second());
    match include {
        IncludeObject::None => writer.row(&cells, RowObject::None),
        IncludeObject::Metadata => {
            let (head, rest) = metadata_parts(entry);
            writer.row(&cells, RowObject::Metadata(&[head.as_bytes(), rest]));
        }
        IncludeObject::Object => {
            let whole = entry.served();
            writer.row(&cells, RowObject::Object(&[&whole]));
        }
    }
}

/// `includeObject` of a table request.
pub fn include(query: &Query) -> Result<IncludeObject, ApiError> {
    let given = query.get("includeObject");
    IncludeObject::parse(given).ok_or_else(|| {
        let error = FieldError::invalid("includeObject", given, "must be 'Metadata', 'Object', 'None', or empty");
        ApiError::invalid("meta.k8s.io", "TableOptions", "", &[error])
    })
}

/// The HTTP status of a committed write.
pub fn code_of(outcome: Outcome) -> u16 {
    if outcome == Outcome::Created { 201 } else { 200 }
}
