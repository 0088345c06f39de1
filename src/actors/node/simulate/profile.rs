//! What simulated nodes look like, and what happens to their pods. Chance is a function of the seed and of names, so that two runs
//! with the same seed do the same.
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Standard deviations between the median and the 99th percentile of a normal distribution.
const NINETY_NINTH: f64 = 2.326_347_874;
/// No delay is longer than an hour, whatever chance says.
const LONGEST: f64 = 3_600_000.0;

/// How nodes and pods behave.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Profile {
    /// From the pod's arrival on the node to its running containers: image, sandbox and all.
    pub start: Delay,
    /// From there to readiness.
    pub ready: Delay,
    /// From the order to end to the containers' end; never longer than the grace.
    pub stop: Delay,
    /// The share of container starts, 0 to 1, that end at once with exit code 1.
    pub failure_rate: f64,
    /// The share of their requests that containers use on average, 0 to 10. Each pod's own lies between half and one and a half of it.
    pub usage: f64,
    /// Whether nodes post the kubelet's events (`Pulled`, `Created`, `Started`).
    pub events: bool,
    /// What a node says that it has.
    pub cpus: u64,
    pub memory_gib: u64,
    pub disk_gib: u64,
    pub max_pods: u32,
    /// Nodes are spread over this many zones, `zone-1` and so on; 0 gives none.
    pub zones: u32,
    /// Further labels of every node.
    pub labels: BTreeMap<String, String>,
}

/// A span of time by chance: log-normal, as latencies are. Without a `p99Ms` above the median it is always the median.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Delay {
    pub median_ms: u64,
    pub p99_ms: u64,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("there is no profile \"{name}\": it must be instant, typical or a file ({source})")]
    Unreadable { name: String, source: std::io::Error },
    #[error("{file}: {why}")]
    Malformed { file: String, why: String },
}

impl Default for Profile {
    /// `instant`: everything succeeds at once.
    fn default() -> Self {
        Profile {
            start: Delay::default(),
            ready: Delay::default(),
            stop: Delay::default(),
            failure_rate: 0.0,
            usage: 0.5,
            events: false,
            cpus: 32,
            memory_gib: 256,
            disk_gib: 512,
            max_pods: 110,
            zones: 3,
            labels: BTreeMap::new(),
        }
    }
}

impl Profile {
    /// What images that are there already and services that start quickly look like.
    pub fn typical() -> Profile {
        Profile {
            start: Delay { median_ms: 900, p99_ms: 4000 },
            ready: Delay { median_ms: 300, p99_ms: 2000 },
            stop: Delay { median_ms: 200, p99_ms: 2000 },
            events: true,
            ..Profile::default()
        }
    }

    /// `instant`, `typical`, or a YAML file with what differs from `instant`.
    ///
    /// # Errors
    /// A file that cannot be read, or that says something unknown or impossible.
    pub fn named(name: &str) -> Result<Profile, ProfileError> {
        match name {
            "instant" => Ok(Profile::default()),
            "typical" => Ok(Profile::typical()),
            file => {
                let text =
                    std::fs::read_to_string(Path::new(file)).map_err(|source| ProfileError::Unreadable { name: name.into(), source })?;
                Profile::parse(file, &text)
            }
        }
    }

    /// Reads the text of a profile; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
        let malformed = |why: String| ProfileError::Malformed { file: file.into(), why };
        let profile: Option<Profile> = serde_yaml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let profile = profile.unwrap_or_default();
        if !(0.0..=1.0).contains(&profile.failure_rate) {
            return Err(malformed("failureRate: must be between 0 and 1".into()));
        }
        if !(0.0..=10.0).contains(&profile.usage) {
            return Err(malformed("usage: must be between 0 and 10".into()));
        }
        if profile.max_pods == 0 || profile.max_pods > 250 {
            return Err(malformed("maxPods: must be between 1 and 250, the addresses of a node".into()));
        }
        if profile.cpus == 0 || profile.memory_gib == 0 {
            return Err(malformed("cpus and memoryGib: must not be 0".into()));
        }
        Ok(profile)
    }

    /// The labels of the node with this number, beside those that every node has.
    pub fn labels_of(&self, number: u32) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("impresario.dev/simulated".into(), "true".into());
        labels.insert("node.kubernetes.io/instance-type".into(), "simulated".into());
        if let Some(zone) = number.checked_rem(self.zones) {
            labels.insert("topology.kubernetes.io/region".into(), "simulated".into());
            labels.insert("topology.kubernetes.io/zone".into(), format!("zone-{}", zone + 1));
        }
        labels
    }
}

impl Delay {
    /// The span for this throw of the dice.
    pub fn sample(self, mut dice: Dice) -> Duration {
        let median = self.median_ms as f64;
        if self.p99_ms <= self.median_ms || self.median_ms == 0 {
            return Duration::from_millis(self.median_ms);
        }
        let sigma = (self.p99_ms as f64 / median).ln() / NINETY_NINTH;
        let millis = (median * (sigma * dice.normal()).exp()).min(LONGEST);
        Duration::from_micros((millis * 1000.0) as u64)
    }
}

/// Chance that is the same in every run with the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Dice for something of this name, independent of all others.
    pub fn of(self, name: &str) -> Dice {
        let mut state = self.0 ^ 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut dice = Dice(state);
        Dice(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 up to (not including) 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From the standard normal distribution.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.share(), self.share());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}
