//! Becoming the container's user with its capabilities, exactly as its first process did.
use super::super::executable::Unrunnable;
use super::enter::during;
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, PosixRlimitType, Process, User};

/// The kernel's numbers, in its order.
const NUMBERED: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

/// The capabilities in a bit mask as `/proc/<pid>/status` shows it.
pub fn from_mask(mask: u64) -> Capabilities {
    NUMBERED.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, c)| *c).collect()
}

fn mask(set: Option<&Capabilities>) -> u64 {
    let has = |c: &Capability| set.is_some_and(|s| s.contains(c));
    NUMBERED.iter().enumerate().filter(|(_, c)| has(c)).fold(0, |mask, (n, _)| mask | 1 << n)
}

/// Resource limits, as far as the host allows.
pub fn set_limits(process: &Process) {
    for limit in process.rlimits().iter().flatten() {
        let Some(resource) = resource(limit.typ()) else { continue };
        let value = libc::rlimit { rlim_cur: limit.soft(), rlim_max: limit.hard() };
        // SAFETY: `value` is a whole rlimit; an error leaves the limit as it was.
        unsafe { libc::setrlimit(resource, &value) };
    }
}

fn resource(kind: PosixRlimitType) -> Option<libc::__rlimit_resource_t> {
    Some(match kind {
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        _ => return None,
    })
}

/// Groups, group and user. The permitted capabilities are kept over the change, for [`set_capabilities`] to cut down.
pub fn become_user(user: &User) -> Result<(), Unrunnable> {
    let groups: Vec<Gid> = user.additional_gids().iter().flatten().map(|g| Gid::from_raw(*g)).collect();
    setgroups(&groups).map_err(during("set the supplementary groups"))?;
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    setresgid(gid, gid, gid).map_err(during("set the group"))?;
    nix::sys::prctl::set_keepcaps(true).map_err(during("keep capabilities"))?;
    setresuid(uid, uid, uid).map_err(during("set the user"))?;
    nix::sys::prctl::set_keepcaps(false).map_err(during("keep capabilities"))
}

/// Sets all five capability sets. No configuration at all means no capabilities.
pub fn set_capabilities(wanted: Option<&LinuxCapabilities>) -> Result<(), Unrunnable> {
    let set = |pick: fn(&LinuxCapabilities) -> &Option<Capabilities>| mask(wanted.and_then(|w| pick(w).as_ref()));
    let [effective, permitted, inheritable] =
        [set(LinuxCapabilities::effective), set(LinuxCapabilities::permitted), set(LinuxCapabilities::inheritable)];
    // The bounding set goes first: lowering it needs CAP_SETPCAP, which the last step may take. A change of user emptied the
    // effective set, so all that is permitted is made effective once more for it.
    let now = capget().map_err(during("read the capabilities"))?;
    capset(Sets { effective: now.permitted, ..now }).map_err(during("set the capabilities"))?;
    let bounding = set(LinuxCapabilities::bounding);
    for number in (0..64).filter(|n| bounding >> n & 1 == 0) {
        // SAFETY: plain integers. A number the kernel does not know answers EINVAL.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } < 0 && Errno::last() != Errno::EINVAL {
            return Err(during("lower the bounding set")(Errno::last()));
        }
    }
    capset(Sets { effective, permitted, inheritable }).map_err(during("set the capabilities"))?;
    let ambient = set(LinuxCapabilities::ambient);
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    for number in (0..64).filter(|n| ambient >> n & 1 == 1) {
        // SAFETY: plain integers.
        if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number, 0, 0) } < 0 {
            return Err(during("raise an ambient capability")(Errno::last()));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// The kernel's `__user_cap_header_struct`; version 3 comes with two data records, low bits first.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

fn capget() -> Result<Sets, Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: both have the kernel's layout, and version 3 writes two records.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) })?;
    let [low, high] = data;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

fn capset(sets: Sets) -> Result<(), Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: both have the kernel's layout, and version 3 reads two records.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_follow_the_kernels_numbers() {
        let set: Capabilities = [Capability::Chown, Capability::NetRaw, Capability::CheckpointRestore].into_iter().collect();
        assert_eq!(mask(Some(&set)), 1 | 1 << 13 | 1 << 40);
        assert_eq!(from_mask(mask(Some(&set))), set);
        assert_eq!(mask(None), 0);
    }
}
