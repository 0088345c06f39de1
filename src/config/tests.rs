//! The cluster file: the shipped one is the default, mistakes are told in full.
use super::*;

#[test]
fn the_documented_file_is_the_default() {
    let text = include_str!("../../config/cluster.yaml");
    assert_eq!(Config::parse("cluster.yaml", text).unwrap(), Config::default());
    assert_eq!(Config::parse("cluster.yaml", "").unwrap(), Config::default());
    let every_field: serde_yaml::Value = serde_yaml::to_value(Config::default()).unwrap();
    for section in every_field.as_mapping().unwrap().values() {
        for field in section.as_mapping().into_iter().flat_map(|m| m.keys()) {
            let name = format!("{}:", field.as_str().unwrap());
            assert!(text.contains(&name), "config/cluster.yaml does not document {name}");
        }
    }
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let told = |text: &str| Config::parse("c.yaml", text).unwrap_err().to_string();
    assert_eq!(told("api:\n  portt: 1\n"), "c.yaml:2:3: api: unknown field \"portt\"; did you mean \"port\"?");
    assert_eq!(
        told("network:\n  podCidr: 10.244.1.0/16\n"),
        "c.yaml:2:3: network.podCidr: \"10.244.1.0/16\" has bits behind its prefix; did you mean 10.244.0.0/16?"
    );
    assert!(told("api:\n  port: many\n").starts_with("c.yaml:2:9: api.port: invalid type"));
    assert!(told("network:\n  serviceCidr: 10.244.0.0/20\n").contains("network.serviceCidr: overlaps podCidr 10.244.0.0/16"));
    assert!(told("[").starts_with("c.yaml:"));
}

#[test]
fn networks_are_cut_into_parts() {
    let pods = Cidr::new([10, 244, 0, 0], 16);
    assert_eq!(pods.part(3, 24).unwrap().to_string(), "10.244.3.0/24");
    assert_eq!(pods.part(256, 24), None);
    assert_eq!(pods.nth(1).to_string(), "10.244.0.1");
    assert!(pods.contains([10, 244, 9, 9].into()));
}
