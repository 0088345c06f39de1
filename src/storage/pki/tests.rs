use super::*;
use jiff::ToSpan;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn config(names: &[&str]) -> PkiConfig {
    PkiConfig {
        cluster_name: "test".into(),
        server_names: names.iter().map(|n| n.to_string()).collect(),
        server_ips: vec!["10.96.0.1".parse().unwrap()],
    }
}

fn now() -> Timestamp {
    crate::protocol::time::now()
}

fn open(dir: &Path) -> Pki {
    Pki::open_or_create(dir, config(&[])).unwrap()
}

fn unusable(dir: &Path) -> String {
    match Pki::open_or_create(dir, config(&[])) {
        Err(error @ PkiError::Unusable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_private_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pki");
    let first = open(&path);
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let again = open(&path);
    assert_eq!(first.ca_hash(), again.ca_hash());
    assert_eq!(first.admin.pem, again.admin.pem);
    assert_eq!(first.service_account_key_pem(), again.service_account_key_pem());
    assert_eq!(first.tokens().default_token().unwrap(), again.tokens().default_token().unwrap());
    let admin = identity_of(&again.admin.certificate).unwrap();
    assert_eq!((admin.common_name.as_str(), admin.organizations), ("kubernetes-admin", vec!["system:masters".to_string()]));
}

#[test]
fn server_certificate_follows_names_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let pem = || std::fs::read_to_string(dir.path().join("server.crt")).unwrap();
    let pki = open(dir.path());
    let first = pem();
    let der = authority::certificate_from_pem(Path::new("x"), &first).unwrap();
    let names = identity::names_of(&der).unwrap();
    assert!(names.dns.contains("kubernetes.default.svc.cluster.local") && names.ips.contains(&"10.96.0.1".parse().unwrap()));

    assert!(!pki.renew_if_due(now() + 200.hours().checked_mul(29).unwrap()).unwrap(), "242 days");
    let later = now() + 200.hours().checked_mul(30).unwrap();
    assert!(pki.renew_if_due(later).unwrap(), "250 days");
    assert!(!pki.renew_if_due(later).unwrap());
    assert!(pki.server_certificate().good_until() > later + (24 * 364).hours());
    let renewed = pem();
    assert_ne!(first, renewed);

    Pki::open_or_create(dir.path(), config(&["api.example.org"])).unwrap();
    assert_ne!(renewed, pem());
}

#[test]
fn damaged_and_foreign_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    open(dir.path());
    open(other.path());
    let file = |name: &str| dir.path().join(name);

    let good = std::fs::read(file("server.crt")).unwrap();
    std::fs::write(file("server.crt"), b"\xff not a certificate").unwrap();
    assert!(unusable(dir.path()).contains("server.crt is not a certificate in PEM"));
    std::fs::copy(other.path().join("server.crt"), file("server.crt")).unwrap();
    assert!(unusable(dir.path()).contains("remove it, and a new one is made"));
    std::fs::write(file("server.crt"), good).unwrap();

    let ca_key = std::fs::read(file("ca.key")).unwrap();
    std::fs::copy(other.path().join("ca.key"), file("ca.key")).unwrap();
    assert!(unusable(dir.path()).contains("ca.crt is not the certificate of the key in ca.key"));
    std::fs::remove_file(file("ca.key")).unwrap();
    assert!(unusable(dir.path()).contains("ca.key is missing"));
    std::fs::write(file("ca.key"), ca_key).unwrap();
    std::fs::write(file("tokens.json"), "{").unwrap();
    assert!(unusable(dir.path()).contains("tokens.json is not a list of tokens"));
}

#[test]
fn requests_decide_the_key_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let machine = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let request = node::request(machine.path(), "imposter").unwrap();
    let pem = pki.issue_client(&request, "jane", &["dev".into(), "ops".into()], 1).unwrap();
    let jane = identity_of(&authority::certificate_from_pem(Path::new("x"), &pem).unwrap()).unwrap();
    assert_eq!((jane.common_name.as_str(), jane.organizations.len()), ("jane", 2));
    assert_eq!(jane.key_fingerprint, request_fingerprint(&request).unwrap());
    assert!(jane.node().is_none());

    let pem = pki.issue_node(&request, "worker-1").unwrap();
    let hash = pki.ca_hash().trim_start_matches("sha256:").to_string();
    assert!(node::accept(machine.path(), "worker-2", &pem, pki.ca_pem(), &hash).is_err());
    node::accept(machine.path(), "worker-1", &pem, pki.ca_pem(), &hash).unwrap();
    let loaded = NodeIdentity::load(machine.path()).unwrap().unwrap();
    assert_eq!((loaded.node.as_str(), loaded.ca_hash().unwrap()), ("worker-1", hash));

    let mut forged = request.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(pki.issue_node(&forged, "worker-1"), Err(PkiError::Request(_))));
    for bad in ["", "UPPER", "a..b", "-a", "a-", "a/b", &"a".repeat(254)] {
        assert!(matches!(pki.issue_node(&request, bad), Err(PkiError::NodeName(_))), "{bad}");
    }
}

#[test]
fn tokens_are_known_expired_or_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let tokens = pki.tokens();
    let token = tokens.create(Some(Duration::from_secs(60)), "for a test", now()).unwrap();
    let text = token.to_string();
    assert!(text.starts_with("K1") && text.len() == 2 + 64 + 1 + 6 + 1 + 16, "{text}");
    assert_eq!(text.parse::<JoinToken>().unwrap(), token);
    assert!(!std::fs::read_to_string(dir.path().join("tokens.json")).unwrap().contains(&token.secret_part()[7..]));
    assert!(!format!("{token:?}").contains(&token.secret_part()[7..]));

    tokens.verify(&token.secret_part(), now()).unwrap();
    assert!(matches!(tokens.verify(&token.secret_part(), now() + 61.seconds()), Err(TokenError::Expired(_))));
    let wrong = format!("{}.{}", token.id, "a".repeat(16));
    assert!(matches!(tokens.verify(&wrong, now()), Err(TokenError::Unknown)));
    assert!(matches!(tokens.verify("", now()), Err(TokenError::Malformed)));
    assert!(tokens.remove(&token.id).unwrap() && !tokens.remove(&token.id).unwrap());
    assert!(matches!(tokens.verify(&token.secret_part(), now()), Err(TokenError::Unknown)));
    tokens.verify(&tokens.default_token().unwrap().unwrap().secret_part(), now()).unwrap();
}

#[test]
fn kubeconfig_is_yaml_with_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let text = open(dir.path()).admin_kubeconfig("https://127.0.0.1:6443");
    let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(value["current-context"], "kubernetes-admin@test");
    assert_eq!(value["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
    let key = value["users"][0]["user"]["client-key-data"].as_str().unwrap();
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key).unwrap();
    assert!(key.starts_with(b"-----BEGIN PRIVATE KEY-----"));
}

/// A TLS handshake in memory: who the server saw, and the certificate that the client saw.
async fn handshake(pki: &Pki, client: rustls::ClientConfig) -> (Option<Identity>, Vec<u8>) {
    let acceptor = tokio_rustls::TlsAcceptor::from(pki.https_server_config().unwrap());
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (server, client) = tokio::join!(acceptor.accept(far), connector.connect("kubernetes.default".try_into().unwrap(), near));
    let (server, client) = (server.unwrap(), client.unwrap());
    assert_eq!(server.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let seen = |chain: Option<&[CertificateDer<'_>]>| chain.and_then(|c| c.first()).map(|der| der.to_vec());
    let who = seen(server.get_ref().1.peer_certificates()).map(|der| identity_of(&der).unwrap());
    (who, seen(client.get_ref().1.peer_certificates()).unwrap())
}

#[tokio::test]
async fn https_knows_its_clients_and_shows_renewed_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let as_admin = |pki: &Pki| {
        let admin = &pki.admin;
        let identity =
            NodeIdentity { node: String::new(), certificate: admin.pem.clone(), key: admin.key.serialize_pem(), ca: pki.ca_pem().into() };
        let mut config = tls::mesh_client_config(&identity).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    };
    let (who, _) = handshake(&pki, as_admin(&pki)).await;
    assert_eq!(who.unwrap().common_name, "kubernetes-admin");
    let mut anonymous = tls::joining_client_config(pki.authority.fingerprint()).unwrap();
    anonymous.alpn_protocols = vec![b"h2".to_vec()];
    assert_eq!(handshake(&pki, anonymous).await.0, None);

    // As if the certificate had been made 300 days ago.
    let dir = tempfile::tempdir().unwrap();
    let old = Pki::open_at(dir.path(), config(&[]), now() - (24 * 300).hours()).unwrap();
    let (_, aged) = handshake(&old, as_admin(&old)).await;
    assert!(old.renew_if_due(now()).unwrap());
    let (_, renewed) = handshake(&old, as_admin(&old)).await;
    assert_ne!(aged, renewed);
}
