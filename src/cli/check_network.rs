//! `callbox check --network`: does what a call would do, step by step, and says whether calls will work.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::output::{say, say_error};
use super::{Exit, complain, environment, run::token_folders};
use crate::config::{Config, IceServer, IceServers, IceTransport, IceUrl, load_reviewed};
use crate::media::{TurnContext, probe};
use crate::network::{has_route, reachable_host};
use crate::signaling::{Connector, Endpoint, SessionApi, Target, TokenStore, try_upgrade};

/// The longest time to resolve a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn check_network(path: &Path) -> Exit {
    let config = match load_reviewed(path, &environment()) {
        Ok((config, _)) => config,
        Err(errors) => {
            say_error!("{errors}");
            return Exit::Usage;
        }
    };
    let (core, turn) = match (Connector::to_core(&config.core), Connector::to_turn(&config.core)) {
        (Ok(core), Ok(turn)) => (core, turn),
        (Err(error), _) | (_, Err(error)) => {
            complain(error);
            return Exit::Usage;
        }
    };
    let mut session = Err("no server is configured".to_owned());
    let mut used = None;
    // The servers are in order of preference: the first that works is the one that is used.
    for url in &config.core.urls {
        let endpoint = Endpoint::new(url.clone(), config.core.tenant.clone());
        session = check_server(&endpoint, &core).await;
        used = Some(endpoint);
        if session.is_ok() {
            break;
        }
    }
    let (Ok(()), Some(endpoint)) = (&session, used) else {
        return conclude(Err(&session.err().unwrap_or_default()));
    };
    let servers = ice_servers(&config, endpoint, core).await;
    let turn = TurnContext { connector: turn, faults: Arc::default() };
    let ways = check_ice_servers(&config, &servers, &turn).await;
    conclude(ways.verdict())
}

/// The last line: which way calls will take, or why there is none.
fn conclude(verdict: Result<&str, &str>) -> Exit {
    match verdict {
        Ok(way) => {
            say!("calls: will work {way}");
            Exit::Done
        }
        Err(reason) => {
            say!("calls: will not work: {reason}");
            Exit::Failed
        }
    }
}

/// One line: how a step ended, the step, how long it took, and words.
fn tell(step: &str, took: Duration, result: &Result<String, String>) {
    let (outcome, words) = match result {
        Ok(words) => ("ok", words),
        Err(words) => ("failed", words),
    };
    say!("{outcome:<8} {step:<52} {:>6} ms  {words}", took.as_millis());
}

fn skip(step: &str, why: &str) {
    say!("{:<8} {step:<52} {:>6}     {why}", "skipped", "-");
}

/// Does one step and tells how it ended.
async fn step<T>(
    name: &str,
    work: impl Future<Output = Result<T, String>>,
    words: impl Fn(&T) -> String,
) -> Result<T, String> {
    let began = Instant::now();
    let result = work.await;
    let told = match &result {
        Ok(found) => Ok(words(found)),
        Err(problem) => Err(problem.clone()),
    };
    tell(name, began.elapsed(), &told);
    result
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let reachable = reachable_host(host).await;
    match timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((reachable, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(_)) => Err(format!("the name {host} is not known: check it, and the name server of this network")),
        Err(_) => Err("the name server of this network does not answer".to_owned()),
    }
}

fn shown(addresses: &[SocketAddr]) -> String {
    let mut texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    texts.dedup();
    texts.join(", ")
}

/// Checks that a session could be had from this server.
async fn check_server(endpoint: &Endpoint, connector: &Connector) -> Result<(), String> {
    let target = endpoint.target();
    match connector.proxy_to(target) {
        Some(proxy) => {
            skip(&format!("resolve {}", target.host), "the proxy does it");
            let tunnel = connector.try_tunnel(proxy, target);
            step(&format!("the proxy {proxy}"), tunnel, |()| format!("connects to TCP port {}", target.port)).await?;
        }
        None => check_tcp(target).await?,
    }
    if target.secure {
        step(&format!("TLS with {}", target.host), connector.presented_certificate(endpoint), |certificate| {
            let names = certificate.names.join(", ");
            format!("{}, of {}, for {names}, until {}", certificate.subject, certificate.issuer, certificate.not_after)
        })
        .await?;
    }
    let upgrade = async { try_upgrade(endpoint, connector).await.map_err(|failure| failure.message) };
    step("WebSocket upgrade with a wrong token", upgrade, |()| "a telephony server answers".to_owned()).await
}

/// Resolves the server's name and connects to all addresses.
async fn check_tcp(Target { host, port, .. }: Target<'_>) -> Result<(), String> {
    let addresses = step(&format!("resolve {host}"), resolve(host, port), |found| shown(found)).await?;
    let connected = async {
        let attempts = addresses.iter().map(|address| async move {
            if !has_route(address.ip()) {
                let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                return Err(format!("{address}: this network has no {family}"));
            }
            let connected = timeout(RESOLVE_TIMEOUT, tokio::net::TcpStream::connect(address)).await;
            match connected {
                Ok(Ok(_)) => Ok(*address),
                Ok(Err(error)) => Err(format!("{address}: {error}")),
                Err(_) => Err(format!("{address}: no answer")),
            }
        });
        let results = join_all(attempts).await;
        let reached: Vec<SocketAddr> = results.iter().filter_map(|result| result.as_ref().ok().copied()).collect();
        let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
        if reached.is_empty() { Err(failures.join("; ")) } else { Ok((reached, failures)) }
    };
    step(&format!("connect to TCP port {port}"), connected, |(reached, failures)| {
        let but = if failures.is_empty() { String::new() } else { format!("; but {}", failures.join("; ")) };
        format!("{}{but}", shown(reached))
    })
    .await
    .map(drop)
}

/// The STUN and TURN servers that a call would use.
async fn ice_servers(config: &Config, endpoint: Endpoint, connector: Connector) -> Vec<IceServer> {
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
struct Ways {
    /// There is a STUN server to try it with; whether one answers.
    direct: Option<bool>,
    /// The best relay that carries a call.
    relay: Option<IceTransport>,
    /// There is a TURN server.
    has_relays: bool,
}

impl Ways {
    /// Which way calls will take, or why there is none.
    fn verdict(&self) -> Result<&'static str, &'static str> {
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

async fn check_ice_servers(config: &Config, servers: &[IceServer], turn: &TurnContext) -> Ways {
    let all = servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
    let (stun, relays): (Vec<_>, Vec<_>) = all.partition(|(_, url)| url.transport == IceTransport::Stun);
    let mut ways = Ways { has_relays: !relays.is_empty(), ..Ways::default() };
    for (_, url) in stun {
        let reached = check_stun(url).await;
        ways.direct = Some(ways.direct == Some(true) || reached);
    }
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

/// Whether a STUN server answers over any family of addresses.
async fn check_stun(url: &IceUrl) -> bool {
    let name = format!("{} at {}", url.transport, url.authority());
    let addresses = match resolve(&url.host, url.port).await {
        Ok(addresses) => addresses,
        Err(problem) => {
            tell(&name, Duration::ZERO, &Err(problem));
            return false;
        }
    };
    let mut reached = false;
    for (family, is_family) in [("IPv4", SocketAddr::is_ipv4 as fn(&SocketAddr) -> bool), ("IPv6", SocketAddr::is_ipv6)]
    {
        let step_name = format!("{name}, {family}");
        match addresses.iter().find(|address| is_family(address)) {
            None => skip(&step_name, &format!("the server has no {family} address")),
            Some(address) => {
                let bound = async { probe::bind(*address).await.map_err(|error| error.to_string()) };
                let mapped = step(&step_name, bound, |mapped| format!("this station is seen as {mapped}")).await;
                reached |= mapped.is_ok();
            }
        }
    }
    reached
}
