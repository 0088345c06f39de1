//! The checks of rights that need the object, as part of admission: in front of everything else that validates.
use super::authorizer::Authorizer;
use super::restriction::Written;
use crate::actors::kinds::{Admission, Asked, Attributes};
use crate::protocol::authority::Attributes as Wanted;
use crate::protocol::status::ApiError;
use crate::storage::Change;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// Checks rights, and leaves the rest to the next.
pub struct Rights {
    authorizer: Arc<Authorizer>,
    next: Arc<dyn Admission>,
}

impl Rights {
    pub fn before(next: Arc<dyn Admission>, authorizer: Arc<Authorizer>) -> Arc<dyn Admission> {
        Arc::new(Rights { authorizer, next })
    }
}

impl Admission for Rights {
    fn mutate(&self, attributes: &Attributes<'_>, object: &mut Value, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        self.next.mutate(attributes, object, old)
    }

    fn validate(&self, attributes: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        let resource = &attributes.kind.resource;
        let written = Written {
            operation: attributes.operation.as_str(),
            group: resource.group,
            resource: resource.plural,
            subresource: attributes.subresource,
            namespace: &attributes.key.namespace,
            name: &attributes.key.name,
            object,
            old,
        };
        self.authorizer.check_write(attributes.user, &written)?;
        self.next.validate(attributes, object, old)
    }

    fn charges(&self, attributes: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<Change>, ApiError> {
        self.next.charges(attributes, object, old)
    }

    fn may_create(&self, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let resource = &attributes.kind.resource;
        let wanted = Wanted {
            verb: "create",
            group: resource.group,
            version: resource.version,
            resource: resource.plural,
            namespace: &attributes.key.namespace,
            name: &attributes.key.name,
            ..Wanted::default()
        };
        self.authorizer.authorize(attributes.user, &wanted)?;
        self.next.may_create(attributes)
    }

    fn asks(&self, attributes: &Attributes<'_>) -> bool {
        self.next.asks(attributes)
    }

    fn ask_mutating<'a>(&'a self, attributes: Attributes<'a>, object: Value, old: Option<&'a Value>) -> BoxFuture<'a, Asked<Value>> {
        self.next.ask_mutating(attributes, object, old)
    }

    fn ask_validating<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Asked<()>> {
        self.next.ask_validating(attributes, object, old)
    }
}
