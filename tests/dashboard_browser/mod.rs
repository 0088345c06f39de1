//! The dashboard in a real browser, on a real server: what happens in the cluster appears without a reload.
mod chromium;

use crate::cluster::{Cluster, Options};
use chromium::Chromium;
use serde_json::json;

/// The server's dashboard as a browser finds it.
struct Site {
    url: String,
    token: String,
}

impl Site {
    fn of(cluster: &Cluster) -> Site {
        let kubeconfig = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig");
        let kubeconfig: serde_json::Value = serde_yaml::from_str(&kubeconfig).expect("YAML");
        let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().expect("a server").to_string();
        let token = std::fs::read_to_string(cluster.data_dir().join("admin.token")).expect("the token");
        Site { url: format!("{server}/dashboard/"), token: token.trim().to_string() }
    }
}

#[test]
fn a_new_pod_appears_without_a_reload() {
    let Some(program) = chromium::program() else {
        assert!(std::env::var_os("CI").is_none(), "CI must have Chromium");
        eprintln!("SKIPPED: there is no Chromium on this machine, so the dashboard is not tested in a browser");
        return;
    };
    let cluster = Cluster::start(Options { name: "dashboard", no_node: true, api_port: free_port(), ..Options::default() });
    let site = Site::of(&cluster);
    let mut browser = Chromium::start(&program);
    wrong_tokens_are_refused(&mut browser, &site);
    enters_with_a_token_in_the_address(&mut browser, &site);
    follows_a_pod(&mut browser, &cluster);
    speaks_chinese(&mut browser);
    comes_back_after_a_restart(&mut browser, &cluster);
}

fn wrong_tokens_are_refused(browser: &mut Chromium, site: &Site) {
    browser.open(&site.url);
    browser.wait("document.querySelector('#login')?.hidden === false");
    browser.value("document.querySelector('#token').value = 'wrong'; document.querySelector('#login').requestSubmit()");
    browser.wait("document.querySelector('#refused').textContent.includes('not known')");
    assert_eq!(browser.value("document.querySelector('#board').hidden"), true);
}

fn enters_with_a_token_in_the_address(browser: &mut Chromium, site: &Site) {
    browser.open(&format!("{}#token={}", site.url, site.token));
    browser.wait("document.querySelector('#link')?.dataset.state === 'live'");
    assert_eq!(browser.value("location.href"), site.url.as_str(), "the token must not stay in the address bar");
    browser.wait("document.querySelectorAll('#actors tbody tr').length > 5");
}

const ROW: &str = "document.querySelector('#pods tr[data-key=\"default/appears\"]')";

fn follows_a_pod(browser: &mut Chromium, cluster: &Cluster) {
    // A reload would lose this.
    browser.value("window.sameVisit = true");
    let spec = json!({ "containers": [{ "name": "c", "image": "impresario.local/kubia" }] });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "appears" }, "spec": spec });
    let created = cluster.client().post("/api/v1/namespaces/default/pods", &pod).expect("an answer");
    assert_eq!(created.status, 201, "{}", created.text());
    browser.wait(&format!("{ROW}?.innerText.includes('Pending') === true"));
    browser.wait("document.querySelector('#card-podsByPhase').innerText.includes('Pending 1')");
    // Why it waits is on the page as soon as it is decided.
    browser.wait("document.querySelector('#decisions .feed').innerText.includes('no nodes available to schedule pods')");
    let gone = cluster.client().delete("/api/v1/namespaces/default/pods/appears?gracePeriodSeconds=0").expect("an answer");
    assert_eq!(gone.status, 200, "{}", gone.text());
    browser.wait(&format!("{ROW} === null"));
    assert_eq!(browser.value("window.sameVisit"), true);
}

fn speaks_chinese(browser: &mut Chromium) {
    browser.value("const l = document.querySelector('#language'); l.value = 'zh'; l.dispatchEvent(new Event('change'))");
    browser.wait("document.querySelector('#nodes-title').innerText.startsWith('节点')");
    assert_eq!(browser.value("document.documentElement.lang"), "zh-CN");
}

fn comes_back_after_a_restart(browser: &mut Chromium, cluster: &Cluster) {
    cluster.kill();
    browser.wait("document.querySelector('#link').dataset.state === 'lost'");
    assert_eq!(browser.value("document.querySelector('#board').hidden"), false, "what was known stays on the page");
    cluster.spawn();
    cluster.wait_ready();
    browser.wait("document.querySelector('#link').dataset.state === 'live'");
    assert_eq!(browser.value("window.sameVisit"), true);
}

/// The server must come back where the browser knows it.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}
