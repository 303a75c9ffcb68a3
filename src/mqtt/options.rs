//! How the broker is reached: its address, TLS and the login.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use rustls::ClientConfig;

use super::topics::Topics;
use crate::config::{MqttConfig, ServerTrust};
use crate::signaling::client_config;

/// A broker that is silent for this long is asked whether it is alive.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The largest message that is read. A command has a few bytes; a longer message than this ends the connection, since
/// the library does not skip it.
const MAX_INCOMING_BYTES: usize = 256 * 1024;
/// The largest message that is written.
const MAX_OUTGOING_BYTES: usize = 16 * 1024;

/// The options of the next connection. Files are read each time, so that they can change.
///
/// # Errors
///
/// A file cannot be used; the text has a remedy.
pub(super) async fn options(config: &MqttConfig, topics: &Topics) -> Result<MqttOptions, String> {
    let mut options = MqttOptions::new(topics.id.clone(), config.host(), config.port());
    options.set_keep_alive(KEEP_ALIVE);
    // The broker keeps nothing for us while we are away: a command of then would come too late.
    options.set_clean_session(true);
    options.set_max_packet_size(MAX_INCOMING_BYTES, MAX_OUTGOING_BYTES);
    if let Some(user) = &config.user {
        let password = match config.password_file.clone() {
            Some(file) => {
                let text = tokio::fs::read_to_string(&file).await;
                text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?
            }
            None => String::new(),
        };
        options.set_credentials(user.as_str(), password.trim_end_matches(['\r', '\n']));
    }
    if config.is_secure() {
        let trust = ServerTrust { ca_file: config.ca_file.clone(), pins: Vec::new() };
        let made = tokio::task::spawn_blocking(move || client_config(&trust, None)).await;
        let tls = made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        // The protocol is not named in TLS: brokers know no name for it.
        let mut tls = ClientConfig::clone(&tls);
        tls.alpn_protocols.clear();
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))));
    }
    Ok(options)
}
