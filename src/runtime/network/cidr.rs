//! IPv4 address ranges.
use super::NetworkError;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A range such as `10.244.1.0/24`; the host bits are always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    base: u32,
    len: u8,
}

impl Cidr {
    /// The range of this length that contains the address; `None` for a length over 32.
    pub fn new(address: Ipv4Addr, len: u8) -> Option<Cidr> {
        (len <= 32).then(|| Cidr { base: u32::from(address) & mask(len), len })
    }

    /// The prefix's length, bits.
    pub fn len(&self) -> u8 {
        self.len
    }

    /// A range always has an address.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The first address.
    pub fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.base)
    }

    /// How many addresses there are.
    pub fn size(&self) -> u64 {
        1 << (32 - u32::from(self.len))
    }

    /// The n-th address, counted from the network's own; wraps within the range.
    pub fn nth(&self, n: u64) -> Ipv4Addr {
        Ipv4Addr::from(self.base | (n % self.size()) as u32)
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.len) == self.base
    }

    /// The number that [`Cidr::nth`] would be given for this address.
    pub fn position(&self, address: Ipv4Addr) -> Option<u64> {
        self.contains(address).then(|| u64::from(u32::from(address) & !mask(self.len)))
    }
}

fn mask(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.len)
    }
}

impl FromStr for Cidr {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Cidr, NetworkError> {
        let parsed = || {
            let (address, len) = text.split_once('/')?;
            Cidr::new(address.parse().ok()?, len.parse().ok()?)
        };
        parsed().ok_or_else(|| NetworkError::Config(format!("invalid CIDR address: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range: Cidr = "10.244.3.77/26".parse().unwrap();
        assert_eq!(range.to_string(), "10.244.3.64/26");
        assert_eq!(
            (range.size(), range.nth(1), range.position(Ipv4Addr::new(10, 244, 3, 127))),
            (64, Ipv4Addr::new(10, 244, 3, 65), Some(63))
        );
        assert!(!range.contains(Ipv4Addr::new(10, 244, 3, 128)));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(Ipv4Addr::BROADCAST) && all.size() == 1 << 32);
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/0"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
