//! The same object in another version or group, for those who asked for that one.
use crate::actors::kinds::custom::{Family, Version};
use crate::actors::kinds::{Attributes, Kind, family, schema_of};
use crate::protocol::apply::Schema;
use crate::protocol::resource::Resource;
use crate::protocol::status::ApiError;
use serde_json::Value;

/// In which form somebody gets the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// As the request has it.
    Same,
    /// As this one of the built-in kinds that share the object has it; its place among them.
    Kind(usize),
    /// As this version of the definition has it; its place among all versions.
    Version(usize),
}

/// Other forms of the same objects, each with the resource that they are. A definition's versions count whether they are served or not.
pub fn equivalents<'a>(a: &Attributes<'a>) -> impl Iterator<Item = (Target, &'a Resource)> {
    let built_in = family(a.kind).iter().enumerate().map(|(at, kind)| (Target::Kind(at), &kind.resource));
    let versions = versions(a.kind).iter().enumerate().map(|(at, version)| (Target::Version(at), &version.resource));
    let (own, subresource) = (&a.kind.resource, a.subresource);
    let is_other = move |resource: &Resource| (resource.group, resource.version) != (own.group, own.version);
    let has_part = move |resource: &Resource| subresource.is_empty() || resource.subresource(subresource).is_some();
    built_in.chain(versions).filter(move |(_, resource)| is_other(resource) && has_part(resource))
}

fn versions(kind: &Kind) -> &[std::sync::Arc<Version>] {
    kind.reading().map(|reading| reading.family().versions()).unwrap_or_default()
}

/// The form of one of [`equivalents`], looked up.
enum Form<'a> {
    Same,
    Kind(&'static Kind),
    Version(&'a Family, &'a Version),
}

impl Target {
    fn form<'a>(self, a: &Attributes<'a>) -> Form<'a> {
        match self {
            Target::Same => Form::Same,
            Target::Kind(at) => family(a.kind).get(at).map_or(Form::Same, |kind| Form::Kind(kind)),
            Target::Version(at) => {
                let family = a.kind.reading().map(|reading| reading.family());
                family.and_then(|family| Some(Form::Version(family, family.versions().get(at)?))).unwrap_or(Form::Same)
            }
        }
    }

    pub fn resource<'a>(self, a: &Attributes<'a>) -> &'a Resource {
        match self.form(a) {
            Form::Same => &a.kind.resource,
            Form::Kind(kind) => &kind.resource,
            Form::Version(_, version) => &version.resource,
        }
    }

    /// How objects of this form are merged.
    pub fn managed(self, a: &Attributes<'_>) -> Schema {
        match self.form(a) {
            Form::Same => schema_of(a.kind),
            Form::Kind(kind) => schema_of(kind),
            Form::Version(_, version) => version.managed.clone(),
        }
    }

    /// The object as `self` wants it.
    ///
    /// # Errors
    /// Those of a conversion webhook.
    pub async fn present(self, a: &Attributes<'_>, object: &Value) -> Result<Value, ApiError> {
        match self.form(a) {
            Form::Kind(kind) if is_whole(a) => Ok(convert(a.kind, kind, object)),
            Form::Version(family, version) if is_whole(a) => turned(family, object.clone(), &version.resource).await,
            _ => Ok(object.clone()),
        }
    }

    /// What `self` answered, as the request has it. It has the defaults of the form that it was answered in.
    ///
    /// # Errors
    /// Those of a conversion webhook.
    pub async fn take_back(self, a: &Attributes<'_>, mut object: Value) -> Result<Value, ApiError> {
        match self.form(a) {
            Form::Kind(kind) if is_whole(a) => {
                kind.default(&mut object);
                Ok(convert(kind, a.kind, &object))
            }
            Form::Version(family, version) if is_whole(a) => {
                version.default(&mut object);
                turned(family, object, &a.kind.resource).await
            }
            _ => Ok(object),
        }
    }
}

/// Whether the request's object is one of its kind, and not a Scale, a Binding or the like.
fn is_whole(a: &Attributes<'_>) -> bool {
    a.subresource.is_empty() || a.subresource == "status"
}

async fn turned(family: &Family, object: Value, to: &Resource) -> Result<Value, ApiError> {
    let mut turned = family.turned(vec![object], &to.api_version()).await?;
    turned.pop().ok_or_else(|| ApiError::internal("a conversion lost the object"))
}

fn convert(from: &Kind, to: &Kind, object: &Value) -> Value {
    let mut converted = object.clone();
    if let Some(view) = from.view {
        (view.to_stored)(&mut converted);
    }
    if let Some(view) = to.view {
        (view.from_stored)(&mut converted);
    }
    converted["kind"] = to.resource.kind.into();
    converted["apiVersion"] = to.resource.api_version().into();
    converted
}

/// The objects of one request in the forms that are asked for, each converted once. For those who only look.
#[derive(Default)]
pub struct Presented {
    forms: Vec<(Target, Shown)>,
}

/// The new and the old object in one form.
#[derive(Clone, Default)]
pub struct Shown {
    pub object: Option<Value>,
    pub old: Option<Value>,
}

impl Shown {
    /// Both as `target` wants them.
    ///
    /// # Errors
    /// Those of a conversion webhook.
    pub async fn of(a: &Attributes<'_>, target: Target, object: Option<&Value>, old: Option<&Value>) -> Result<Shown, ApiError> {
        let mut shown = Shown::default();
        if let Some(object) = object {
            shown.object = Some(target.present(a, object).await?);
        }
        if let Some(old) = old {
            shown.old = Some(target.present(a, old).await?);
        }
        Ok(shown)
    }
}

impl Presented {
    /// [`Shown::of`], remembered.
    ///
    /// # Errors
    /// Those of a conversion webhook.
    pub async fn of(&mut self, a: &Attributes<'_>, target: Target, object: Option<&Value>, old: Option<&Value>) -> Result<Shown, ApiError> {
        if let Some((_, shown)) = self.forms.iter().find(|(known, _)| *known == target) {
            return Ok(shown.clone());
        }
        let shown = Shown::of(a, target, object, old).await?;
        self.forms.push((target, shown.clone()));
        Ok(shown)
    }
}
