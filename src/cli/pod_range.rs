//! Which addresses pods get when the cluster file leaves it open: clusters on one machine must not share a range.
use super::CliError;
use crate::config::{Cidr, Config};
use std::net::Ipv4Addr;
use std::path::Path;

/// Where a data directory remembers its range.
const FILE: &str = "pod-cidr";
/// Ranges to take, the default first: `10.<n>.0.0/16`.
const CANDIDATES: std::ops::RangeInclusive<u8> = 244..=254;

/// Settles `network.podCidr`: what the file says, else what this cluster has always had, else the first range that no network
/// of this machine touches.
pub fn settle(config: &mut Config, data_dir: &Path) -> Result<(), CliError> {
    if config.network.pod_cidr.is_some() {
        return Ok(());
    }
    let file = data_dir.join(FILE);
    let told = |e: std::io::Error| CliError::failed(format!("{}: {e}", file.display()));
    let range = match std::fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().map_err(|e| CliError::failed(format!("{}: {e}", file.display())))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let taken = routed(&std::fs::read_to_string("/proc/net/route").unwrap_or_default());
            let range = first_free(&taken, config.network.service_cidr).ok_or_else(|| {
                CliError::usage("every range from 10.244.0.0/16 to 10.254.0.0/16 is in use on this machine; set network.podCidr")
            })?;
            std::fs::write(&file, format!("{range}\n")).map_err(told)?;
            range
        }
        Err(error) => return Err(told(error)),
    };
    config.network.pod_cidr = Some(range);
    Ok(())
}

fn first_free(taken: &[Cidr], services: Cidr) -> Option<Cidr> {
    let mut candidates = CANDIDATES.map(|n| Cidr::new([10, n, 0, 0], 16));
    candidates.find(|range| !range.overlaps(&services) && !taken.iter().any(|t| t.overlaps(range)))
}

/// The networks in the kernel's routing table, default routes aside. Addresses are hexadecimal in host order there.
fn routed(table: &str) -> Vec<Cidr> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| fields.get(i).and_then(|t| u32::from_str_radix(t, 16).ok()).map(u32::swap_bytes);
        let (address, mask) = (number(1)?, number(7)?);
        Some(Cidr { address: Ipv4Addr::from(address), prefix: u8::try_from(mask.count_ones()).ok()? })
    };
    table.lines().skip(1).filter_map(parse).filter(|c| c.prefix > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010010AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        br0\t0000F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn a_range_that_is_in_use_is_passed_over() {
        let taken = routed(TABLE);
        assert_eq!(taken, [Cidr::new([10, 244, 0, 0], 24)]);
        let services = Cidr::new([10, 96, 0, 0], 12);
        assert_eq!(first_free(&taken, services), Some(Cidr::new([10, 245, 0, 0], 16)));
        assert_eq!(first_free(&[], services), Some(Cidr::new([10, 244, 0, 0], 16)));
        assert_eq!(first_free(&[Cidr::new([10, 0, 0, 0], 8)], services), None);
    }

    #[test]
    fn a_cluster_keeps_its_range() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(FILE), "10.250.0.0/16\n").expect("written");
        let mut config = Config::default();
        settle(&mut config, dir.path()).expect("settled");
        assert_eq!(config.network.pod_cidr(), Cidr::new([10, 250, 0, 0], 16));
    }
}
