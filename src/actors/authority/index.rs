//! Roles by binding by subject, so that a decision looks at what its user has and at nothing else. All maps are persistent:
//! the next state of the index costs as much as what changed, and readers keep the one they have.
use crate::protocol::authority::{Attributes, PolicyRule, RBAC, account_user};
use crate::protocol::meta::ObjectKey;
use crate::protocol::user::User;
use imbl::{HashMap, OrdMap};
use serde_json::Value;
use std::sync::Arc;

/// The role that a binding gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleRef {
    /// A ClusterRole; otherwise a Role of the binding's namespace.
    pub cluster: bool,
    pub name: Arc<str>,
}

/// Somebody in a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    User(Arc<str>),
    Group(Arc<str>),
    Account { namespace: Arc<str>, name: Arc<str> },
}

/// Which binding allowed something.
#[derive(Clone, Debug)]
pub struct Why {
    namespace: Arc<str>,
    binding: Arc<str>,
    role: RoleRef,
    subject: Subject,
}

#[derive(Debug)]
struct Binding {
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// The bindings that give a role to one subject: any of them will do.
type Grants = OrdMap<RoleRef, OrdMap<Arc<str>, Subject>>;
type BySubject = HashMap<Arc<str>, Grants>;

/// The bindings of one namespace, or those of the cluster.
#[derive(Clone, Debug, Default)]
struct Scope {
    users: BySubject,
    groups: BySubject,
    /// By user name.
    accounts: BySubject,
}

/// All roles and bindings.
#[derive(Clone, Debug, Default)]
pub struct RbacIndex {
    cluster_roles: HashMap<Arc<str>, Arc<[PolicyRule]>>,
    roles: HashMap<ObjectKey, Arc<[PolicyRule]>>,
    /// Those of the cluster have an empty namespace.
    bindings: HashMap<ObjectKey, Arc<Binding>>,
    scopes: HashMap<Arc<str>, Scope>,
}

impl RbacIndex {
    /// Takes in a Role (with a namespace) or a ClusterRole; `None` when it is gone.
    pub fn set_role(&mut self, key: &ObjectKey, role: Option<&Value>) {
        let rules: Option<Arc<[PolicyRule]>> = role.map(|r| PolicyRule::of_role(r).into());
        match (rules, key.namespace.is_empty()) {
            (Some(rules), true) => drop(self.cluster_roles.insert(key.name.clone(), rules)),
            (Some(rules), false) => drop(self.roles.insert(key.clone(), rules)),
            (None, true) => drop(self.cluster_roles.remove(&key.name)),
            (None, false) => drop(self.roles.remove(key)),
        }
    }

    /// Takes in a RoleBinding (with a namespace) or a ClusterRoleBinding; `None` when it is gone.
    pub fn set_binding(&mut self, key: &ObjectKey, binding: Option<&Value>) {
        if let Some(old) = self.bindings.remove(key) {
            self.file(key, &old, false);
        }
        if let Some(binding) = binding.map(|b| Arc::new(Binding::parse(b, &key.namespace))) {
            self.file(key, &binding, true);
            self.bindings.insert(key.clone(), binding);
        }
    }

    fn file(&mut self, key: &ObjectKey, binding: &Binding, add: bool) {
        let scope = self.scopes.entry(key.namespace.clone()).or_default();
        for subject in &binding.subjects {
            let (map, name) = match subject {
                Subject::User(name) => (&mut scope.users, name.clone()),
                Subject::Group(name) => (&mut scope.groups, name.clone()),
                Subject::Account { namespace, name } => (&mut scope.accounts, account_user(namespace, name).into()),
            };
            let grants = map.entry(name.clone()).or_default();
            let givers = grants.entry(binding.role.clone()).or_default();
            if add {
                givers.insert(key.name.clone(), subject.clone());
                continue;
            }
            givers.remove(&key.name);
            if givers.is_empty() {
                grants.remove(&binding.role);
            }
            if grants.is_empty() {
                map.remove(&name);
            }
        }
        if scope.users.is_empty() && scope.groups.is_empty() && scope.accounts.is_empty() {
            self.scopes.remove(&key.namespace);
        }
    }

    /// The first binding that allows a request; or why bindings could not be followed, empty when there was no trouble.
    pub fn allows(&self, user: &User, wanted: &Attributes<'_>) -> Result<Why, String> {
        let mut troubles: Vec<String> = Vec::new();
        let mut found = None;
        self.visit(user, wanted.namespace, |namespace, role, givers| {
            match self.rules(role, namespace) {
                Ok(rules) if rules.iter().any(|rule| rule.allows(wanted)) => {
                    found = givers.iter().next().map(|(binding, subject)| Why {
                        namespace: namespace.clone(),
                        binding: binding.clone(),
                        role: role.clone(),
                        subject: subject.clone(),
                    });
                }
                Ok(_) => {}
                Err(trouble) if !troubles.contains(&trouble) => troubles.push(trouble),
                Err(_) => {}
            }
            found.is_none()
        });
        found.ok_or_else(|| joined(&troubles))
    }

    /// Every rule that a user has in a namespace (empty: in the whole cluster), and what could not be followed.
    pub fn rules_of(&self, user: &User, namespace: &str) -> (Vec<PolicyRule>, String) {
        let (mut all, mut troubles) = (Vec::new(), Vec::new());
        self.visit(user, namespace, |namespace, role, _| {
            match self.rules(role, namespace) {
                Ok(rules) => all.extend(rules.iter().cloned()),
                Err(trouble) => troubles.push(trouble),
            }
            true
        });
        (all, joined(&troubles))
    }

    /// The rules of a role that a binding in `namespace` refers to. The error is upstream's.
    pub fn rules(&self, role: &RoleRef, namespace: &str) -> Result<&Arc<[PolicyRule]>, String> {
        let (found, kind) = match role.cluster {
            true => (self.cluster_roles.get(&*role.name), "clusterrole"),
            false => (self.roles.get(&ObjectKey::new(namespace, role.name.clone())), "role"),
        };
        found.ok_or_else(|| format!("{kind}.{RBAC} \"{}\" not found", role.name))
    }

    /// Shows `see` the roles that a user has, those of the whole cluster first, until it answers no.
    fn visit(&self, user: &User, namespace: &str, mut see: impl FnMut(&Arc<str>, &RoleRef, &OrdMap<Arc<str>, Subject>) -> bool) {
        let namespaces = [Some(""), Some(namespace).filter(|n| !n.is_empty())];
        for (namespace, scope) in namespaces.into_iter().flatten().filter_map(|n| self.scopes.get_key_value(n)) {
            let own = [scope.users.get(&*user.name), scope.accounts.get(&*user.name)];
            let groups = user.groups.iter().map(|group| scope.groups.get(&**group));
            for (role, givers) in own.into_iter().chain(groups).flatten().flat_map(OrdMap::iter) {
                if !see(namespace, role, givers) {
                    return;
                }
            }
        }
    }
}

impl RoleRef {
    /// From a binding's `roleRef`.
    pub fn parse(reference: &Value) -> RoleRef {
        RoleRef { cluster: reference["kind"] == "ClusterRole", name: reference["name"].as_str().unwrap_or_default().into() }
    }
}

impl Binding {
    fn parse(binding: &Value, namespace: &str) -> Binding {
        let subject = |subject: &Value| {
            let text = |field: &str| subject[field].as_str().unwrap_or_default();
            let name: Arc<str> = text("name").into();
            match text("kind") {
                "User" => Some(Subject::User(name)),
                "Group" => Some(Subject::Group(name)),
                // An account without a namespace is one of the binding's own.
                "ServiceAccount" => {
                    let of = if text("namespace").is_empty() { namespace } else { text("namespace") };
                    (!of.is_empty()).then(|| Subject::Account { namespace: of.into(), name })
                }
                _ => None,
            }
        };
        let subjects = binding["subjects"].as_array().into_iter().flatten().filter_map(subject).collect();
        Binding { role: RoleRef::parse(&binding["roleRef"]), subjects }
    }
}

impl std::fmt::Display for Why {
    /// `RBAC: allowed by RoleBinding "b/n" of ClusterRole "view" to User "jane"`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = if self.role.cluster { "ClusterRole" } else { "Role" };
        match &*self.namespace {
            "" => write!(f, "RBAC: allowed by ClusterRoleBinding \"{}\"", self.binding)?,
            namespace => write!(f, "RBAC: allowed by RoleBinding \"{}/{namespace}\"", self.binding)?,
        }
        write!(f, " of {role} \"{}\" to ", self.role.name)?;
        match &self.subject {
            Subject::User(name) => write!(f, "User \"{name}\""),
            Subject::Group(name) => write!(f, "Group \"{name}\""),
            Subject::Account { namespace, name } => write!(f, "ServiceAccount \"{name}/{namespace}\""),
        }
    }
}

/// Several errors as upstream prints them together.
fn joined(troubles: &[String]) -> String {
    match troubles {
        [] => String::new(),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}
