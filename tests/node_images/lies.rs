use super::*;

/// Imports an image of one packed layer; the error's text.
async fn refused(place: &Place, packed: Vec<u8>, diff_id: String) -> String {
    let layout = place.path("layout");
    let _ = std::fs::remove_dir_all(&layout);
    oci_layout(&layout, "liar:1", &[packed], &[diff_id]);
    let before = place.contents();
    let error = place.images.import(&layout).await.expect_err("refused").to_string();
    assert_eq!(place.contents(), before, "nothing is left: {error}");
    assert!(place.images.find("liar:1").is_none());
    error
}

#[tokio::test]
async fn lying_layers_leave_nothing_behind() {
    let place = Place::new();
    let good = layer(&[("a", Kind::File("a"))]);

    let error = refused(&place, good.clone(), digest(b"other")).await;
    assert!(error.contains("the image says") && error.contains(&digest(&good)), "{error}");

    let packed = gzip(&layer(&[("a", Kind::File(&"long ".repeat(10_000)))]));
    let plain = layer(&[("a", Kind::File(&"long ".repeat(10_000)))]);
    refused(&place, packed[..packed.len() / 2].to_vec(), digest(&plain)).await;
    refused(&place, packed[..packed.len() - 4].to_vec(), digest(&plain)).await;
    refused(&place, plain[..20_000].to_vec(), digest(&plain[..20_000])).await;

    for name in ["../escape", "a/../../escape", "/../escape"] {
        let bad = layer(&[(name, Kind::File("x"))]);
        let error = refused(&place, bad.clone(), digest(&bad)).await;
        assert!(error.contains("path escapes the layer"), "{error}");
    }

    let mut header = tar::Header::new_gnu();
    header.set_path("huge").unwrap();
    header.set_size(1 << 50);
    header.set_cksum();
    let huge = header.as_bytes().to_vec();
    let error = refused(&place, huge.clone(), digest(&huge)).await;
    assert!(error.contains("larger than this node allows"), "{error}");

    refused(&place, b"\x1f\x8b no gzip".to_vec(), digest(b"")).await;
    refused(&place, vec![7; 1024], digest(&[7; 1024])).await;
}

#[tokio::test]
async fn blobs_that_are_not_their_digest_are_refused() {
    let place = Place::new();
    let good = layer(&[("a", Kind::File("a"))]);
    let layout = place.path("layout");
    for victim in 0..3 {
        let _ = std::fs::remove_dir_all(&layout);
        oci_layout(&layout, "liar:1", std::slice::from_ref(&good), &[digest(&good)]);
        let mut blobs: Vec<_> = std::fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|e| e.unwrap().path()).collect();
        blobs.sort();
        let mut bytes = std::fs::read(&blobs[victim]).unwrap();
        bytes.push(b' ');
        std::fs::write(&blobs[victim], bytes).unwrap();
        let before = place.contents();
        let error = place.images.import(&layout).await.unwrap_err().to_string();
        assert!(error.contains("has digest sha256:"), "{error}");
        assert_eq!(place.contents(), before);
    }
    std::fs::write(place.path("no.tar"), layer(&[("a", Kind::File("a"))])).unwrap();
    assert!(place.images.import(&place.path("no.tar")).await.is_err());
    assert!(place.images.import(&place.path("absent.tar")).await.is_err());
}

#[tokio::test]
async fn links_in_a_layer_do_not_lead_out_of_it() {
    let place = Place::new();
    let outside = place.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap();
    let sneaky = layer(&[("link", Kind::Link(target)), ("link/evil", Kind::File("x")), (".wh.link", Kind::File(""))]);
    oci_layout(&place.path("layout"), "sneaky:1", std::slice::from_ref(&sneaky), &[digest(&sneaky)]);
    // Either the layer is refused or the link is taken relative to the layer: the host sees nothing.
    let _ = place.images.import(&place.path("layout")).await;
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);

    let hard = layer(&[("passwd", Kind::Hard("/etc/passwd"))]);
    oci_layout(&place.path("layout2"), "hard:1", std::slice::from_ref(&hard), &[digest(&hard)]);
    assert!(place.images.import(&place.path("layout2")).await.is_err());
}
