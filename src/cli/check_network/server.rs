//! Whether there would be a session.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{RESOLVE_TIMEOUT, resolve, shown, skip, step};
use crate::network::has_route;
use crate::signaling::{Connector, Endpoint, Target, try_upgrade};

/// Checks that a session could be had from this server.
pub(super) async fn check_server(endpoint: &Endpoint, connector: &Connector) -> Result<(), String> {
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
        let trusted = async {
            // What it shows is told only if it is trusted; a refusal says what was shown itself.
            connector.try_tls(endpoint).await?;
            connector.presented_certificate(endpoint).await
        };
        step(&format!("TLS with {}", target.host), trusted, |certificate| {
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
