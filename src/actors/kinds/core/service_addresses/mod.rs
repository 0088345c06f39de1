//! Which addresses and node ports services have, and which a new or changed service gets.
//!
//! The set is kept up to date change by change with [`ServiceAddresses::observe`]; [`ServiceAddresses::allocate`] only fills in the
//! object. So a dry run, or a write that fails later on, leaves nothing behind. An owner that lets writes overlap observes the new
//! state when it accepts a write, and takes it back (`observe(new, old)`) when the commit fails.
mod band;
mod families;

#[cfg(test)]
mod tests;

use super::service::{needs_address, needs_health_check, needs_node_ports};
use crate::actors::kinds::Allocator;
use crate::actors::kinds::fields::texts;
use crate::protocol::net::Cidr;
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::validation::{network, text};
use band::{Band, Refusal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

/// Where node ports come from unless somebody configures otherwise.
pub const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

/// Why a service cannot have what it needs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AllocationError {
    /// It asks for something that it cannot have.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Invalid(Vec<FieldError>),
    /// Nothing is left, or the request makes no sense in a way that upstream doesn't blame on a field.
    #[error("{0}")]
    Internal(String),
}

impl AllocationError {
    /// As the API answers it.
    pub fn to_api(&self, service: &str) -> ApiError {
        match self {
            AllocationError::Invalid(errors) => ApiError::invalid("", "Service", service, errors),
            AllocationError::Internal(why) => ApiError::internal(why),
        }
    }
}

impl From<FieldError> for AllocationError {
    fn from(error: FieldError) -> Self {
        AllocationError::Invalid(vec![error])
    }
}

/// What all services together hold.
#[derive(Clone, Debug)]
pub struct ServiceAddresses {
    network: Cidr,
    addresses: Band,
    ports: Band,
    ports_text: String,
    /// State of the number generator that spreads allocations.
    random: u64,
}

impl Allocator for ServiceAddresses {
    fn allocate(&mut self, old: Option<&Value>, new: &mut Value) -> Result<(), ApiError> {
        let name = new["metadata"]["name"].as_str().unwrap_or_default().to_string();
        ServiceAddresses::allocate(self, old, new).map_err(|error| error.to_api(&name))
    }

    fn observe(&mut self, old: Option<&Value>, new: Option<&Value>) {
        ServiceAddresses::observe(self, old, new);
    }
}

impl ServiceAddresses {
    /// Nothing is allocated yet. `seed` decides where searches start, so that a restarted server doesn't hand out what it just got back.
    pub fn new(network: Cidr, node_ports: RangeInclusive<u16>, seed: u64) -> Self {
        let first = u32::from(network.address);
        let size = 1u64 << (32 - u32::from(network.prefix.min(32)));
        // The network's own address and the broadcast address are nobody's.
        let usable = u32::try_from(size.saturating_sub(2)).unwrap_or(u32::MAX - 1);
        let last = first.saturating_add(usable);
        let (low, high) = (u32::from(*node_ports.start()), u32::from(*node_ports.end()));
        ServiceAddresses {
            network,
            addresses: Band::new(first.saturating_add(1), last, lower_band(usable, 16, 256)),
            ports: Band::new(low, high, lower_band((high + 1).saturating_sub(low), 32, 128)),
            ports_text: format!("{low}-{high}"),
            random: seed | 1,
        }
    }

    /// Learns of a change: `old` no longer holds what it held, `new` holds what it says.
    pub fn observe(&mut self, old: Option<&Value>, new: Option<&Value>) {
        for (service, taken) in [(old, false), (new, true)] {
            let Some(spec) = service.map(|s| &s["spec"]) else { continue };
            for address in held_addresses(spec) {
                if taken { self.addresses.take(address) } else { self.addresses.release(address) }
            }
            for port in held_ports(spec) {
                if taken { self.ports.take(port) } else { self.ports.release(port) }
            }
        }
    }

    /// Fills in what a new service (or a changed one, with its state before) needs: families, addresses and ports. What it asks for
    /// itself is checked. Expects defaults, and for a changed service what the kind's update rule carries over.
    pub fn allocate(&mut self, old: Option<&Value>, new: &mut Value) -> Result<(), AllocationError> {
        let old = old.map(|o| &o["spec"]);
        let spec = &mut new["spec"];
        families::complete(spec, old)?;
        self.allocate_addresses(spec, old)?;
        let mut own: BTreeSet<u32> = BTreeSet::new();
        let held: BTreeSet<u32> = old.map(|o| held_ports(o).collect()).unwrap_or_default();
        if needs_node_ports(spec) {
            match old {
                None => self.new_ports(spec, &mut own)?,
                Some(_) => self.changed_ports(spec, &held, &mut own)?,
            }
        }
        self.allocate_health_check(spec, old, &mut own)
    }

    fn allocate_addresses(&mut self, spec: &mut Value, old: Option<&Value>) -> Result<(), AllocationError> {
        let listed = texts(&spec["clusterIPs"]);
        if !needs_address(spec) || listed.first() == Some(&"None") {
            return Ok(());
        }
        // Addresses that the service has already are its own; validation sees to it that they stay.
        if old.is_some_and(|o| needs_address(o) && !texts(&o["clusterIPs"]).is_empty()) {
            return Ok(());
        }
        let wanted = listed.first().map(|ip| ip.to_string());
        let address = match wanted {
            Some(wanted) => {
                self.check_address(&wanted).map_err(|why| {
                    let why = format!("failed to allocate IP {wanted}: {why}");
                    FieldError::invalid("spec.clusterIPs", spec["clusterIPs"].clone(), why)
                })?;
                wanted
            }
            None => {
                let random = self.next_random();
                let free = self.addresses.free(random, &BTreeSet::new());
                let free = free.ok_or_else(|| AllocationError::Internal("failed to allocate a serviceIP: range is full".into()))?;
                Ipv4Addr::from(free).to_string()
            }
        };
        spec["clusterIP"] = address.as_str().into();
        spec["clusterIPs"] = json!([address]);
        Ok(())
    }

    fn check_address(&self, wanted: &str) -> Result<(), String> {
        let mismatch = || "the provided network does not match the current range".to_string();
        let Some(IpAddr::V4(address)) = network::parse_address(wanted) else { return Err(mismatch()) };
        if !self.network.contains(address) {
            return Err(mismatch());
        }
        match self.addresses.check(u32::from(address)) {
            Ok(()) => Ok(()),
            Err(Refusal::Taken) => Err("provided IP is already allocated".into()),
            Err(Refusal::OutOfRange) => {
                let network = self.network;
                Err(format!("the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}"))
            }
        }
    }

    /// Ports of the same number (TCP and UDP of one service) share a node port unless they say otherwise.
    fn new_ports(&mut self, spec: &mut Value, own: &mut BTreeSet<u32>) -> Result<(), AllocationError> {
        let automatic = allocates_ports(spec);
        let requested: Vec<(i64, u32)> = ports(spec).map(|p| (p["port"].as_i64().unwrap_or(0), node_port(p))).collect();
        let mut given: BTreeMap<i64, u32> = BTreeMap::new();
        for (index, &(port, asked)) in requested.iter().enumerate() {
            if asked == 0 && !automatic {
                continue;
            }
            let chosen = match given.get(&port) {
                Some(shared) if asked == 0 || asked == *shared => *shared,
                Some(_) => self.claim_port(asked, index, own)?,
                None => {
                    let wanted = requested.iter().find(|(p, node)| *p == port && *node != 0).map(|(_, node)| *node);
                    let chosen = match wanted {
                        Some(wanted) => self.claim_port(wanted, index, own)?,
                        None => self.any_port(own).ok_or_else(|| full("failed to allocate a nodePort"))?,
                    };
                    given.insert(port, chosen);
                    chosen
                }
            };
            set_node_port(spec, index, chosen);
        }
        Ok(())
    }

    fn changed_ports(&mut self, spec: &mut Value, held: &BTreeSet<u32>, own: &mut BTreeSet<u32>) -> Result<(), AllocationError> {
        let automatic = allocates_ports(spec);
        let requested: Vec<(String, u32)> = ports(spec).map(|p| (text(p, "protocol").to_string(), node_port(p))).collect();
        own.extend(requested.iter().map(|(_, port)| *port).filter(|port| held.contains(port)));
        let mut pairs = BTreeSet::new();
        for (index, (protocol, asked)) in requested.into_iter().enumerate() {
            let chosen = match asked {
                0 if !automatic => continue,
                0 => self.any_port(own).ok_or_else(|| full("failed to allocate a nodePort"))?,
                asked if own.contains(&asked) => asked,
                asked => self.claim_port(asked, index, own)?,
            };
            if !pairs.insert((protocol.clone(), chosen)) {
                return Err(AllocationError::Internal(format!("duplicate nodePort: {{{protocol} {chosen}}}")));
            }
            set_node_port(spec, index, chosen);
        }
        Ok(())
    }

    fn allocate_health_check(&mut self, spec: &mut Value, old: Option<&Value>, own: &mut BTreeSet<u32>) -> Result<(), AllocationError> {
        if !needs_health_check(spec) || old.is_some_and(needs_health_check) {
            return Ok(());
        }
        let asked = spec["healthCheckNodePort"].as_i64().and_then(|p| u32::try_from(p).ok()).unwrap_or(0);
        if asked != 0 {
            let why = |why: String| AllocationError::Internal(format!("failed to allocate requested HealthCheck NodePort {asked}: {why}"));
            return self.check_port(asked, own).map_err(why);
        }
        let port = self.any_port(own).ok_or_else(|| full("failed to allocate a HealthCheck NodePort 0"))?;
        spec["healthCheckNodePort"] = port.into();
        Ok(())
    }

    fn claim_port(&self, port: u32, index: usize, own: &mut BTreeSet<u32>) -> Result<u32, AllocationError> {
        self.check_port(port, own).map_err(|why| FieldError::invalid(format!("spec.ports[{index}].nodePort"), port, why))?;
        own.insert(port);
        Ok(port)
    }

    fn check_port(&self, port: u32, own: &BTreeSet<u32>) -> Result<(), String> {
        match self.ports.check(port) {
            Ok(()) if !own.contains(&port) => Ok(()),
            Ok(()) | Err(Refusal::Taken) => Err("provided port is already allocated".into()),
            Err(Refusal::OutOfRange) => {
                Err(format!("provided port is not in the valid range. The range of valid ports is {}", self.ports_text))
            }
        }
    }

    fn any_port(&mut self, own: &mut BTreeSet<u32>) -> Option<u32> {
        let random = self.next_random();
        let port = self.ports.free(random, own)?;
        own.insert(port);
        Some(port)
    }

    /// An xorshift step: spreads well enough, and a test can repeat it.
    fn next_random(&mut self) -> u64 {
        let mut x = self.random;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        x
    }
}

fn full(what: &str) -> AllocationError {
    AllocationError::Internal(format!("{what}: range is full"))
}

/// Upstream's size of the lower band: a part of the range, at least 16, and none in ranges that are small themselves.
fn lower_band(size: u32, step: u32, max: u32) -> u32 {
    if size <= 16 { 0 } else { (size / step).clamp(16, max) }
}

/// Load balancers that reach pods themselves may go without node ports.
fn allocates_ports(spec: &Value) -> bool {
    text(spec, "type") == "NodePort" || spec["allocateLoadBalancerNodePorts"] != false
}

fn ports(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["ports"].as_array().into_iter().flatten()
}

fn node_port(port: &Value) -> u32 {
    port["nodePort"].as_i64().and_then(|p| u32::try_from(p).ok()).unwrap_or(0)
}

fn set_node_port(spec: &mut Value, index: usize, port: u32) {
    if let Some(item) = spec["ports"].get_mut(index) {
        item["nodePort"] = port.into();
    }
}

fn held_addresses(spec: &Value) -> impl Iterator<Item = u32> {
    let listed = texts(&spec["clusterIPs"]);
    let single = listed.is_empty().then(|| text(spec, "clusterIP"));
    listed.into_iter().chain(single).filter_map(|ip| match network::parse_address(ip)? {
        IpAddr::V4(v4) => Some(u32::from(v4)),
        IpAddr::V6(_) => None,
    })
}

fn held_ports(spec: &Value) -> impl Iterator<Item = u32> {
    let health = spec["healthCheckNodePort"].as_i64().and_then(|p| u32::try_from(p).ok());
    ports(spec).map(node_port).chain(health).filter(|p| *p != 0)
}
