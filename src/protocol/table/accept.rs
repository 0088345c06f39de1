//! The `Accept` header: in which encoding and as what a client wants its answer.
use crate::status::ApiError;

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// A version of `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    /// `meta.k8s.io/v1`
    pub fn api_version(self) -> &'static str {
        match self {
            MetaVersion::V1 => "meta.k8s.io/v1",
            MetaVersion::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// As what objects are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    Object,
    /// Printed into rows and columns.
    Table(MetaVersion),
    /// Metadata only (`PartialObjectMetadata`, `PartialObjectMetadataList`).
    PartialObject(MetaVersion),
}

/// What a request asked for, of what was on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    pub encoding: Encoding,
    pub shape: Shape,
    /// `pretty=1` among the parameters.
    pub pretty: bool,
}

/// What an endpoint can answer with. JSON always.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub yaml: bool,
    pub protobuf: bool,
    /// `Table` and `PartialObjectMetadata`.
    pub shapes: bool,
}

/// One media range of an `Accept` header.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause<'a> {
    pub kind: &'a str,
    pub subtype: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// Thousandths.
    quality: u16,
}

/// More ranges than this are ignored: nobody has a need for them.
const MAX_CLAUSES: usize = 32;

impl Clause<'_> {
    /// The range covers this media type.
    pub fn matches(&self, kind: &str, subtype: &str) -> bool {
        let own = self.kind.eq_ignore_ascii_case(kind);
        (own && (self.subtype.eq_ignore_ascii_case(subtype) || self.subtype == "*")) || (self.kind == "*" && self.subtype == "*")
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The shape asked for, or `None` for one that doesn't exist.
    fn shape(&self, offer: Offer) -> Option<Shape> {
        let (kind, group, version) = (self.parameter("as"), self.parameter("g"), self.parameter("v"));
        if (kind, group, version) == (None, None, None) {
            return Some(Shape::Object);
        }
        let version = match (group, version) {
            (Some("meta.k8s.io"), Some("v1")) => MetaVersion::V1,
            (Some("meta.k8s.io"), Some("v1beta1")) => MetaVersion::V1Beta1,
            _ => return None,
        };
        match kind {
            _ if !offer.shapes => None,
            Some("Table") => Some(Shape::Table(version)),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Shape::PartialObject(version)),
            _ => None,
        }
    }
}

/// The ranges of an `Accept` header, the most wanted first: by `q`, then the more specific ones, then as written. Those with `q=0` are left out.
pub fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut out: Vec<Clause<'_>> = accept.split(',').take(MAX_CLAUSES).filter_map(clause).filter(|c| c.quality > 0).collect();
    out.sort_by_key(|c| (std::cmp::Reverse(c.quality), c.kind == "*", c.subtype == "*"));
    out
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = match parts.next()? {
        "" => return None,
        "*" => ("*", "*"),
        range => range.split_once('/')?,
    };
    let mut out = Clause { kind: kind.trim(), subtype: subtype.trim(), parameters: Vec::new(), quality: 1000 };
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        if key.eq_ignore_ascii_case("q") {
            let quality = value.parse::<f32>().unwrap_or(1.0).clamp(0.0, 1.0);
            out.quality = (quality * 1000.0) as u16;
        } else {
            out.parameters.push((key, value));
        }
    }
    Some(out)
}

/// Nothing that the client accepts is on offer. Becomes upstream's 406.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only the following media types are accepted: {offered}")]
pub struct NotAcceptable {
    offered: String,
}

impl From<NotAcceptable> for ApiError {
    fn from(error: NotAcceptable) -> Self {
        ApiError::new(406, "NotAcceptable", error.to_string())
    }
}

/// Chooses what to answer. No header means JSON.
pub fn negotiate(accept: &str, offer: Offer) -> Result<Media, NotAcceptable> {
    if accept.trim().is_empty() {
        return Ok(Media { encoding: Encoding::Json, shape: Shape::Object, pretty: false });
    }
    let offered = offered(offer);
    for clause in clauses(accept) {
        let Some(shape) = clause.shape(offer) else { continue };
        if clause.parameter("stream").is_some_and(|stream| !stream.is_empty() && stream != "watch") {
            continue;
        }
        let found = offered.iter().find(|(_, subtype)| clause.matches("application", subtype));
        let Some((encoding, _)) = found else { continue };
        return Ok(Media { encoding: *encoding, shape, pretty: clause.parameter("pretty") == Some("1") });
    }
    let names: Vec<String> = offered.iter().map(|(_, subtype)| format!("application/{subtype}")).collect();
    Err(NotAcceptable { offered: names.join(", ") })
}

fn offered(offer: Offer) -> Vec<(Encoding, &'static str)> {
    let all = [
        (true, Encoding::Json, "json"),
        (offer.yaml, Encoding::Yaml, "yaml"),
        (offer.protobuf, Encoding::Protobuf, "vnd.kubernetes.protobuf"),
    ];
    all.into_iter().filter(|(offered, ..)| *offered).map(|(_, encoding, subtype)| (encoding, subtype)).collect()
}

/// The version of `Table` that the header asks for first of all, in any encoding.
pub fn wants_table(accept: &str) -> Option<MetaVersion> {
    match negotiate(accept, Offer { yaml: true, protobuf: true, shapes: true }) {
        Ok(Media { shape: Shape::Table(version), .. }) => Some(version),
        _ => None,
    }
}
