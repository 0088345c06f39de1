//! Netlink inside a network namespace: a thread that stays there for the node, short-lived ones for pods.
use super::{NetworkError, Result};
use futures_util::TryStreamExt;
use nix::sched::{CloneFlags, setns};
use rtnetlink::Handle;
use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};

/// Jobs waiting for the node's thread; more callers wait.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(Handle) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A thread in the node's namespace with one netlink socket. It ends when this is dropped.
pub(crate) struct NetThread {
    jobs: mpsc::Sender<Job>,
}

impl NetThread {
    /// Starts the thread; `None` stays in the caller's namespace.
    pub fn start(netns: Option<&Path>) -> Result<NetThread> {
        let netns = netns.map(|path| File::open(path).map_err(|e| NetworkError::io(path.display(), e))).transpose()?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let work = async move |handle: Handle| {
            while let Some(job) = queue.recv().await {
                tokio::task::spawn_local(job(handle.clone()));
            }
            Ok(())
        };
        std::thread::Builder::new()
            .name("node-netlink".into())
            .spawn(move || enter_and_run(netns, work))
            .map_err(|e| NetworkError::io("start the network thread", e))?;
        Ok(NetThread { jobs })
    }

    /// Runs a job on the thread. It goes on even when the caller gives up, so that nothing is left half made.
    pub async fn run<T, F, Fut>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Handle) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |handle| {
            Box::pin(async move {
                // The caller may have gone.
                let _ = answer.send(job(handle).await);
            })
        });
        let ended = |_| NetworkError::io("network thread", "has ended");
        self.jobs.send(job).await.map_err(|_| ended(()))?;
        answered.await.map_err(|_| ended(()))?
    }
}

fn enter_and_run<T, F, Fut>(netns: Option<File>, job: F) -> Result<T>
where
    F: FnOnce(Handle) -> Fut,
    Fut: Future<Output = Result<T>>,
{
    if let Some(netns) = netns {
        setns(&netns, CloneFlags::CLONE_NEWNET).map_err(|e| NetworkError::io("enter the network namespace", e))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| NetworkError::io("start the network thread", e))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(|e| NetworkError::io("open netlink", e))?;
        let connection = tokio::spawn(connection);
        let done = job(handle).await;
        connection.abort();
        done
    })
}

/// Runs one netlink job inside a namespace, in a thread made for it.
pub(crate) async fn netlink_in<T, F, Fut>(netns: &Path, job: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(Handle) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T>>,
{
    let netns = File::open(netns).map_err(|e| NetworkError::io(netns.display(), e))?;
    let (answer, answered) = oneshot::channel();
    std::thread::Builder::new()
        .name("pod-netlink".into())
        .spawn(move || {
            let _ = answer.send(enter_and_run(Some(netns), job));
        })
        .map_err(|e| NetworkError::io("start a thread", e))?;
    answered.await.map_err(|_| NetworkError::io("pod network thread", "has ended"))?
}

/// Runs a blocking function with this thread's network namespace changed, in a thread made for it: dialling into a pod, reading its sysctls.
pub fn in_netns<T: Send + 'static>(netns: &Path, job: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    let netns = File::open(netns)?;
    let work = move || {
        setns(&netns, CloneFlags::CLONE_NEWNET)?;
        job()
    };
    std::thread::Builder::new().spawn(work)?.join().unwrap_or_else(|_| Err(std::io::Error::other("panic")))
}

/// The operating system's number of a netlink refusal.
pub(crate) fn errno(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(-message.raw_code()),
        _ => None,
    }
}

/// A netlink refusal, with what was asked.
pub(crate) fn refused(what: &str) -> impl Fn(rtnetlink::Error) -> NetworkError {
    move |error| {
        let why = match &error {
            rtnetlink::Error::NetlinkError(message) => message.to_io().to_string(),
            other => other.to_string(),
        };
        NetworkError::Netlink { what: what.to_owned(), why }
    }
}

/// A refusal with one of these numbers is as good as success.
pub(crate) fn tolerate(done: std::result::Result<(), rtnetlink::Error>, numbers: &[i32], what: &str) -> Result<()> {
    match done {
        Err(e) if errno(&e).is_some_and(|number| numbers.contains(&number)) => Ok(()),
        other => other.map_err(refused(what)),
    }
}

/// The index of an interface; `None` when there is none of this name.
pub(crate) async fn link_index(handle: &Handle, name: &str) -> Result<Option<u32>> {
    match handle.link().get().match_name(name).execute().try_next().await {
        Ok(found) => Ok(found.map(|link| link.header.index)),
        Err(e) if errno(&e) == Some(libc::ENODEV) => Ok(None),
        Err(e) => Err(refused(&format!("find interface {name}"))(e)),
    }
}

/// Deletes an interface that may not be there.
pub(crate) async fn delete_link(handle: &Handle, name: &str) -> Result<()> {
    match link_index(handle, name).await? {
        Some(index) => tolerate(handle.link().del(index).execute().await, &[libc::ENODEV], &format!("delete interface {name}")),
        None => Ok(()),
    }
}
