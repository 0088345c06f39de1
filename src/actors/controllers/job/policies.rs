//! What a job's policies say of a failed pod, and of the indexes that succeeded.
use super::indexes::Indexes;
use serde_json::Value;

/// What happens because of a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts towards the back-off limit.
    Count,
    /// It counts for nothing.
    Ignore,
    /// Its index has failed for good.
    FailIndex,
    /// The job has failed, for this reason.
    FailJob(String),
}

/// The first rule of a `podFailurePolicy` that fits decides; without one a failure counts.
pub(super) fn judge(policy: &Value, pod: &Value) -> Verdict {
    for (at, rule) in policy["rules"].as_array().into_iter().flatten().enumerate() {
        let Some(what) = fits(rule, pod) else { continue };
        return match rule["action"].as_str().unwrap_or_default() {
            "Ignore" => Verdict::Ignore,
            "FailIndex" => Verdict::FailIndex,
            "FailJob" => Verdict::FailJob(format!("{what} matching FailJob rule at index {at}")),
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

/// What about the pod a rule fits, in upstream's words.
fn fits(rule: &Value, pod: &Value) -> Option<String> {
    let named = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let (namespace, name) = (named(&pod["metadata"]["namespace"]), named(&pod["metadata"]["name"]));
    let codes = &rule["onExitCodes"];
    if codes.is_object() {
        let lists = ["containerStatuses", "initContainerStatuses"].map(|list| &pod["status"][list]);
        let statuses = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
        for status in statuses.filter(|s| codes["containerName"].is_null() || codes["containerName"] == s["name"]) {
            let Some(code) = status["state"]["terminated"]["exitCode"].as_i64().filter(|code| *code != 0) else { continue };
            let listed = codes["values"].as_array().into_iter().flatten().any(|v| v.as_i64() == Some(code));
            if listed == (codes["operator"] == "In") {
                return Some(format!("Container {} for pod {namespace}/{name} failed with exit code {code}", named(&status["name"])));
            }
        }
        return None;
    }
    for pattern in rule["onPodConditions"].as_array().into_iter().flatten() {
        let wanted = pattern["status"].as_str().unwrap_or("True");
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        if conditions.any(|c| c["type"] == pattern["type"] && c["status"] == wanted) {
            return Some(format!("Pod {namespace}/{name} has condition {}", named(&pattern["type"])));
        }
    }
    None
}

/// The message of the first rule of a `successPolicy` that the succeeded indexes meet.
pub(super) fn success(policy: &Value, succeeded: &Indexes, completions: i64) -> Option<String> {
    let mut rules = policy["rules"].as_array().into_iter().flatten();
    let met = |rule: &Value| {
        let of = rule["succeededIndexes"].as_str().map(|text| Indexes::parse(text, completions));
        let have = of.as_ref().map_or(succeeded.len(), |of| succeeded.shared(of));
        let all = of.as_ref().map_or(completions, Indexes::len);
        have >= rule["succeededCount"].as_i64().unwrap_or(all)
    };
    rules.position(met).map(|at| format!("Matched rules at index {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = json!({"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42, 0]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1]}},
        ]});
        let pod = |container: &str, code: i64, disrupted: bool| {
            json!({"metadata": {"namespace": "ns", "name": "p"}, "status": {
                "conditions": if disrupted { json!([{"type": "DisruptionTarget", "status": "True"}]) } else { json!([]) },
                "containerStatuses": [{"name": container, "state": {"terminated": {"exitCode": code}}}]}})
        };
        let fail = "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 1";
        let cases = [
            (pod("main", 42, true), Verdict::Ignore),
            (pod("main", 42, false), Verdict::FailJob(fail.into())),
            (pod("side", 42, false), Verdict::FailIndex),
            (pod("main", 1, false), Verdict::Count),
            (pod("main", 0, false), Verdict::Count),
        ];
        for (pod, want) in cases {
            assert_eq!(judge(&policy, &pod), want, "{pod}");
        }
    }

    #[test]
    fn success_rules() {
        let succeeded = Indexes::parse("0,2-3", 10);
        let cases = [
            (json!([{"succeededIndexes": "0,2"}]), Some("Matched rules at index 0")),
            (json!([{"succeededIndexes": "0-2"}, {"succeededCount": 3}]), Some("Matched rules at index 1")),
            (json!([{"succeededIndexes": "1-3", "succeededCount": 2}]), Some("Matched rules at index 0")),
            (json!([{"succeededCount": 4}]), None),
        ];
        for (rules, want) in cases {
            assert_eq!(success(&json!({ "rules": rules }), &succeeded, 10).as_deref(), want);
        }
    }
}
