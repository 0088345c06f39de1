//! The allocator: upstream's answers, and that it never gives anything twice.
use super::*;
use proptest::prelude::*;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

fn allocator() -> ServiceAddresses {
    ServiceAddresses::new(Cidr::new([10, 96, 0, 0], 16), NODE_PORTS, SEED)
}

fn service(type_: &str, ports: Value) -> Value {
    json!({ "metadata": { "name": "s" }, "spec": { "type": type_, "ports": ports, "selector": { "a": "b" } } })
}

fn created(held: &mut ServiceAddresses, mut object: Value) -> Result<Value, AllocationError> {
    held.allocate(None, &mut object)?;
    held.observe(None, Some(&object));
    Ok(object)
}

#[test]
fn a_new_service_gets_what_its_type_needs() {
    let mut held = allocator();
    let plain = created(&mut held, service("ClusterIP", json!([{ "port": 80 }]))).expect("granted");
    assert_eq!((&plain["spec"]["ipFamilies"], &plain["spec"]["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
    assert_eq!(plain["spec"]["clusterIPs"], json!([plain["spec"]["clusterIP"]]));
    assert!(plain["spec"]["ports"][0].get("nodePort").is_none());
    let address: Ipv4Addr = plain["spec"]["clusterIP"].as_str().expect("an address").parse().expect("an address");
    assert!(u32::from(address) >= u32::from(Ipv4Addr::new(10, 96, 1, 1)), "{address} is of the upper band");

    let both = json!([{ "port": 53, "protocol": "TCP", "name": "t" }, { "port": 53, "protocol": "UDP", "name": "u" }, { "port": 80, "name": "w" }]);
    let open = created(&mut held, service("NodePort", both)).expect("granted");
    let port = |i: usize| open["spec"]["ports"][i]["nodePort"].as_u64().expect("a port");
    assert!(port(0) == port(1) && port(0) != port(2) && port(0) >= 30_086, "{open}");

    let mut local = service("LoadBalancer", json!([{ "port": 80 }]));
    local["spec"]["externalTrafficPolicy"] = "Local".into();
    let local = created(&mut held, local).expect("granted");
    assert!(local["spec"]["healthCheckNodePort"].as_u64().is_some_and(|p| p >= 30_000));
    let mut bare = service("LoadBalancer", json!([{ "port": 80 }]));
    bare["spec"]["allocateLoadBalancerNodePorts"] = false.into();
    assert!(created(&mut held, bare).expect("granted")["spec"]["ports"][0].get("nodePort").is_none());

    let name = created(&mut held, json!({ "spec": { "type": "ExternalName", "externalName": "a.b" } })).expect("granted");
    assert!(name["spec"].get("clusterIP").is_none() && name["spec"].get("ipFamilies").is_none());
    let headless = json!({ "spec": { "type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"] } });
    let headless = created(&mut held, headless).expect("granted");
    assert_eq!(headless["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!(headless["spec"]["ipFamilyPolicy"], "RequireDualStack");
}

#[test]
fn refusals_are_upstreams() {
    let mut held = allocator();
    let taken = json!({ "spec": {
        "type": "NodePort", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "selector": { "a": "b" },
        "ports": [{ "port": 80, "nodePort": 30_001 }],
    } });
    created(&mut held, taken).expect("granted");
    let with = |field: &str, value: Value| {
        let mut object = service("NodePort", json!([{ "port": 80 }]));
        object["spec"][field] = value.clone();
        if field == "clusterIPs" {
            object["spec"]["clusterIP"] = value[0].clone();
        }
        object
    };
    let ip = |ip: &str, why: &str| {
        (with("clusterIPs", json!([ip])), format!("spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: {why}"))
    };
    let port = |port: u32, why: &str| {
        let object = with("ports", json!([{ "port": 80, "nodePort": port }]));
        (object, format!("spec.ports[0].nodePort: Invalid value: {port}: {why}"))
    };
    let range = "provided port is not in the valid range. The range of valid ports is 30000-32767";
    for (mut object, words) in [
        ip("10.96.0.10", "provided IP is already allocated"),
        ip("10.97.0.1", "the provided network does not match the current range"),
        ip("10.96.0.0", "the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/16"),
        ip("10.96.255.255", "the provided IP (10.96.255.255) is not in the valid range. The range of valid IPs is 10.96.0.0/16"),
        port(30_001, "provided port is already allocated"),
        port(80, range),
        (
            with("ipFamilyPolicy", json!("RequireDualStack")),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services".into(),
        ),
        (with("ipFamilies", json!(["IPv6"])), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster".into()),
        (
            with("clusterIPs", json!(["fd00::1"])),
            "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster".into(),
        ),
    ] {
        let error = held.allocate(None, &mut object).expect_err(&words);
        assert_eq!(error.to_string(), words);
        assert_eq!(error.to_api("s").code, 422);
    }
}

#[test]
fn a_change_of_type_allocates_and_releases() {
    let mut held = allocator();
    let old = created(&mut held, service("NodePort", json!([{ "port": 80 }]))).expect("granted");
    // What the kind's update rule makes of a change to ExternalName: nothing allocated is left.
    let name = json!({ "spec": { "type": "ExternalName", "externalName": "a.b", "ports": [{ "port": 80 }] } });
    let mut new = name.clone();
    held.allocate(Some(&old), &mut new).expect("granted");
    held.observe(Some(&old), Some(&new));
    assert!(held.addresses.taken().is_empty() && held.ports.taken().is_empty());
    let mut back = service("ClusterIP", json!([{ "port": 80 }]));
    held.allocate(Some(&new), &mut back).expect("granted");
    assert!(back["spec"]["clusterIP"].is_string());
    // A service keeps its own ports, and gets one for a port that is new.
    let mut more = old.clone();
    held.observe(None, Some(&old));
    more["spec"]["ports"] = json!([old["spec"]["ports"][0], { "port": 81, "name": "b" }]);
    held.allocate(Some(&old), &mut more).expect("granted");
    assert_eq!(more["spec"]["ports"][0]["nodePort"], old["spec"]["ports"][0]["nodePort"]);
    assert_ne!(more["spec"]["ports"][1]["nodePort"], old["spec"]["ports"][0]["nodePort"]);
    assert_eq!(more["spec"]["clusterIP"], old["spec"]["clusterIP"]);
}

#[test]
fn a_full_range_says_so() {
    let mut held = ServiceAddresses::new(Cidr::new([10, 0, 0, 0], 30), 30_000..=30_001, SEED);
    for _ in 0..2 {
        created(&mut held, service("ClusterIP", json!([]))).expect("granted");
    }
    let error = created(&mut held, service("ClusterIP", json!([]))).expect_err("full");
    assert_eq!(error.to_api("s").message, "Internal error occurred: failed to allocate a serviceIP: range is full");
    let three = json!([{ "port": 1 }, { "port": 2 }, { "port": 3 }]);
    let mut many = service("NodePort", three);
    many["spec"]["clusterIPs"] = json!(["None"]);
    many["spec"]["clusterIP"] = "None".into();
    let error = held.allocate(None, &mut many).expect_err("full");
    assert_eq!(error.to_string(), "failed to allocate a nodePort: range is full");
}

proptest! {
    #![proptest_config(crate::actors::properties::property(64))]

    /// Whatever comes and goes: nobody shares, the set is exactly what the services hold, and a refusal means that all is taken.
    #[test]
    fn nothing_is_given_twice(steps in prop::collection::vec((0..3u8, 0..40usize, 0..4usize), 1..120), seed in any::<u64>()) {
        let mut held = ServiceAddresses::new(Cidr::new([10, 0, 0, 0], 27), 30_000..=30_040, seed);
        let mut services: Vec<Value> = Vec::new();
        for (action, which, ports) in steps {
            let listed: Value = (0..ports).map(|i| json!({ "port": i + 1, "name": format!("p{i}") })).collect();
            match action {
                0 => match created(&mut held, service("NodePort", listed)) {
                    Ok(object) => services.push(object),
                    Err(_) => prop_assert!(held.addresses.taken().len() == 30 || held.ports.taken().len() + ports > 41),
                },
                1 if which < services.len() => held.observe(Some(&services.swap_remove(which)), None),
                2 if which < services.len() => {
                    let old = services[which].clone();
                    let mut new = old.clone();
                    new["spec"]["ports"] = listed;
                    if held.allocate(Some(&old), &mut new).is_ok() {
                        held.observe(Some(&old), Some(&new));
                        services[which] = new;
                    }
                }
                _ => {}
            }
            let addresses: Vec<u32> = services.iter().flat_map(|s| held_addresses(&s["spec"])).collect();
            let ports: Vec<u32> = services.iter().flat_map(|s| held_ports(&s["spec"])).collect();
            let (a, p): (BTreeSet<u32>, BTreeSet<u32>) = (addresses.iter().copied().collect(), ports.iter().copied().collect());
            prop_assert_eq!((a.len(), p.len()), (addresses.len(), ports.len()));
            prop_assert_eq!((&a, &p), (held.addresses.taken(), held.ports.taken()));
        }
    }
}
