//! How a pod's actor reports and ends: status patches, the removal of the sandbox, the deletion of the object.
use super::agent::AgentMessage;
use super::control_plane::{ControlError, ControlPlane, JSON, MERGE_PATCH, request, until_connected};
use super::plan::retry_pause;
use super::pod::{Pod, PodMessage, REFRESH};
use super::start::refresh_volumes;
use super::state::{Ending, SetUp, TearDown};
use super::status::{Around, patch, pod_status};
use crate::actors::base::Scope;
use crate::protocol::time::now;
use crate::runtime::api::{Result as RuntimeResult, RuntimeError};
use crate::runtime::volumes;
use serde_json::{Value, json};
use std::path::PathBuf;

impl Pod {
    /// Computes the status and sends it when it is news. Only one patch is under way; when it is done the newest follows.
    pub(super) fn report(&mut self, scope: &mut Scope<'_, Self>) {
        let taking_over = self.state.sandbox().is_none() && self.state.tear_down == TearDown::NotYet && !self.state.quiet();
        if self.frozen || self.state.ending == Some(Ending::Vanished) || taking_over {
            return;
        }
        let around = Around { host_ip: &self.around.host_ip, last: &self.shown, now: now() };
        let status = pod_status(&self.state, &around);
        self.shown = status.clone();
        if self.sending || status == self.taken {
            return;
        }
        self.sending = true;
        let before = if self.taken.is_null() { &self.state.object.raw["status"] } else { &self.taken };
        let body = patch(&self.state.object.uid, before, &status);
        let path = format!("{}/status", self.state.object.path());
        let (control, failures) = (self.around.control.clone(), self.status_failures);
        scope.run(async move {
            let outcome = request(&*control, "PATCH", &path, MERGE_PATCH, Some(&body)).await.map(|_| ());
            rest_after(&*control, &outcome, failures).await;
            PodMessage::StatusSent { status, outcome }
        });
    }

    pub(super) fn status_sent(&mut self, status: Value, outcome: Result<(), ControlError>) {
        self.sending = false;
        match outcome {
            Err(error) if error.is_passing() => {
                self.status_failures = self.status_failures.saturating_add(1);
                return;
            }
            // An object that is gone, or has another uid: the watch tells of it.
            Err(error) => tracing::warn!(pod = self.state.object.name, %error, "a pod's status was refused"),
            Ok(()) => {}
        }
        self.status_failures = 0;
        self.taken = status;
    }

    fn reported(&self) -> bool {
        self.frozen || (!self.sending && self.taken == self.shown)
    }

    /// Removes what is left of the pod on the node. A pod that ended by itself first has its status taken: after the
    /// removal nobody could tell any more how it ended.
    pub(super) fn tear_down(&mut self, scope: &mut Scope<'_, Self>) {
        let deleted = matches!(self.state.ending, Some(Ending::Deleted | Ending::Vanished));
        if matches!(self.state.set_up, SetUp::Busy) || (!deleted && !self.final_reported()) {
            return;
        }
        self.state.tear_down = TearDown::Busy;
        let object = self.state.object.clone();
        let ids = self.state.records.iter().flat_map(|r| [r.id().map(String::from), r.previous.as_ref().map(|p| p.id.clone())]);
        let ids: Vec<String> = ids.flatten().collect();
        let runtime = self.around.runtime.clone();
        let files = self.around.places.pod(&object.uid);
        scope.run(async move {
            for id in ids {
                if let Err(error) = runtime.remove_container(&id).await {
                    tracing::debug!(container = id, %error, "a container was not removed; the sandbox's removal follows");
                }
            }
            if let Err(error) = runtime.remove_sandbox(&object.uid).await {
                return PodMessage::TornDown(Err(error));
            }
            PodMessage::TornDown(clean_up(files).await)
        });
    }

    /// The status as it is now has been taken; computing it anew must not differ.
    fn final_reported(&self) -> bool {
        let around = Around { host_ip: &self.around.host_ip, last: &self.shown, now: now() };
        self.reported() && (self.frozen || pod_status(&self.state, &around) == self.taken)
    }

    pub(super) fn torn_down(&mut self, outcome: RuntimeResult<()>, scope: &mut Scope<'_, Self>) {
        match outcome {
            Ok(()) => {
                self.state.tear_down = TearDown::Done;
                self.state.set_up = SetUp::Missing;
            }
            Err(error) => {
                self.tear_down_failures = self.tear_down_failures.saturating_add(1);
                tracing::warn!(pod = self.state.object.name, %error, "a pod's sandbox could not be removed yet");
                self.later(retry_pause(self.tear_down_failures), PodMessage::RetryTearDown, scope);
            }
        }
    }

    /// The last step: nothing is left on the node, and the API has the final status.
    pub(super) fn conclude(&mut self, scope: &mut Scope<'_, Self>) {
        if self.state.tear_down != TearDown::Done {
            return;
        }
        match self.state.ending {
            Some(Ending::Vanished) => self.finish(scope),
            Some(Ending::Deleted) if !self.deleting && self.reported() => self.delete_object(scope),
            _ => {}
        }
    }

    fn delete_object(&mut self, scope: &mut Scope<'_, Self>) {
        self.deleting = true;
        let (control, object, failures) = (self.around.control.clone(), self.state.object.clone(), self.status_failures);
        scope.run(async move {
            let options = json!({
                "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": { "uid": object.uid },
            });
            let outcome = request(&*control, "DELETE", &object.path(), JSON, Some(&options)).await.map(|_| ());
            rest_after(&*control, &outcome, failures).await;
            PodMessage::ObjectDeleted(outcome)
        });
    }

    pub(super) fn object_deleted(&mut self, outcome: Result<(), ControlError>, scope: &mut Scope<'_, Self>) {
        match outcome {
            Err(error) if error.is_passing() => {
                self.status_failures = self.status_failures.saturating_add(1);
                self.deleting = false;
            }
            // With a finalizer left the object lives on; nothing of it is here any more.
            Ok(()) => self.finish(scope),
            Err(error) => {
                tracing::debug!(pod = self.state.object.name, %error, "the pod's object was gone already");
                self.finish(scope);
            }
        }
    }

    fn finish(&mut self, scope: &mut Scope<'_, Self>) {
        let (agent, object) = (self.agent.clone(), self.state.object.clone());
        let logs = self.around.places.logs(&object.namespace, &object.name, &object.uid);
        actix_rt::spawn(async move {
            // There are none when no container ever started.
            let _ = tokio::fs::remove_dir_all(logs).await;
            agent.deliver(AgentMessage::PodFinished { uid: object.uid.clone() }).await;
        });
        scope.stop();
    }

    pub(super) fn refresh(&mut self, scope: &mut Scope<'_, Self>) {
        if self.state.ending.is_some() || self.state.tear_down != TearDown::NotYet {
            return;
        }
        let (around, object) = (self.around.clone(), self.state.object.clone());
        scope.run(async move { PodMessage::Refreshed(refresh_volumes(&around, &object).await) });
    }

    pub(super) fn refreshed(&mut self, outcome: RuntimeResult<()>, scope: &mut Scope<'_, Self>) {
        if let Err(error) = outcome {
            // What is mounted stays as it is.
            tracing::debug!(pod = self.state.object.name, %error, "a pod's volumes were not brought up to date");
        }
        self.later(REFRESH, PodMessage::RefreshVolumes, scope);
    }
}

/// Unmounts and removes what the agent keeps for a pod.
pub(super) async fn clean_up(files: PathBuf) -> RuntimeResult<()> {
    let cleaning = tokio::task::spawn_blocking(move || volumes::cleanup(&files).map_err(RuntimeError::from));
    cleaning.await.unwrap_or_else(|e| Err(RuntimeError::new("FailedKillPod", e)))
}

/// After a passing failure: until there is a connection again, and a growing pause.
async fn rest_after<T>(control: &dyn ControlPlane, outcome: &Result<T, ControlError>, failures: u32) {
    if outcome.as_ref().is_err_and(ControlError::is_passing) {
        until_connected(control).await;
        let pause = std::time::Duration::from_millis(100 << failures.min(6));
        tokio::time::sleep(pause).await;
    }
}
