//! Long lists in pieces.
use crate::api::{Place, names, pod};
use serde_json::{Value, json};

const COUNT: usize = 40;

async fn templates(place: &Place) -> String {
    let path = place.path("podtemplates");
    for i in 0..COUNT {
        let body = json!({ "metadata": { "name": format!("template-{i:04}") }, "template": { "spec": pod("x")["spec"] } });
        place.api.post(&path, &body).await.ok();
    }
    path
}

fn token(list: &Value) -> &str {
    list["metadata"]["continue"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn pieces_of_one_moment() {
    let place = Place::new().await;
    let path = templates(&place).await;
    let mut expected = (0..COUNT).map(|i| format!("template-{i:04}"));
    let (mut next, mut seen, mut revision) = (String::new(), 0, None);
    for round in 0.. {
        let limit = 1 + round * 5 % 17;
        let list = place.api.get(&format!("{path}?limit={limit}{next}")).await.ok();
        let page = names(&list);
        assert!(page.len() <= limit, "{} are more than {limit}", page.len());
        let revision = revision.get_or_insert_with(|| list["metadata"]["resourceVersion"].clone());
        assert_eq!(&list["metadata"]["resourceVersion"], revision);
        seen += page.len();
        for name in page {
            assert_eq!(Some(name), expected.next());
        }
        if token(&list).is_empty() {
            assert!(list["metadata"].get("remainingItemCount").is_none(), "{}", list["metadata"]);
            break;
        }
        assert_eq!(list["metadata"]["remainingItemCount"], COUNT - seen);
        next = format!("&continue={}", token(&list));
    }
    assert_eq!(expected.next(), None);
    let whole = place.api.get(&path).await.ok();
    assert_eq!((names(&whole).len(), token(&whole)), (COUNT, ""));
    assert!(whole["metadata"].get("remainingItemCount").is_none());
}

/// When the moment is forgotten, the refusal has a token with which the rest can be had as it is now.
#[tokio::test]
async fn the_rest_after_the_moment_is_forgotten() {
    let place = Place::new().await;
    let path = templates(&place).await;
    let first = place.api.get(&format!("{path}?limit=10")).await.ok();
    assert_eq!(first["metadata"]["remainingItemCount"], COUNT - 10);
    let old = token(&first).to_string();
    // More pagings than are remembered, each of its own moment.
    for i in 0..70 {
        let change = json!({ "metadata": { "annotations": { "moment": i.to_string() } } });
        place.api.patch(&format!("{path}/template-0000"), "merge", &change).await.ok();
        place.api.get(&format!("{path}?limit=1")).await.ok();
    }
    let refused = place.api.get(&format!("{path}?limit=10&continue={old}")).await;
    let inconsistent = token(&refused.json()).to_string();
    let said = refused.refused(410, "Expired");
    assert!(said.contains("use the continue token in this response to retrieve the remainder of the results"), "{said}");
    assert!(!inconsistent.is_empty(), "no token for the rest");

    let second = place.api.get(&format!("{path}?limit=10&continue={inconsistent}")).await.ok();
    assert_eq!((names(&second)[0].as_str(), names(&second).len()), ("template-0010", 10));
    assert_ne!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["remainingItemCount"], COUNT - 20);
    let mut seen = 20;
    let mut list = second.clone();
    while !token(&list).is_empty() {
        list = place.api.get(&format!("{path}?limit=10&continue={}", token(&list))).await.ok();
        assert_eq!(list["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
        assert_eq!(names(&list)[0], format!("template-{seen:04}"));
        seen += names(&list).len();
    }
    assert_eq!(seen, COUNT);
}
