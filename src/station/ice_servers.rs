//! The STUN and TURN servers for new peer connections. They are kept in memory and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::config::{IceServer, IceServers};
use crate::core::{IceServerCounts, IceServersAnswer};
use crate::media::{IceAddresses, keep_resolved};
use crate::signaling::{IceServerList, SessionApi, SessionApiError};

/// A list counts as obtained when its names are resolved, or after this time.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(6);

/// Holds the servers that the next peer connection takes.
#[derive(Clone)]
pub(super) struct IceServerStore {
    servers: Arc<watch::Sender<Arc<[IceServer]>>>,
    addresses: watch::Receiver<Arc<IceAddresses>>,
    network_changed: Arc<Notify>,
}

impl IceServerStore {
    /// A store with the servers of the configuration.
    pub(super) fn new(configured: &IceServers) -> Self {
        let listed = match configured {
            IceServers::FromServer => &[][..],
            IceServers::Listed(servers) => servers,
        };
        let (servers, list) = watch::channel(listed.into());
        let network_changed = Arc::<Notify>::default();
        let addresses = keep_resolved(list, Arc::clone(&network_changed));
        Self { servers: Arc::new(servers), addresses, network_changed }
    }

    /// The servers by their addresses.
    pub(super) fn addresses(&self) -> watch::Receiver<Arc<IceAddresses>> {
        self.addresses.clone()
    }

    /// Another network may know other addresses.
    pub(super) fn network_changed(&self) {
        self.network_changed.notify_one();
    }

    /// Asks the server for its list and keeps it.
    pub(super) async fn obtain(mut self, api: &SessionApi, token: Option<String>) -> IceServersAnswer {
        let Some(token) = token else { return IceServersAnswer::Failed("there is no token to ask with".into()) };
        match api.ice_servers(&token).await {
            Ok(Some(list)) => self.keep(list).await,
            Ok(None) => {
                self.servers.send_replace([].into());
                IceServersAnswer::NotOffered
            }
            Err(
                SessionApiError::Refused(message)
                | SessionApiError::NotYetValid(message)
                | SessionApiError::Failed(message),
            ) => IceServersAnswer::Failed(message),
        }
    }

    async fn keep(&mut self, list: IceServerList) -> IceServersAnswer {
        let (counts, lifetime) = (IceServerCounts::of(&list.servers), list.lifetime);
        let until = list.until(jiff::Timestamp::now());
        let servers: Arc<[IceServer]> = list.servers.into();
        let changed = self.servers.send_if_modified(|kept| {
            let changed = *kept != servers;
            kept.clone_from(&servers);
            changed
        });
        // The warm peer connection is remade after this answer, with what is known then.
        let _ = timeout(RESOLVE_PATIENCE, self.addresses.wait_for(|addresses| addresses.are_of(&servers))).await;
        IceServersAnswer::Obtained { counts, changed, lifetime, until }
    }
}
