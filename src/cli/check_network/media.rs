//! Which way the sound would take.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::super::run::token_folders;
use super::{resolve, skip, step, tell};
use crate::config::{Config, IceServer, IceServers, IceTransport, IceUrl};
use crate::media::{TurnContext, probe};
use crate::signaling::{Connector, Endpoint, SessionApi, TokenStore};

/// The STUN and TURN servers that a call would use.
pub(super) async fn ice_servers(config: &Config, endpoint: Endpoint, connector: Connector) -> Vec<IceServer> {
    let name = "ask for STUN and TURN servers";
    if let IceServers::Listed(servers) = &config.media.ice_servers {
        return servers.clone();
    }
    // Outside of systemd, only the usual place of the daemon's folder is known.
    let folders = token_folders().into_iter().chain([PathBuf::from("/var/lib/callbox")]).collect();
    let tokens = TokenStore::new(config.core.credentials.clone(), folders);
    let Some(token) = tokens.current().await else {
        skip(name, "there is no token yet: start the station once, or use callbox login");
        return Vec::new();
    };
    let api = SessionApi::new(endpoint, connector);
    let asked = async { api.ice_servers(&token).await.map_err(|error| error.to_string()) };
    let answer = step(name, asked, |list| match list {
        Some(list) => crate::core::IceServerCounts::of(&list.servers).to_string(),
        None => "the server hands out none".to_owned(),
    });
    answer.await.ok().flatten().map(|list| list.servers).unwrap_or_default()
}

/// The ways that media can take.
#[derive(Default)]
pub(super) struct Ways {
    /// There is a STUN server to try it with; whether one answers.
    direct: Option<bool>,
    /// The best relay that carries a call.
    relay: Option<IceTransport>,
    /// There is a TURN server.
    has_relays: bool,
}

impl Ways {
    /// Which way calls will take, or why there is none.
    pub(super) fn verdict(&self) -> Result<&'static str, &'static str> {
        match (self.direct, self.relay) {
            (Some(true), _) => Ok("directly"),
            (_, Some(IceTransport::TurnTcp)) => Ok("through the relay over TCP"),
            (_, Some(IceTransport::TurnTls)) => Ok("through the relay over TLS"),
            (_, Some(IceTransport::TurnUdp | IceTransport::Stun)) => Ok("through the relay over UDP"),
            (None, None) if !self.has_relays => {
                Ok("directly, if this network lets UDP through: there is no STUN or TURN server to try it with")
            }
            (Some(false) | None, None) => {
                Err("no STUN or TURN server can be reached; the network must allow UDP, or TCP \
                                               to one of the ports above")
            }
        }
    }
}

pub(super) async fn check_ice_servers(config: &Config, servers: &[IceServer], turn: &TurnContext) -> Ways {
    let all = servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
    let (stun, relays): (Vec<_>, Vec<_>) = all.partition(|(_, url)| url.transport == IceTransport::Stun);
    let mut ways = Ways { has_relays: !relays.is_empty(), ..Ways::default() };
    let mut answered = Vec::new();
    for (_, url) in stun {
        let reached = check_stun(url).await;
        ways.direct = Some(ways.direct == Some(true) || !reached.is_empty());
        answered.extend(reached);
    }
    // A TURN server is a STUN server too (RFC 8656, section 4).
    for (_, url) in relays.iter().filter(|(_, url)| url.transport == IceTransport::TurnUdp) {
        answered.extend(resolve(&url.host, url.port).await.unwrap_or_default());
    }
    check_mapping(answered).await;
    // They do not disturb each other, and each may take long.
    let results = join_all(relays.iter().map(|(server, url)| async {
        let began = Instant::now();
        (probe::relay(&config.media, server, url, turn).await, began.elapsed())
    }));
    for ((_, url), (result, took)) in relays.iter().zip(results.await) {
        let name = format!("{} at {}", url.transport, url.authority());
        match result {
            Ok(relay) => {
                tell(&name, relay.allocated_after, &Ok("allocated".into()));
                let round_trip = match relay.connected_after {
                    Some(_) => Ok("two ends reach each other".to_owned()),
                    None => Err("two ends do not reach each other through it".to_owned()),
                };
                tell("  a call through it", relay.connected_after.unwrap_or(took), &round_trip);
                if round_trip.is_ok() {
                    ways.relay = Some(ways.relay.map_or(url.transport, |best| best.min(url.transport)));
                }
            }
            Err(problem) => tell(&name, took, &Err(problem)),
        }
    }
    ways
}

/// The addresses at which a STUN server answers.
async fn check_stun(url: &IceUrl) -> Vec<SocketAddr> {
    let name = format!("{} at {}", url.transport, url.authority());
    let addresses = match resolve(&url.host, url.port).await {
        Ok(addresses) => addresses,
        Err(problem) => {
            tell(&name, Duration::ZERO, &Err(problem));
            return Vec::new();
        }
    };
    let mut reached = Vec::new();
    for (family, is_family) in [("IPv4", SocketAddr::is_ipv4 as fn(&SocketAddr) -> bool), ("IPv6", SocketAddr::is_ipv6)]
    {
        let step_name = format!("{name}, {family}");
        match addresses.iter().find(|address| is_family(address)) {
            None => skip(&step_name, &format!("the server has no {family} address")),
            Some(address) => {
                let bound = async { probe::bind(*address).await.map_err(|error| error.to_string()) };
                let mapped = step(&step_name, bound, |mapped| format!("this station is seen as {mapped}")).await;
                reached.extend(mapped.is_ok().then_some(*address));
            }
        }
    }
    reached
}

/// Tells whether a NAT shows different servers different addresses of one socket (RFC 4787, section 4.1). Then no far end
/// learns from a server where this station can be reached.
async fn check_mapping(mut servers: Vec<SocketAddr>) {
    servers.retain(SocketAddr::is_ipv4);
    servers.sort_unstable();
    servers.dedup();
    if servers.len() < 2 {
        return;
    }
    let began = Instant::now();
    let Ok(seen) = probe::mappings(&servers).await else { return };
    let words = match seen.as_slice() {
        [] | [_] => return,
        [first, rest @ ..] if rest.iter().all(|other| other == first) => "each server sees the same port",
        _ => "each server sees another port: calls go directly to a server with a public address, else through a relay",
    };
    tell("NAT", began.elapsed(), &Ok(words.into()));
}
