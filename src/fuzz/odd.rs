//! Values that software trips over, and words that kinds know.
use super::random::Random;
use serde_json::{Value, json};

/// Words with a meaning somewhere, or nearly.
const WORDS: &[&str] = &[
    "a",
    "b",
    "x",
    "c",
    "ns",
    "default",
    "kube-system",
    "a.b",
    "a.example",
    "a.b.example/c",
    "A",
    "-",
    "a-",
    "",
    " ",
    ".",
    "..",
    "/",
    "/a",
    "/a/../b",
    "*",
    "*.a.b",
    "80",
    "http",
    "TCP",
    "UDP",
    "SCTP",
    "10.0.0.1",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "::1",
    "fd00::/8",
    "::ffff:1.2.3.4",
    "010.0.0.1",
    "1.2.3.4/33",
    "127.0.0.1",
    "Always",
    "Never",
    "OnFailure",
    "IfNotPresent",
    "Exists",
    "In",
    "NotIn",
    "Equal",
    "Gt",
    "Lt",
    "NoSchedule",
    "NoExecute",
    "ClusterIP",
    "None",
    "NodePort",
    "LoadBalancer",
    "ExternalName",
    "Local",
    "Cluster",
    "PreferDualStack",
    "IPv4",
    "IPv6",
    "RollingUpdate",
    "Recreate",
    "OnDelete",
    "Parallel",
    "Indexed",
    "NonIndexed",
    "Retain",
    "Delete",
    "Block",
    "Filesystem",
    "ReadWriteOnce",
    "ReadWriteMany",
    "ReadWriteOncePod",
    "Deny",
    "Warn",
    "Fail",
    "Ignore",
    "Limited",
    "Exempt",
    "Queue",
    "1",
    "0",
    "-1",
    "1Gi",
    "100m",
    "5%",
    "100%",
    "101%",
    "-5%",
    "1.5",
    "1e3",
    "1e999999999",
    "0.0000000001",
    "99999999999999999999",
    "9223372036854775808Ei",
    "metadata.name",
    "metadata.labels['a']",
    "metadata.annotations",
    "spec.nodeName",
    "limits.cpu",
    "*/5 * * * *",
    "@daily",
    "0 0 31 2 *",
    "TZ=UTC 0 0 * * *",
    "Etc/UTC",
    "Local",
    "2026-01-01T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "true",
    "self.a > 1",
    "object.spec",
    "device.driver == 'a'",
    "kubernetes.io/hostname",
    "a.example/b",
    "cpu",
    "memory",
    "hugepages-2Mi",
    "ephemeral-storage",
    "é",
    "日本",
    "\u{0}",
    "\u{202e}x",
    "👩‍👩‍👧",
    "\n",
    "a\tb",
    "$(A)",
    "{{x}}",
    "v1",
    "apps/v1",
    "Pod",
    "Node",
    "ServiceAccount",
    "User",
    "Group",
    "0-3,5",
    "3-1",
    "1,1",
];

/// Numbers at the edges of types and rules.
const INTEGERS: &[i64] = &[
    0,
    1,
    -1,
    2,
    3,
    10,
    80,
    100,
    101,
    255,
    256,
    511,
    512,
    600,
    1000,
    30000,
    32767,
    65535,
    65536,
    100_000,
    1_000_000_000,
    2_147_483_647,
    2_147_483_648,
    -2_147_483_648,
    -2_147_483_649,
    4_294_967_295,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
];

const TIMES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.123456Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00+23:59",
    "yesterday",
    "",
    "-009999-01-02T00:00:00Z",
    "2026-06-30T23:59:60Z",
];

/// A word, now and then an extremely long or mixed one.
pub fn word(random: &mut Random) -> String {
    if random.one_in(1500) {
        return random.word(&["a", "é", "a.", "a/", "-", "(", "👩‍👩‍👧", "1"]).repeat([1_000, 10_000, 50_000][random.below(3)]);
    }
    match random.below(24) {
        0 => "a".repeat([63, 64, 253, 254, 317, 1024, 5000][random.below(7)]),
        1 => format!("{}{}", random.pick(WORDS), random.pick(WORDS)),
        2 => format!("{}.{}", random.pick(WORDS), random.pick(WORDS)),
        3 => format!("{}/{}", random.pick(WORDS), random.pick(WORDS)),
        _ => random.pick(WORDS).to_string(),
    }
}

pub fn integer(random: &mut Random) -> i64 {
    if random.one_in(2) { random.below(12) as i64 } else { *random.pick(INTEGERS) }
}

pub fn number(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!([0.5, -0.0, 1e308, 5e-324, 1e19, -1e19, 0.1][random.below(7)]),
        1 => json!(u64::MAX),
        _ => integer(random).into(),
    }
}

pub fn time(random: &mut Random) -> String {
    random.pick(TIMES).to_string()
}

pub fn int_or_string(random: &mut Random) -> Value {
    if random.one_in(2) { integer(random).into() } else { word(random).into() }
}

/// Anything.
pub fn value(random: &mut Random) -> Value {
    match random.below(14) {
        0 | 1 => Value::Null,
        2 => random.one_in(2).into(),
        3 | 4 => integer(random).into(),
        5 => number(random),
        6 => json!([]),
        7 => json!({}),
        8 => deep(random),
        9 => json!([null, {}, [], ""]),
        10 => json!({ (word(random)): value(random) }),
        _ => word(random).into(),
    }
}

/// A value of some depth.
fn deep(random: &mut Random) -> Value {
    let levels = [5, 30, 120, 140][random.below(4)];
    (0..levels).fold(Value::Null, |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) })
}
