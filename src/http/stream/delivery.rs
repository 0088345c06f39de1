//! Handing a client's bytes to a reader that may be slow, without losing sight of the client.
use super::spdy::SpdyError;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a reader may lag before the client is asked whether it is still there.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Waits until `to` takes the item. While nothing is read from the connection its end would go unnoticed, and the command at the
/// other end would run on for nobody; so `probe` writes something from time to time, which fails once the client is gone.
/// A receiver that is gone is no error: it wants no more.
pub(super) async fn deliver<T>(
    to: &mpsc::Sender<T>,
    item: T,
    mut probe: impl AsyncFnMut() -> Result<(), SpdyError>,
) -> Result<(), SpdyError> {
    let permit = to.reserve();
    tokio::pin!(permit);
    loop {
        tokio::select! {
            permit = &mut permit => {
                if let Ok(permit) = permit {
                    permit.send(item);
                }
                return Ok(());
            }
            () = tokio::time::sleep(PROBE_EVERY) => probe().await?,
        }
    }
}
