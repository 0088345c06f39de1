//! In which order groups and versions are listed. The first version of a group is the preferred one, and clients resolve
//! an ambiguous resource name to the first group that has it.
use crate::resource::Resource;

/// Upstream's order of the built-in groups. Others follow by name, then aggregated metrics, then groups that are no more.
const GROUPS: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

/// A group and its versions, the preferred one first, each with its resources in order of their plural names.
pub struct Group<'a> {
    pub name: &'a str,
    pub versions: Vec<(&'a str, Vec<&'a Resource>)>,
}

/// The groups that these resources are in, in order.
pub fn groups<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Vec<Group<'a>> {
    let mut all: Vec<&Resource> = resources.into_iter().collect();
    all.sort_by(|a, b| {
        let key = |r: &Resource| (rank(r.group), r.group, std::cmp::Reverse(version_rank(r.version)), r.version, r.plural);
        key(a).cmp(&key(b))
    });
    let mut out: Vec<Group<'a>> = Vec::new();
    for resource in all {
        if out.last().is_none_or(|group| group.name != resource.group) {
            out.push(Group { name: resource.group, versions: Vec::new() });
        }
        let Some(group) = out.last_mut() else { continue };
        match group.versions.last_mut() {
            Some((version, resources)) if *version == resource.version => resources.push(resource),
            _ => group.versions.push((resource.version, vec![resource])),
        }
    }
    out
}

fn rank(group: &str) -> usize {
    let last = match group {
        "metrics.k8s.io" => GROUPS.len() + 1,
        // Groups of which Kubernetes serves nothing any more come last of all: no name may mean theirs first.
        "extensions" | "settings.k8s.io" => GROUPS.len() + 2,
        _ => GROUPS.len(),
    };
    GROUPS.iter().position(|known| *known == group).unwrap_or(last)
}

/// The higher, the more preferred: stable before beta before alpha, then by number. Names that are no versions come last.
fn version_rank(version: &str) -> (u8, u32, u32) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let (major, tail) = split_number(rest)?;
        let (stage, number) = match tail {
            "" => (3, ""),
            tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
                (Some(number), _) => (2, number),
                (_, Some(number)) => (1, number),
                _ => return None,
            },
        };
        if stage == 3 {
            return Some((3, major, 0));
        }
        let (minor, "") = split_number(number)? else { return None };
        Some((stage, major, minor))
    };
    parse().unwrap_or((0, 0, 0))
}

fn split_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    digits.parse().ok().map(|number| (number, rest))
}
