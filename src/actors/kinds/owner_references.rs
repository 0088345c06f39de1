//! An owner that is named twice over is named once, and the client is told.
use serde_json::Value;

/// When the duplicates were found, for the warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    InRequest,
    AfterMutation,
}

/// Drops references that say exactly what an earlier one says. Answers upstream's warning, when there were any.
pub fn deduplicate(object: &mut Value, found: Found) -> Option<String> {
    let references = object.get_mut("metadata")?.get_mut("ownerReferences")?.as_array_mut()?;
    if references.len() < 2 {
        return None;
    }
    let mut kept: Vec<Value> = Vec::with_capacity(references.len());
    let mut twice: Vec<String> = Vec::new();
    for reference in references.drain(..) {
        if kept.contains(&reference) {
            twice.push(reference["uid"].as_str().unwrap_or_default().into());
        } else {
            kept.push(reference);
        }
    }
    *references = kept;
    if twice.is_empty() {
        return None;
    }
    let when = match found {
        Found::InRequest => "",
        Found::AfterMutation => " after mutating admission happens",
    };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such \
         requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_all_the_same_goes() {
        let owner =
            |uid: &str, controller: bool| json!({ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": controller });
        let mut object =
            json!({ "metadata": { "ownerReferences": [owner("a", false), owner("b", false), owner("a", true), owner("a", false)] } });
        let said = deduplicate(&mut object, Found::InRequest).expect("a warning");
        assert!(
            said.starts_with(".metadata.ownerReferences contains duplicate entries; API server") && said.ends_with("observed: a"),
            "{said}"
        );
        assert_eq!(object["metadata"]["ownerReferences"], json!([owner("a", false), owner("b", false), owner("a", true)]));
        assert_eq!(deduplicate(&mut object, Found::AfterMutation), None);
    }
}
