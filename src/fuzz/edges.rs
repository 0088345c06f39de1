//! What is read beside the API: frames, messages, files, names, references, layers.
use super::corpus::Corpus;
use super::mutate::{bytes, text};
use super::objects::Outcome;
use super::odd;
use super::parsers::{Target, one_of};
use super::random::Random;
use crate::actors::mesh::codec;
use crate::cli::parse_kubeconfig;
use crate::config::Config;
use crate::http::auth::oidc::unverified;
use crate::http::stream::decode_message;
use crate::http::stream::spdy::frame::{Decoder, data, go_away, ping, rst_stream, syn_stream, window_update};
use crate::http::stream::spdy::{Packer, SpdyError};
use crate::protocol::mesh::{Answer, ApiCall, Call, Envelope, ExecCall, Frame, LogCall, WatchFrame, WatchKind};
use crate::protocol::names;
use crate::protocol::net::Cidr;
use crate::protocol::status::ApiError;
use crate::runtime::images::{ImageRef, inside, parse_config, parse_manifest};
use crate::runtime::shim::frame as shim;
use crate::storage::pki::{JoinToken, ParsedRequest, check_certificates, identity_of, not_after};
use crate::storage::record::Record;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Component, Path};

pub const TARGETS: &[(&str, Target)] = &[
    ("mesh", mesh),
    ("spdy", spdy),
    ("channels", channels),
    ("shim", shim_frames),
    ("names", resource_names),
    ("config", config),
    ("kubeconfig", kubeconfig),
    ("tokens", tokens),
    ("certificates", certificates),
    ("image names", image_names),
    ("image documents", image_documents),
    ("layers", layers),
    ("records", records),
];

/// Reads changed bytes of a message; what could be read is written and read as the same.
fn message<T: Serialize + DeserializeOwned + PartialEq>(random: &mut Random, of: &T) -> Outcome<()> {
    let sent = codec::encode(of).map_err(|e| e.to_string())?;
    let mut buffer = BytesMut::from(bytes(random, &sent).as_slice());
    for _ in 0..8 {
        let Ok(Some(message)) = codec::take(&mut buffer) else { break };
        let _ = codec::decode::<T>(&message);
    }
    let Ok(value) = codec::decode::<T>(&bytes(random, sent.get(4..).unwrap_or_default())) else { return Ok(()) };
    let again = codec::encode(&value).map_err(|e| e.to_string())?;
    match codec::decode::<T>(again.get(4..).unwrap_or_default()) {
        Ok(back) if back == value => Ok(()),
        Ok(_) => Err("a message changes on its way".into()),
        Err(error) => Err(format!("a message that was read can't be read again: {error}")),
    }
}

fn mesh(random: &mut Random, _: &Corpus) -> Outcome<()> {
    let word = |random: &mut Random| odd::word(random);
    let call = match random.below(6) {
        0 => Call::Hello { node: word(random), oldest: 1, newest: random.next() as u16 },
        1 => Call::Join { token: word(random), node: word(random), request: word(random).into_bytes() },
        2 => Call::Api(ApiCall { method: "PUT".into(), path: word(random), content_type: word(random), body: Bytes::from(word(random)) }),
        3 => Call::Logs(LogCall {
            pod: word(random),
            tail_lines: Some(random.next()),
            since_ms: Some(odd::integer(random)),
            ..LogCall::default()
        }),
        4 => Call::Exec(ExecCall { command: vec![word(random), word(random)], tty: true, ..ExecCall::default() }),
        _ => Call::PortForward { namespace: word(random), pod: word(random), uid: word(random), port: random.next() as u16 },
    };
    let envelope = Envelope { to: "server/api".into(), from: word(random), correlation: random.next(), body: call };
    message(random, &envelope)?;
    let answer = match random.below(3) {
        0 => Answer::Api { code: 200, body: Bytes::from(word(random)) },
        1 => Answer::Error(ApiError::bad_request(word(random))),
        _ => Answer::Welcome { version: 1, cluster: word(random), server: word(random) },
    };
    message(random, &answer)?;
    let event = WatchFrame::Event { kind: WatchKind::Modified, revision: random.next(), object: Bytes::from(word(random)) };
    let frame = match random.below(3) {
        0 => Frame::Data { channel: random.next() as u8, bytes: Bytes::from(word(random)) },
        1 => Frame::Close { channel: random.next() as u8 },
        _ => Frame::Watch(event),
    };
    message(random, &frame)
}

fn spdy(random: &mut Random, _: &Corpus) -> Outcome<()> {
    let sent = conversation(random).map_err(|e| e.to_string())?;
    let changed = if random.one_in(8) { sent } else { bytes(random, &sent) };
    let mut decoder = Decoder::default();
    let mut rest = changed.as_slice();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at((1 + random.below(64)).min(rest.len()));
        rest = behind;
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return Ok(()),
            }
        }
    }
    Ok(())
}

fn conversation(random: &mut Random) -> Result<Vec<u8>, SpdyError> {
    let mut packer = Packer::new()?;
    let mut sent = Vec::new();
    for id in (1..8).step_by(2) {
        let (name, value) = (odd::word(random), odd::word(random));
        sent.extend(syn_stream(&mut packer, id, random.one_in(4), &[("streamtype", "stdin"), (name.as_str(), value.as_str())])?);
        sent.extend(data(id, random.one_in(3), odd::word(random).as_bytes()));
        sent.extend(match random.below(4) {
            0 => window_update(id, random.next() as u32),
            1 => ping(id),
            2 => rst_stream(id, 5),
            _ => go_away(id),
        });
    }
    Ok(sent)
}

fn channels(random: &mut Random, _: &Corpus) -> Outcome<()> {
    let seed: &[u8] = if random.one_in(2) { b"\x00hello" } else { b"0aGVsbG8=" };
    for base64 in [false, true] {
        let _ = decode_message(base64, Bytes::from(bytes(random, seed)));
    }
    let _ = serde_json::from_slice::<serde_json::Value>(&bytes(random, br#"{"Width":80,"Height":24}"#));
    Ok(())
}

fn shim_frames(random: &mut Random, _: &Corpus) -> Outcome<()> {
    let mut sent = Vec::new();
    let frames = [
        shim::Frame::Stdin(odd::word(random).into_bytes()),
        shim::Frame::Resize { width: 80, height: 24 },
        shim::Frame::Exit(-1),
        shim::Frame::Failed(odd::word(random)),
    ];
    frames.iter().for_each(|frame| frame.encode(&mut sent));
    let mut decoder = shim::Decoder::default();
    decoder.push(&bytes(random, &sent));
    while let Ok(Some(frame)) = decoder.next_frame() {
        let mut again = Vec::new();
        frame.encode(&mut again);
        let mut one = shim::Decoder::default();
        one.push(&again);
        if one.next_frame() != Ok(Some(frame)) {
            return Err("a frame changes on its way".into());
        }
    }
    Ok(())
}

fn resource_names(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &["a", "a-b", "a.b", "a.example/b", "HTTP_PORT", "*.a.b", "system:node:x", "a-0", "0", "A.b_c", ""];
    let given = if random.one_in(3) { odd::word(random) } else { one_of(random, SEEDS) };
    let plain = |c: char, more: &str| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
    let long = given.len() > 253;
    let lax = |errors: Vec<String>, more: &str| errors.is_empty() && (given.is_empty() || long || !given.chars().all(|c| plain(c, more)));
    if lax(names::dns1123_label(&given), "-") || lax(names::dns1123_subdomain(&given), "-.") || lax(names::dns1035_label(&given), "-") {
        return Err(format!("a name that no DNS server takes: {given:?}"));
    }
    if names::name_is_path_segment(&given, false).is_empty() && (given.contains(['/', '%']) || given == "." || given == "..") {
        return Err(format!("a name that changes the path: {given:?}"));
    }
    if names::qualified_name(&given).is_empty() && !given.is_ascii() {
        return Err(format!("a key that isn't ASCII: {given:?}"));
    }
    let _ = (names::label_value(&given), names::env_var_name(&given), names::config_map_key(&given), names::wildcard_subdomain(&given));
    let _ = (names::port_name(&given), names::port_number(odd::integer(random)), names::name_is_label(&given, true));
    let made = names::generated_name(&given, *b"abcde");
    if made.len() > 63 && given.len() <= 58 {
        return Err(format!("{given:?} became a name of {} bytes", made.len()));
    }
    match given.parse::<Cidr>() {
        Ok(cidr) if cidr.to_string().parse::<Cidr>().is_err() => Err(format!("{given:?} is written as {cidr}")),
        _ => Ok(()),
    }
}

fn config(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SHIPPED: &str = include_str!("../../config/cluster.yaml");
    const SMALL: &str = "api: {port: 6443, address: 0.0.0.0}\nnetwork: {podCidr: 10.42.0.0/16, serviceCidr: 10.43.0.0/16, nodePrefix: 24}\nnode: {name: n, maxPods: 110, labels: {a: b}}\nusers: [{name: a, token: secret-token, groups: [g]}]\noidc: [{issuer: 'https://a', audiences: [b]}]\n";
    let given = one_of(random, &[SHIPPED, SMALL, SMALL]);
    let parsed = match Config::parse("config.yaml", &given) {
        Err(error) if error.to_string().is_empty() => return Err("a refusal without words".into()),
        Err(_) => return Ok(()),
        Ok(parsed) => parsed,
    };
    let written = serde_yaml::to_string(&parsed).map_err(|e| e.to_string())?;
    match Config::parse("config.yaml", &written) {
        Ok(again) if again == parsed => Ok(()),
        Ok(_) => Err("a cluster file changes when it is written".into()),
        Err(error) => Err(format!("a cluster file that was read is refused when written: {error}")),
    }
}

fn kubeconfig(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEED: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: 'http://[::1]:80/prefix'}}]\nusers: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n";
    match parse_kubeconfig(&text(random, SEED)) {
        Err(why) if why.is_empty() => Err("a refusal without words".into()),
        _ => Ok(()),
    }
}

fn tokens(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const JOIN: &str = "K1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.abcdef.0123456789abcdef";
    if let Ok(token) = text(random, JOIN).parse::<JoinToken>()
        && token.to_string().parse::<JoinToken>().is_err()
    {
        return Err(format!("a token that was read is none when written: {token}"));
    }
    const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2EiLCJzdWIiOiJiIiwiYXVkIjpbImMiXSwiZXhwIjoxfQ.c2ln";
    let _ = unverified(&text(random, JWT));
    let _ = jsonwebtoken::decode_header(&text(random, JWT));
    Ok(())
}

fn certificates(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let request = bytes(random, corpus.request_pem.as_bytes());
    let _ = ParsedRequest::from_pem(&request);
    let certificate = bytes(random, corpus.certificate_pem.as_bytes());
    let _ = (check_certificates(&certificate), not_after(&certificate));
    let _ = identity_of(&bytes(random, &corpus.certificate_der));
    Ok(())
}

fn image_names(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const SEEDS: &[&str] = &[
        "busybox",
        "library/busybox:1.36",
        "localhost:5000/a/b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "a.example/b__c-d.e:tag_1.2",
        "[fd00::1]:80/a",
    ];
    let Ok(parsed) = ImageRef::parse(&one_of(random, SEEDS)) else { return Ok(()) };
    let written = parsed.to_string();
    let again = ImageRef::parse(&written).map_err(|e| format!("{written:?} is written and not read: {e}"))?;
    let stays = again.to_string() == written && again.name() == parsed.name();
    if stays { Ok(()) } else { Err(format!("{written:?} became {again}")) }
}

fn image_documents(random: &mut Random, _: &Corpus) -> Outcome<()> {
    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let blob = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["A=b"],"Entrypoint":["/a"],"Cmd":null,"User":"1:2","ExposedPorts":{{"80/tcp":{{}}}}}},"rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}}}}"#
    );
    let _ = parse_config(&bytes(random, blob.as_bytes()));
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a","digest":"{DIGEST}","size":7}},"layers":[{{"mediaType":"a","digest":"{DIGEST}","size":7,"platform":{{"os":"linux"}}}}]}}"#
    );
    let _ = parse_manifest(&bytes(random, manifest.as_bytes()));
    Ok(())
}

/// The paths of an archive's entries stay below its root, whatever the headers say.
fn layers(random: &mut Random, _: &Corpus) -> Outcome<()> {
    let mut builder = tar::Builder::new(Vec::new());
    for _ in 0..3 {
        let mut header = tar::Header::new_gnu();
        let name = one_of(random, &["a/b", "../../etc/passwd", "/x", "a/../../b", ".wh.a", "a/.wh..wh..opq", "./a", "..", ""]);
        // Names that the library refuses to write are written as they are.
        if let Some(old) = header.as_old_mut().name.get_mut(..name.len().min(100)) {
            old.copy_from_slice(name.as_bytes().get(..old.len()).unwrap_or_default());
        }
        header.set_size(3);
        header.set_entry_type(*random.pick(&[tar::EntryType::Regular, tar::EntryType::Directory, tar::EntryType::Symlink]));
        header.set_cksum();
        builder.append(&header, &b"abc"[..]).map_err(|e| e.to_string())?;
    }
    let archive = builder.into_inner().map_err(|e| e.to_string())?;
    let archive = if random.one_in(2) { bytes(random, &archive) } else { archive };
    let mut archive = tar::Archive::new(archive.as_slice());
    for entry in archive.entries().into_iter().flatten() {
        let Ok(entry) = entry else { break };
        let Ok(clean) = entry.path().and_then(|path| inside(&path)) else { continue };
        let below = clean.strip_prefix("/").unwrap_or(Path::new(".."));
        if below.components().any(|c| !matches!(c, Component::Normal(_))) {
            return Err(format!("{clean:?} leaves the layer"));
        }
    }
    Ok(())
}

fn records(random: &mut Random, corpus: &Corpus) -> Outcome<()> {
    let body = Bytes::from(random.pick(&corpus.bodies).to_string());
    let stored = Record { revision: random.next(), splice: 3, body }.encode().map_err(|e| e.to_string())?;
    let Ok(record) = Record::decode(&bytes(random, &stored), || "an input".into()) else { return Ok(()) };
    let again = record.encode().and_then(|bytes| Record::decode(&bytes, || "an input".into()));
    if again.is_ok_and(|again| again == record) { Ok(()) } else { Err("a record changes on its way".into()) }
}
