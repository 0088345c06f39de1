//! Who a container's process is: the pod's settings first, the image's USER and its user databases otherwise.
use super::SpecError;
use crate::runtime::api::Security;

/// The image's `/etc/passwd` and `/etc/group`, as text; empty where missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFiles {
    pub passwd: String,
    pub group: String,
}

/// A resolved identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, the primary one among them, sorted.
    pub groups: Vec<u32>,
    pub home: String,
}

struct PasswdLine<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct GroupLine<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn passwd(text: &str) -> impl Iterator<Item = PasswdLine<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(PasswdLine { name, uid, gid, home: fields.nth(1).unwrap_or("") })
    })
}

fn groups(text: &str) -> impl Iterator<Item = GroupLine<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        Some(GroupLine { name, gid, members: fields.next().unwrap_or("") })
    })
}

/// Resolves the identity and applies `runAsNonRoot`.
pub fn resolve(security: &Security, image_user: &str, files: &UserFiles) -> Result<Identity, SpecError> {
    let (image_name, image_group) = image_user.split_once(':').unwrap_or((image_user, ""));
    check_non_root(security, image_name)?;

    // `runAsUser` takes the place of USER, its group included.
    let wanted = security.run_as_user.map_or_else(|| image_name.to_owned(), |uid| uid.to_string());
    let group = if security.run_as_user.is_some() { "" } else { image_group };
    let wanted = if wanted.is_empty() { "0" } else { &wanted };
    let number = wanted.parse::<u32>().ok();
    // A name made of digits is taken as a number, as container runtimes do.
    let entry = passwd(&files.passwd).find(|line| number.map_or(line.name == wanted, |uid| line.uid == uid));
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(SpecError::NoUser(wanted.to_owned())),
    };
    let gid = match (security.run_as_group, group) {
        (Some(gid), _) => gid,
        (None, "") => entry.as_ref().map_or(0, |e| e.gid),
        (None, name) => find_group(name, &files.group)?,
    };
    let mut all = vec![gid];
    if let Some(entry) = &entry {
        let has = |line: &GroupLine<'_>| line.members.split(',').any(|member| member == entry.name);
        all.extend(groups(&files.group).filter(has).map(|line| line.gid));
    }
    all.extend(&security.supplemental_groups);
    all.extend(security.fs_group);
    all.sort_unstable();
    all.dedup();
    let home = entry.map(|e| e.home).filter(|h| !h.is_empty()).unwrap_or("/").to_owned();
    Ok(Identity { uid, gid, groups: all, home })
}

fn find_group(name: &str, text: &str) -> Result<u32, SpecError> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    groups(text).find(|line| line.name == name).map(|line| line.gid).ok_or_else(|| SpecError::NoGroup(name.to_owned()))
}

/// Names are not trusted, whatever the image's user database says they are: upstream decides on the configuration alone.
fn check_non_root(security: &Security, image_name: &str) -> Result<(), SpecError> {
    if !security.run_as_non_root {
        return Ok(());
    }
    match (security.run_as_user, image_name.parse::<u32>()) {
        (Some(0), _) => Err(SpecError::RunAsRoot),
        (Some(_), _) => Ok(()),
        (None, Ok(0)) => Err(SpecError::ImageRunsAsRoot),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) if image_name.is_empty() => Err(SpecError::ImageRunsAsRoot),
        (None, Err(_)) => Err(SpecError::NonNumericUser(image_name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> UserFiles {
        UserFiles {
            passwd: "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:100:App:/home/app:/bin/sh\n".into(),
            group: "root:x:0:\nusers:x:100:\naudio:x:29:other,app\nwheel:x:10:root\n".into(),
        }
    }

    fn identity(security: Security, user: &str) -> Result<(u32, u32, Vec<u32>, String), String> {
        resolve(&security, user, &files()).map(|i| (i.uid, i.gid, i.groups, i.home)).map_err(|e| e.to_string())
    }

    #[test]
    fn users_come_from_the_pod_then_the_image() {
        let none = Security::default;
        assert_eq!(identity(none(), ""), Ok((0, 0, vec![0, 10], "/root".into())));
        assert_eq!(identity(none(), "app"), Ok((1000, 100, vec![29, 100], "/home/app".into())));
        assert_eq!(identity(none(), "1000:wheel"), Ok((1000, 10, vec![10, 29], "/home/app".into())));
        assert_eq!(identity(none(), "4242"), Ok((4242, 0, vec![0], "/".into())));
        let pod = Security { run_as_user: Some(7), supplemental_groups: vec![5], fs_group: Some(3), ..none() };
        assert_eq!(identity(pod, "app:wheel"), Ok((7, 0, vec![0, 3, 5], "/".into())));
        let group = Security { run_as_group: Some(8), ..none() };
        assert_eq!(identity(group, "app"), Ok((1000, 8, vec![8, 29], "/home/app".into())));
        assert_eq!(identity(none(), "ghost"), Err("unable to find user ghost: no matching entries in passwd file".into()));
        assert_eq!(identity(none(), "app:ghosts"), Err("unable to find group ghosts: no matching entries in group file".into()));
    }

    #[test]
    fn non_root_is_checked_before_names_are_believed() {
        let strict = |user| Security { run_as_non_root: true, run_as_user: user, ..Security::default() };
        assert!(identity(strict(None), "1000").is_ok());
        assert!(identity(strict(Some(1)), "").is_ok());
        assert_eq!(identity(strict(None), ""), Err("container has runAsNonRoot and image will run as root".into()));
        assert_eq!(identity(strict(None), "0:5"), Err("container has runAsNonRoot and image will run as root".into()));
        assert_eq!(identity(strict(Some(0)), "app"), Err("container's runAsUser breaks non-root policy".into()));
        assert!(identity(strict(None), "app").is_err_and(|e| e.contains("non-numeric user (app)")));
    }
}
