//! Resource limits for the container's cgroup. libcgroups writes them for v1 and converts them for v2.
use super::SpecError;
use crate::runtime::api::Limits;
use crate::runtime::containers::cgroup::{cpu_quota, cpu_shares};
use oci_spec::runtime::{
    LinuxCpuBuilder, LinuxDeviceCgroupBuilder, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder,
};

/// upstream's `cpuCFSQuotaPeriod`, microseconds.
const PERIOD: u64 = 100_000;

pub fn resources(limits: &Limits, privileged: bool) -> Result<LinuxResources, SpecError> {
    // Everything is denied first; libcontainer then allows the standard devices.
    let devices = LinuxDeviceCgroupBuilder::default().allow(privileged).access("rwm").build()?;
    let mut cpu = LinuxCpuBuilder::default().shares(cpu_shares(limits));
    if let Some(quota) = cpu_quota(limits) {
        cpu = cpu.quota(quota).period(PERIOD);
    }
    let mut all = LinuxResourcesBuilder::default().devices(vec![devices]).cpu(cpu.build()?);
    if limits.memory_limit > 0 {
        let limit = i64::try_from(limits.memory_limit).unwrap_or(i64::MAX);
        all = all.memory(LinuxMemoryBuilder::default().limit(limit).build()?);
    }
    if limits.pids > 0 {
        let limit = i64::try_from(limits.pids).unwrap_or(i64::MAX);
        all = all.pids(LinuxPidsBuilder::default().limit(limit).build()?);
    }
    Ok(all.build()?)
}
