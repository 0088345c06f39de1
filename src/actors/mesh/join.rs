//! How a machine becomes a node, and stays one: its key is made here and never leaves; a server signs a certificate for it.
use super::client::{MeshClient, dial, hello};
use super::error::MeshError;
use super::link::Link;
use super::transport::close;
use crate::protocol::mesh::{Answer, Call};
use crate::storage::pki::tls::joining_client_config;
use crate::storage::pki::{JoinToken, NodeIdentity, node};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

/// What a joining machine knows.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// `host:port` of a server.
    pub server: String,
    pub token: JoinToken,
    /// The name that the machine would like to have.
    pub node: String,
    /// Where its identity is to be kept, `<data>/pki`.
    pub dir: PathBuf,
}

/// Joins the cluster that the token belongs to. A machine that has joined it already, under the same name and with a
/// certificate that is still good, is left as it is, and no server is asked.
///
/// # Errors
/// Among others [`MeshError::OtherCluster`] when the machine is another cluster's, [`MeshError::Connect`] when the server
/// is not of the token's cluster, [`MeshError::Refused`] when the token is wrong or the name taken.
pub async fn join(request: JoinRequest, runtime: &Handle) -> Result<NodeIdentity, MeshError> {
    if node::known_ca_hash(&request.dir)?.is_some_and(|hash| hash != request.token.ca_hash) {
        return Err(MeshError::OtherCluster(request.dir.display().to_string()));
    }
    if let Some(known) = NodeIdentity::load(&request.dir)?
        && known.node == request.node
        && !known.is_over(crate::protocol::time::now())?
    {
        return Ok(known);
    }
    // QUIC needs the reactor and the timers of the runtime given.
    match runtime.spawn(ask(request)).await {
        Ok(joined) => joined,
        Err(error) => Err(MeshError::Cut(error.to_string())),
    }
}

async fn ask(request: JoinRequest) -> Result<NodeIdentity, MeshError> {
    let signing_request = node::request(&request.dir, &request.node)?;
    let (endpoint, connection) = dial(&request.server, joining_client_config(&request.token.ca_hash)?, None).await?;
    let link = Link::new(connection, &format!("node/{}", request.node), &Default::default());
    let call = Call::Join { token: request.token.secret_part(), node: request.node.clone(), request: signing_request };
    let answer = match hello(&link, &request.node).await {
        Ok(_) => link.call("server", call).await,
        Err(error) => Err(error),
    };
    link.connection.close(close::DONE, b"");
    endpoint.wait_idle().await;
    match answer? {
        Answer::Joined { certificate, ca } => Ok(node::accept(&request.dir, &request.node, &certificate, &ca, &request.token.ca_hash)?),
        other => Err(MeshError::Unexpected(format!("{other:?}"))),
    }
}

/// Joins under several names with the one key in `dir`, over one connection; answers an identity for each name. Nothing but the
/// key is written. The server shows a stranger the door after half a minute: the names that are not reached are an error, to be
/// asked for again.
///
/// # Errors
/// The first refusal; names before it have joined, and may be asked for again with the same key.
pub async fn join_all(server: &str, token: &JoinToken, dir: &Path, nodes: &[String]) -> Result<Vec<NodeIdentity>, MeshError> {
    let Some(first) = nodes.first() else { return Ok(Vec::new()) };
    let (endpoint, connection) = dial(server, joining_client_config(&token.ca_hash)?, None).await?;
    let link = Link::new(connection, &format!("node/{first}"), &Default::default());
    let joined = async {
        hello(&link, first).await?;
        let mut identities = Vec::with_capacity(nodes.len());
        for node in nodes {
            let request = node::request(dir, node)?;
            let call = Call::Join { token: token.secret_part(), node: node.clone(), request };
            match link.call("server", call).await? {
                Answer::Joined { certificate, ca } => {
                    identities.push(node::check_answer(dir, node, &certificate, &ca, &token.ca_hash)?);
                }
                other => return Err(MeshError::Unexpected(format!("{other:?}"))),
            }
        }
        Ok(identities)
    };
    let joined = joined.await;
    link.connection.close(close::DONE, b"");
    endpoint.wait_idle().await;
    joined
}

impl MeshClient {
    /// Asks for a new certificate when two thirds of the present one's life are over; connections made from now on show
    /// it. Answers whether it did. To be called about daily, and after a connection came back.
    pub async fn renew_if_due(&self, now: Timestamp) -> Result<bool, MeshError> {
        if !self.identity().is_due(now)? {
            return Ok(false);
        }
        self.renew().await.map(|_| true)
    }

    /// Asks for a new certificate for the same name and key.
    pub async fn renew(&self) -> Result<NodeIdentity, MeshError> {
        let identity = self.identity();
        let request = node::request(self.dir(), &identity.node)?;
        let call = Call::Join { token: String::new(), node: identity.node.clone(), request };
        match self.call("server", call).await? {
            Answer::Joined { certificate, ca } => {
                let renewed = node::accept(self.dir(), &identity.node, &certificate, &ca, &identity.ca_hash()?)?;
                self.replace_identity(renewed.clone());
                Ok(renewed)
            }
            other => Err(MeshError::Unexpected(format!("{other:?}"))),
        }
    }
}
