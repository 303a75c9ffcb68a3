//! What `callbox check` says about the interfaces to the systems of the house.

use super::output::say;
use crate::config::{Config, Hook, HttpConfig, MqttConfig, ServerTrust};
use crate::http::ServerCertificate;
use crate::signaling::client_config;

/// Reads the certificates that the interfaces use.
///
/// # Errors
///
/// What is wrong with one of them, and the key that names it.
pub(super) fn certificates_of(config: &Config) -> Result<(), String> {
    if let Some((chain, key)) = config.control.http.as_ref().and_then(|http| http.certificate.as_ref()) {
        let certificate = ServerCertificate::load(chain, key).map_err(|error| error.to_string());
        let usable = certificate.and_then(|certificate| certificate.tls_config().map(drop));
        usable.map_err(|problem| format!("control.http_cert_file, control.http_key_file: {problem}"))?;
    }
    if let Some(mqtt) = config.control.mqtt.as_ref().filter(|mqtt| mqtt.ca_file.is_some()) {
        let trust = ServerTrust { ca_file: mqtt.ca_file.clone(), pins: Vec::new() };
        client_config(&trust, None).map_err(|error| format!("control.mqtt_ca_file: {error}"))?;
    }
    Ok(())
}

pub(super) fn print_interfaces(config: &Config) {
    if let Some(http) = &config.control.http {
        print_http(http);
    }
    if let Some(mqtt) = &config.control.mqtt {
        print_mqtt(mqtt);
    }
    config.hooks.iter().for_each(print_hook);
}

fn print_http(http: &HttpConfig) {
    let secure = http.certificate.is_some() || !http.is_on_loopback();
    let scheme = if secure { "https" } else { "http" };
    say!("page      {scheme}://{}", http.listen);
    match &http.token_file {
        Some(file) => say!("          reads and commands need a token of {}", file.display()),
        None => say!("          everything can be read, and nothing commanded: there is no token"),
    }
    if secure && http.certificate.is_none() {
        say!("          its certificate is made here; browsers need the CA that the log names");
    }
}

fn print_mqtt(mqtt: &MqttConfig) {
    let user = mqtt.user.as_ref().map_or("nobody", |user| user.as_str());
    say!("mqtt      {}:{} as {user}, topics below {}/", mqtt.host(), mqtt.port(), mqtt.prefix);
    match &mqtt.discovery {
        Some(discovery) => say!("          announced to Home Assistant below {discovery}/"),
        None => say!("          announced to nobody"),
    }
    if !mqtt.is_secure() {
        say!("          not encrypted: who hears it can open the door");
    }
}

/// A hook as one line. The path of its address may be a secret.
fn print_hook(hook: &Hook) {
    let events: Vec<&str> = hook.on.iter().map(|event| event.word()).collect();
    let signed = if hook.secret_file.is_some() { "signed" } else { "not signed" };
    say!("hook      {}: to {}, {signed}", events.join(", "), hook.url.host_str().unwrap_or_default());
}
