//! A container's capabilities.
use super::SpecError;
use crate::runtime::api::Security;
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};
use std::str::FromStr;

/// What containerd gives a container that asks for nothing.
const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// The bounding, effective and permitted sets; nothing is inheritable or ambient. Nothing outside our own bounding set is granted.
pub fn sets(security: &Security, bounding: &Capabilities) -> Result<LinuxCapabilities, SpecError> {
    let granted: Capabilities = granted(security, bounding)?.intersection(bounding).copied().collect();
    let none = Capabilities::new();
    Ok(LinuxCapabilitiesBuilder::default()
        .bounding(granted.clone())
        .effective(granted.clone())
        .permitted(granted)
        .inheritable(none.clone())
        .ambient(none)
        .build()?)
}

/// `ALL` is taken first, in both lists; then single ones are added, then dropped.
pub fn granted(security: &Security, all: &Capabilities) -> Result<Capabilities, SpecError> {
    if security.privileged {
        return Ok(all.clone());
    }
    let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
    let mut set: Capabilities = match () {
        () if security.add_capabilities.iter().any(is_all) => all.clone(),
        () if security.drop_capabilities.iter().any(is_all) => Capabilities::new(),
        () => DEFAULT.into_iter().collect(),
    };
    for name in security.add_capabilities.iter().filter(|n| !is_all(n)) {
        set.insert(parse(name)?);
    }
    for name in security.drop_capabilities.iter().filter(|n| !is_all(n)) {
        set.remove(&parse(name)?);
    }
    Ok(set)
}

fn parse(name: &str) -> Result<Capability, SpecError> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    Capability::from_str(bare).map_err(|_| SpecError::UnknownCapability(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(add: &[&str], drop: &[&str]) -> usize {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let security = Security { add_capabilities: own(add), drop_capabilities: own(drop), ..Security::default() };
        let mut host: Capabilities = DEFAULT.into_iter().collect();
        host.extend([Capability::NetAdmin, Capability::SysAdmin]);
        sets(&security, &host).expect("known names").bounding().as_ref().map_or(0, Capabilities::len)
    }

    #[test]
    fn adding_and_dropping() {
        assert_eq!(count(&[], &[]), 14);
        assert_eq!(count(&["NET_ADMIN"], &["CAP_CHOWN"]), 14);
        assert_eq!(count(&[], &["ALL"]), 0);
        assert_eq!(count(&["NET_BIND_SERVICE"], &["all"]), 1);
        assert_eq!(count(&["ALL"], &["SYS_ADMIN"]), 15);
        // Not in our bounding set, so it can't be had.
        assert_eq!(count(&["SYS_RESOURCE"], &[]), 14);
        let unknown = Security { add_capabilities: vec!["FLY".into()], ..Security::default() };
        assert!(matches!(sets(&unknown, &Capabilities::new()), Err(SpecError::UnknownCapability(_))));
    }
}
