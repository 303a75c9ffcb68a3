//! The STUN and TURN servers for new peer connections. They are kept in memory and nowhere else.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{IceServer, IceServers};
use crate::core::{IceServerCounts, IceServersAnswer};
use crate::signaling::{IceServerList, SessionApi, SessionApiError};

/// Holds the servers that the next peer connection takes.
pub(super) type IceServerStore = watch::Sender<Arc<[IceServer]>>;

/// A store with the servers of the configuration.
pub(super) fn store(configured: &IceServers) -> IceServerStore {
    let servers = match configured {
        IceServers::FromServer => &[][..],
        IceServers::Listed(servers) => servers,
    };
    watch::Sender::new(servers.into())
}

/// Asks the server for its list and keeps it.
pub(super) async fn obtain(api: &SessionApi, token: Option<String>, store: &IceServerStore) -> IceServersAnswer {
    let Some(token) = token else { return IceServersAnswer::Failed("there is no token to ask with".into()) };
    match api.ice_servers(&token).await {
        Ok(Some(list)) => keep(list, store),
        Ok(None) => {
            store.send_replace([].into());
            IceServersAnswer::NotOffered
        }
        Err(
            SessionApiError::Refused(message)
            | SessionApiError::NotYetValid(message)
            | SessionApiError::Failed(message),
        ) => IceServersAnswer::Failed(message),
    }
}

fn keep(list: IceServerList, store: &IceServerStore) -> IceServersAnswer {
    let (counts, lifetime) = (IceServerCounts::of(&list.servers), list.lifetime);
    let until = list.until(jiff::Timestamp::now());
    let servers: Arc<[IceServer]> = list.servers.into();
    let changed = store.send_if_modified(|kept| {
        let changed = *kept != servers;
        *kept = servers;
        changed
    });
    IceServersAnswer::Obtained { counts, changed, lifetime, until }
}
