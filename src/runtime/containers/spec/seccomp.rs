//! The `RuntimeDefault` seccomp profile: what ordinary programs call is allowed, all else answers EPERM. The list is the one
//! that container runtimes agree on, grouped by what the calls are for. Native architecture only: a filter for several of them
//! doubles the time a container takes to start.
use super::{SpecError, capabilities};
use crate::runtime::api::Security;
use oci_spec::runtime::{
    Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArgBuilder, LinuxSeccompBuilder, LinuxSeccompOperator,
    LinuxSyscall, LinuxSyscallBuilder,
};

/// Namespace flags of `clone` and `unshare`.
const NAMESPACE_FLAGS: u64 = 0x7E02_0000;
/// The personalities that only ask for what is usual.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x20000, 0x20008, 0xffff_ffff];

const FILES: &str = "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 \
    fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr \
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init \
    inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat \
    mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat removexattr removexattrat rename \
    renameat renameat2 rmdir setxattr setxattrat stat statfs statx symlink symlinkat sync sync_file_range syncfs truncate umask \
    unlink unlinkat utime utimensat utimes cachestat";
const INPUT_OUTPUT: &str = "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old \
    eventfd eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl pipe pipe2 poll ppoll pread64 preadv \
    preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readv select sendfile signalfd signalfd4 splice tee timerfd_create \
    timerfd_gettime timerfd_settime vmsplice write writev";
const NETWORK: &str = "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg \
    sendmsg sendto setsockopt shutdown socketpair";
const MEMORY: &str = "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect \
    mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages";
const PROCESSES: &str = "alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait \
    futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid \
    getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill pause pidfd_open \
    pidfd_send_signal prctl prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction rt_sigpending \
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max \
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval \
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_thread_area \
    set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid \
    setrlimit setsid setuid sigaltstack tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime times \
    tkill vfork wait4 waitid";
const SYSTEM: &str = "adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep getrandom gettimeofday landlock_add_rule \
    landlock_create_ruleset landlock_restrict_self modify_ldt mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink \
    msgctl msgget msgrcv msgsnd nanosleep semctl semget semop semtimedop shmat shmctl shmdt shmget sysinfo uname";

/// Calls that come with a capability.
const WITH_CAPABILITY: [(Capability, &str); 11] = [
    (Capability::DacReadSearch, "open_by_handle_at"),
    (
        Capability::SysAdmin,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree \
         perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    (Capability::SysBoot, "reboot"),
    (Capability::SysChroot, "chroot"),
    (Capability::SysModule, "delete_module init_module finit_module"),
    (Capability::SysPacct, "acct"),
    (Capability::SysPtrace, "kcmp pidfd_getfd process_madvise"),
    (Capability::SysRawio, "iopl ioperm"),
    (Capability::SysTime, "settimeofday clock_settime"),
    (Capability::SysTtyConfig, "vhangup"),
    (Capability::SysNice, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
];

/// The profile the container asks for; `None` for none. Unset means unconfined, as upstream has it.
pub fn profile(security: &Security, bounding: &Capabilities) -> Result<Option<LinuxSeccomp>, SpecError> {
    match security.seccomp.as_str() {
        "" | "Unconfined" => Ok(None),
        "RuntimeDefault" => Ok(Some(runtime_default(&capabilities::granted(security, bounding)?)?)),
        other => Err(SpecError::Seccomp(other.to_owned())),
    }
}

fn runtime_default(capabilities: &Capabilities) -> Result<LinuxSeccomp, SpecError> {
    let mut names: Vec<String> = [FILES, INPUT_OUTPUT, NETWORK, MEMORY, PROCESSES, SYSTEM]
        .iter()
        .flat_map(|group| group.split_whitespace())
        .map(str::to_owned)
        .collect();
    for (capability, calls) in WITH_CAPABILITY {
        if capabilities.contains(&capability) {
            names.extend(calls.split_whitespace().map(str::to_owned));
        }
    }
    let mut rules = vec![LinuxSyscallBuilder::default().names(names).action(LinuxSeccompAction::ScmpActAllow).build()?];
    for personality in PERSONALITIES {
        rules.push(allow_if("personality", 0, LinuxSeccompOperator::ScmpCmpEq, personality, None)?);
    }
    // Virtual machine sockets are not namespaced.
    let vsock = u64::try_from(libc::AF_VSOCK).unwrap_or_default();
    rules.push(allow_if("socket", 0, LinuxSeccompOperator::ScmpCmpNe, vsock, None)?);
    if !capabilities.contains(&Capability::SysAdmin) {
        // Threads and processes, but no new namespaces.
        rules.push(allow_if("clone", 0, LinuxSeccompOperator::ScmpCmpMaskedEq, NAMESPACE_FLAGS, Some(0))?);
        // Its flags are in memory, where a filter can't look; ENOSYS makes C libraries fall back to `clone`.
        let refuse = LinuxSyscallBuilder::default().names(vec!["clone3".to_owned()]).action(LinuxSeccompAction::ScmpActErrno);
        rules.push(refuse.errno_ret(libc::ENOSYS as u32).build()?);
    }
    let profile = LinuxSeccompBuilder::default().default_action(LinuxSeccompAction::ScmpActErrno).default_errno_ret(libc::EPERM as u32);
    Ok(profile.syscalls(rules).build()?)
}

fn allow_if(name: &str, index: usize, op: LinuxSeccompOperator, value: u64, second: Option<u64>) -> Result<LinuxSyscall, SpecError> {
    let mut argument = LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    if let Some(second) = second {
        argument = argument.value_two(second);
    }
    let rule = LinuxSyscallBuilder::default().names(vec![name.to_owned()]).action(LinuxSeccompAction::ScmpActAllow);
    Ok(rule.args(vec![argument.build()?]).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_open_their_calls() {
        let allows = |capabilities: &[Capability], call: &str| {
            let profile = runtime_default(&capabilities.iter().copied().collect()).expect("a profile");
            let rules = profile.syscalls().clone().unwrap_or_default();
            rules
                .iter()
                .any(|r| r.action() == LinuxSeccompAction::ScmpActAllow && r.args().is_none() && r.names().iter().any(|n| n == call))
        };
        assert!(allows(&[], "openat") && !allows(&[], "mount") && !allows(&[], "io_uring_setup") && !allows(&[], "unshare"));
        assert!(allows(&[Capability::SysAdmin], "mount") && allows(&[Capability::SysTime], "clock_settime"));
        let wrong = Security { seccomp: "Localhost".into(), ..Security::default() };
        assert!(matches!(profile(&wrong, &Capabilities::new()), Err(SpecError::Seccomp(_))));
    }
}
