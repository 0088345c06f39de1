//! What is played: steps that may be repeated, each until it is done.
use super::kubelet::{BY_HAND, patch};
use crate::https::Client;
use serde_json::{Value, json};
use std::io;

/// Acts or looks; true when there is no more to do.
pub type Step = Box<dyn Fn(&mut Client) -> io::Result<bool>>;

/// See the module.
pub struct Scene {
    /// Names the log file.
    pub name: &'static str,
    pub namespace: &'static str,
    pub steps: Vec<Step>,
}

pub fn create(path: &str, body: Value) -> Step {
    let path = path.to_string();
    Box::new(move |client| {
        let answer = client.post(&path, &body)?;
        assert!(matches!(answer.status, 201 | 403 | 409 | 500..), "{}", answer.text());
        Ok(matches!(answer.status, 201 | 409))
    })
}

pub fn change(path: &str, body: Value) -> Step {
    let path = path.to_string();
    Box::new(move |client| Ok(patch(client, &path, &body)?.status == 200))
}

pub fn delete(path: &str, options: Value) -> Step {
    let path = path.to_string();
    Box::new(move |client| {
        let answer = client.request("DELETE", &path, "application/json", options.to_string().as_bytes())?;
        Ok(matches!(answer.status, 200 | 202 | 404 | 409))
    })
}

pub fn until(path: &str, test: impl Fn(&Value) -> bool + 'static) -> Step {
    let path = path.to_string();
    Box::new(move |client| {
        let answer = client.get(&path)?;
        Ok(answer.status == 200 && test(&answer.json()))
    })
}

pub fn gone(path: &str) -> Step {
    let path = path.to_string();
    Box::new(move |client| Ok(client.get(&path)?.status == 404))
}

pub fn items(list: &Value) -> usize {
    list["items"].as_array().map_or(0, Vec::len)
}

pub fn pod(app: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

pub fn deployment(replicas: i64) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pod("web", "v1"),
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}}})
}

pub fn available(count: i64) -> impl Fn(&Value) -> bool {
    move |object| {
        let status = &object["status"];
        let all = ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|field| status[*field] == count);
        all && status["observedGeneration"] == object["metadata"]["generation"]
    }
}

/// Three pods of one template become three of another.
pub fn rollout() -> Scene {
    let all = "/apis/apps/v1/namespaces/scene/deployments";
    let web = &format!("{all}/web");
    let next = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}});
    let steps = vec![create(all, deployment(3)), until(web, available(3)), change(web, next), until(web, available(3))];
    Scene { name: "crash-walk-rollout", namespace: "scene", steps }
}

/// Two pods with claims, then three, then one; claims go with their pods. The scheduler waits for the claims' volumes.
pub fn stateful_set() -> Scene {
    let all = "/apis/apps/v1/namespaces/scene/statefulsets";
    let db = &format!("{all}/db");
    let template = pod("db", "v1");
    let wants = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}});
    let claim = json!({"metadata": {"name": "data"}, "spec": wants});
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
        "template": template, "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Delete"}}});
    let sized = |count: i64| move |object: &Value| object["status"]["replicas"] == count && object["status"]["readyReplicas"] == count;
    let size = |count: i64| change(db, json!({"spec": {"replicas": count}}));
    let claims = "/api/v1/namespaces/scene/persistentvolumeclaims";
    // Of different sizes, so that it is known which claim takes which.
    let volume = |name: &str, size: &str| {
        let spec = json!({"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}});
        create("/api/v1/persistentvolumes", json!({"metadata": {"name": name}, "spec": spec}))
    };
    let steps = vec![
        volume("one", "1Gi"),
        volume("two", "2Gi"),
        volume("three", "3Gi"),
        create(all, set),
        until(db, sized(2)),
        size(3),
        until(db, sized(3)),
        size(1),
        until(db, sized(1)),
        until(claims, |list| items(list) == 1),
    ];
    Scene { name: "crash-walk-stateful-set", namespace: "scene", steps }
}

/// A claim and a pod's own claim get the volumes that fit them; then the first goes.
pub fn volumes() -> Scene {
    let (volumes, claims) = ("/api/v1/persistentvolumes", "/api/v1/namespaces/scene/persistentvolumeclaims");
    let volume = |name: &str, size: &str| {
        let spec = json!({"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}});
        create(volumes, json!({"metadata": {"name": name}, "spec": spec}))
    };
    let wants =
        |size: &str| json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": size}}});
    let phase = |path: String, phase: &'static str| until(&path, move |object| object["status"]["phase"] == phase);
    let own = json!({"name": "own", "ephemeral": {"volumeClaimTemplate": {"spec": wants("2Gi")}}});
    let mut pod = pod("p", "v1");
    pod["metadata"]["name"] = "p".into();
    pod["spec"]["schedulerName"] = BY_HAND.into();
    pod["spec"]["volumes"] = json!([own]);
    let steps = vec![
        volume("small", "1Gi"),
        volume("large", "3Gi"),
        phase(format!("{volumes}/small"), "Available"),
        phase(format!("{volumes}/large"), "Available"),
        create(claims, json!({"metadata": {"name": "data"}, "spec": wants("1Gi")})),
        phase(format!("{volumes}/small"), "Bound"),
        phase(format!("{claims}/data"), "Bound"),
        create("/api/v1/namespaces/scene/pods", pod),
        phase(format!("{claims}/p-own"), "Bound"),
        phase(format!("{volumes}/large"), "Bound"),
        delete(&format!("{claims}/data"), json!({})),
        phase(format!("{volumes}/small"), "Released"),
    ];
    Scene { name: "crash-walk-volumes", namespace: "scene", steps }
}

/// Four indexes, two at a time, one of which fails once.
pub fn indexed_job() -> Scene {
    let all = "/apis/batch/v1/namespaces/scene/jobs";
    let mut template = pod("sums", "v1");
    template["spec"]["restartPolicy"] = "Never".into();
    let job = json!({"metadata": {"name": "sums"}, "spec": {"completions": 4, "parallelism": 2, "completionMode": "Indexed", "template": template}});
    let complete = |object: &Value| conditions(object, "Complete");
    Scene { name: "crash-walk-job", namespace: "scene", steps: vec![create(all, job), until(&format!("{all}/sums"), complete)] }
}

pub fn conditions(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True")
}

/// A time in the past is due; its job runs once, whatever happens.
pub fn cron_job() -> Scene {
    let all = "/apis/batch/v1/namespaces/scene/cronjobs";
    let tick = &format!("{all}/tick");
    let mut template = pod("tick", "v1");
    template["spec"]["restartPolicy"] = "Never".into();
    // Due when its last time is known to lie two years back, and then not for another year.
    let cron = json!({"metadata": {"name": "tick"}, "spec": {"schedule": "0 0 1 1 *", "successfulJobsHistoryLimit": 9,
        "jobTemplate": {"spec": {"template": template}}}});
    let forgotten = json!({"status": {"lastScheduleTime": "2024-06-01T00:00:00Z"}});
    let over = |object: &Value| !object["status"]["lastSuccessfulTime"].is_null() && items_of(&object["status"]["active"]) == 0;
    let told = move |client: &mut Client, path: &str| -> io::Result<bool> {
        let held = client.get(path)?.json();
        // Once is enough: what the controller has written since must stay.
        if !held["status"]["lastScheduleTime"].is_null() {
            return Ok(true);
        }
        Ok(patch(client, &format!("{path}/status"), &forgotten)?.status == 200)
    };
    let path = tick.clone();
    let steps = vec![create(all, cron), Box::new(move |client: &mut Client| told(client, &path)) as Step, until(tick, over)];
    Scene { name: "crash-walk-cron", namespace: "scene", steps }
}

fn items_of(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

/// Everything in it goes, and then it goes itself.
pub fn namespace() -> Scene {
    let spaces = "/api/v1/namespaces";
    let doomed = &format!("{spaces}/doomed");
    let all = "/apis/apps/v1/namespaces/doomed/deployments";
    let web = &format!("{all}/web");
    let held = json!({"metadata": {"name": "kept"}, "data": {"a": "b"}});
    let steps = vec![
        create(spaces, json!({"metadata": {"name": "doomed"}})),
        until(&format!("{doomed}/serviceaccounts/default"), |_| true),
        create(&format!("{doomed}/configmaps"), held),
        create(all, deployment(2)),
        until(web, available(2)),
        delete(doomed, json!({})),
        gone(doomed),
    ];
    Scene { name: "crash-walk-namespace", namespace: "doomed", steps }
}

/// A deployment goes after its replica set, and that after its pods.
pub fn cascade() -> Scene {
    let all = "/apis/apps/v1/namespaces/scene/deployments";
    let web = &format!("{all}/web");
    let steps =
        vec![create(all, deployment(2)), until(web, available(2)), delete(web, json!({"propagationPolicy": "Foreground"})), gone(web)];
    Scene { name: "crash-walk-cascade", namespace: "scene", steps }
}
