//! "Services": one address that stays, and whom it stands for. Where packets go is another matter.
use super::{CONTROLLER, SERVICE, SERVICE_AFFINITY, SERVICE_PORTS, place};
use crate::conformance_apps::{Place, name, ready, sleeper};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The addresses behind a service, by its Endpoints.
fn behind(endpoints: &Value) -> BTreeSet<String> {
    let subsets = endpoints["subsets"].as_array().into_iter().flatten();
    let addresses = subsets.flat_map(|s| s["addresses"].as_array().into_iter().flatten());
    addresses.filter_map(|a| a["ip"].as_str().map(String::from)).collect()
}

fn ips(pods: &[Value]) -> BTreeSet<String> {
    pods.iter().filter_map(|p| p["status"]["podIP"].as_str().map(String::from)).collect()
}

/// Waits until exactly these are behind it.
fn until_behind(place: &mut Place, service: &str, wanted: &BTreeSet<String>) -> Value {
    place.until("the endpoints follow", "v1", &format!("endpoints/{service}"), |e| behind(e) == *wanted)
}

fn until_three(place: &mut Place, app: &str) -> Vec<Value> {
    let path = format!("pods?labelSelector=app%3D{app}");
    place.until_items("three are ready", "v1", &path, |pods| pods.len() == 3 && pods.iter().all(ready))
}

#[test]
fn an_address_that_stays() {
    let mut place = place("services");
    place.kubectl.feed("apply", SERVICE).ok();
    let made = place.get("v1", "services/kubia");
    let address = made["spec"]["clusterIP"].clone();
    assert!(address.as_str().is_some_and(|a| a.starts_with("10.")), "{made}");
    place.kubectl.feed("create", CONTROLLER).ok();
    let pods = until_three(&mut place, "kubia");
    let ends = until_behind(&mut place, "kubia", &ips(&pods));
    assert_eq!(ends["subsets"][0]["ports"][0]["port"], 8080);
    let told = place.kubectl.ok("describe svc kubia");
    for word in ["Selector:", "app=kubia", "ClusterIP", "80/TCP", "8080/TCP", "Endpoints:", ":8080", "Session Affinity:", "None"] {
        assert!(told.contains(word), "no {word} in\n{told}");
    }
    assert!(ips(&pods).iter().all(|ip| told.contains(ip)), "{told}");

    // A pod is replaced by one of another address; the service's stays.
    place.delete("v1", &format!("pods/{}", name(&pods[0])));
    let after = place
        .until_items("another came", "v1", "pods", |list| list.len() == 3 && list.iter().all(|p| ready(p) && name(p) != name(&pods[0])));
    assert_ne!(ips(&after), ips(&pods));
    until_behind(&mut place, "kubia", &ips(&after));

    place.kubectl.feed("apply", SERVICE_AFFINITY).ok();
    let sticky = place.get("v1", "services/kubia")["spec"].clone();
    assert_eq!((&sticky["sessionAffinity"], &sticky["clusterIP"]), (&"ClientIP".into(), &address));
    assert_eq!(sticky["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10800);
    place.kubectl.feed("apply", SERVICE_PORTS).ok();
    let many = place.get("v1", "services/kubia")["spec"].clone();
    assert_eq!((&many["sessionAffinity"], &many["sessionAffinityConfig"]), (&"None".into(), &Value::Null));
    place.until("both ports", "v1", "endpoints/kubia", |e| {
        let ports = e["subsets"][0]["ports"].as_array().into_iter().flatten();
        ports.map(|p| (p["name"].as_str(), p["port"].as_i64())).collect::<BTreeSet<_>>()
            == BTreeSet::from([(Some("http"), Some(8080)), (Some("https"), Some(8443))])
    });
    place.kubectl.ok("delete rc kubia");
}

/// From the old pods to the new ones at once, by the service's selector.
#[test]
fn others_take_over_behind_it() {
    let mut place = place("takeover");
    place.kubectl.feed("create", CONTROLLER).ok();
    place
        .kubectl
        .feed("create", &CONTROLLER.replace("name: kubia\nspec", "name: kubia-v2\nspec").replace("app: kubia", "app: kubia-v2"))
        .ok();
    place.kubectl.feed("create", SERVICE).ok();
    let (old, new) = (until_three(&mut place, "kubia"), until_three(&mut place, "kubia-v2"));
    until_behind(&mut place, "kubia", &ips(&old));
    place.kubectl.ok("set selector service kubia app=kubia-v2");
    until_behind(&mut place, "kubia", &ips(&new));
    place.kubectl.ok("delete rc kubia kubia-v2");

    // One that selects nobody has the ends that somebody gives it.
    let outside = json!({"metadata": {"name": "external-service"}, "spec": {"ports": [{"port": 80}]}});
    place.create("v1", "services", &outside);
    let mut pod = sleeper("any");
    pod["metadata"]["name"] = "any".into();
    place.create("v1", "pods", &pod);
    place.until("a pod that could be taken is ready", "v1", "pods/any", ready);
    let path = place.path("v1", "endpoints/external-service");
    assert_eq!(place.client.get(&path).expect("an answer").status, 404);
    let ends = json!({"metadata": {"name": "external-service"}, "subsets": [{"addresses": [{"ip": "11.11.11.11"}, {"ip": "22.22.22.22"}], "ports": [{"port": 80}]}]});
    place.create("v1", "endpoints", &ends);
    let slices = "endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dexternal-service";
    place.until_items("they are mirrored", "discovery.k8s.io/v1", slices, |list| {
        list.len() == 1 && list[0]["endpoints"].as_array().map(Vec::len) == Some(2)
    });

    let doors = json!({"metadata": {"name": "doors"}, "spec": {"type": "NodePort", "selector": {"app": "kubia"}, "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30123}]}});
    assert_eq!(place.create("v1", "services", &doors)["spec"]["ports"][0]["nodePort"], 30123);
}
