//! `[control]` and `[[hook]]`: what other systems need to reach the station, or to be told by it.

use std::net::SocketAddr;
use std::path::Path;

use url::Url;

use super::file_paths::FilePaths;
use super::named_files::{certificate_and_key, open, readable, text_of};
use super::section::Section;
use crate::config::model::*;
use crate::url_host::is_loopback;

/// A token with fewer characters may be guessed.
const SHORT_TOKEN: usize = 16;
/// The longest file that has tokens.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// The most `[[hook]]`.
pub(in crate::config) const MOST_HOOKS: usize = 16;

pub(in crate::config) fn read_control(section: Section<'_>, files: &FilePaths<'_>) -> ControlConfig {
    let socket = section.filled_string("socket").map(|socket| files.path(&socket));
    let http = read_http(&section, files);
    let mqtt = read_mqtt(&section, files);
    section.finish();
    ControlConfig { socket, http, mqtt }
}

fn read_http(section: &Section<'_>, files: &FilePaths<'_>) -> Option<HttpConfig> {
    let listen = section.filled_string("http");
    let token_file = section.filled_string("http_token_file").map(|text| files.secret(&text));
    if let Some(file) = &token_file {
        review_tokens(section, file);
    }
    let certificate = certificate_and_key(section, files, "http_cert_file", "http_key_file");
    let Some(listen) = listen else {
        for key in ["http_token_file", "http_cert_file", "http_key_file"] {
            if section.has(key) {
                section.warning(key, "there is no status page that this is for: set control.http too");
            }
        }
        return None;
    };
    let Ok(listen) = listen.parse::<SocketAddr>() else {
        let shown = crate::plain_text::shortened(&listen);
        let remedy = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"0.0.0.0:8443\"";
        section.error("http", format!("\"{shown}\" is not an address to listen on"), remedy);
        return None;
    };
    if listen.port() == 0 {
        section.error("http", format!("{listen} has the port 0"), "write a port that nobody else uses, such as 8080");
        return None;
    }
    let http = HttpConfig { listen, token_file, certificate };
    if !http.is_on_loopback() && http.token_file.is_none() {
        let problem = format!("{listen} can be reached by others, and there is no token");
        let remedy = "set control.http_token_file (openssl rand -hex 24 makes a token), or listen on 127.0.0.1";
        section.error("http", problem, remedy);
    }
    Some(http)
}

/// Checks the tokens of a file, without keeping them.
fn review_tokens(section: &Section<'_>, file: &Path) {
    const KEY: &str = "http_token_file";
    let Some(text) = text_of(section, KEY, file, MAX_FILE_BYTES) else { return };
    section.review_secret(KEY, file);
    match HttpToken::parse(&text) {
        Err(error) => {
            let remedy = "write a token a line, with a name before it if there are several";
            section.error(KEY, format!("{} {error}", file.display()), remedy);
        }
        Ok(tokens) if has_twice(&tokens) => {
            let remedy = "give each name a token of its own: openssl rand -hex 24 makes one";
            section.error(KEY, format!("{} has a token twice", file.display()), remedy);
        }
        Ok(tokens) if tokens.iter().any(|token| token.token.as_str().len() < SHORT_TOKEN) => {
            let text =
                format!("{} has a token that can be guessed: openssl rand -hex 24 makes a better one", file.display());
            section.warning(KEY, text);
        }
        Ok(_) => {}
    }
}

fn has_twice(tokens: &[HttpToken]) -> bool {
    let before = |index: usize, token: &HttpToken| tokens.iter().take(index).any(|other| other.token == token.token);
    tokens.iter().enumerate().any(|(index, token)| before(index, token))
}

fn read_mqtt(section: &Section<'_>, files: &FilePaths<'_>) -> Option<MqttConfig> {
    const OTHERS: [&str; 6] =
        ["mqtt_user", "mqtt_password_file", "mqtt_ca_file", "mqtt_prefix", "mqtt_discovery", "mqtt_allow_insecure"];
    let allow_insecure = section.boolean("mqtt_allow_insecure").unwrap_or(false);
    let user = section.filled_string("mqtt_user");
    let password_file = section.filled_string("mqtt_password_file");
    let password_file = password_file.map(|text| readable(section, "mqtt_password_file", files.secret(&text)));
    if let Some(file) = &password_file {
        section.review_secret("mqtt_password_file", file);
    }
    if user.is_none() && password_file.is_some() {
        section.error("mqtt_password_file", "a password without a user", "set control.mqtt_user too");
    }
    let ca_file = section.filled_string("mqtt_ca_file");
    let ca_file = ca_file.map(|text| readable(section, "mqtt_ca_file", files.path(&text)));
    let prefix = read_topic(section, "mqtt_prefix").unwrap_or_else(|| "callbox".into());
    let discovery = match section.string("mqtt_discovery") {
        Some(text) if text.is_empty() => None,
        Some(_) => read_topic(section, "mqtt_discovery"),
        None => Some("homeassistant".into()),
    };
    let Some(text) = section.filled_string("mqtt_url") else {
        for key in OTHERS.into_iter().filter(|key| section.has(key)) {
            section.warning(key, "there is no broker that this is for: set control.mqtt_url too");
        }
        return None;
    };
    let url = read_broker(section, &text, allow_insecure)?;
    Some(MqttConfig { url, user: user.map(Into::into), password_file, ca_file, prefix, discovery })
}

fn read_broker(section: &Section<'_>, text: &str, allow_insecure: bool) -> Option<Url> {
    const KEY: &str = "mqtt_url";
    let Some(url) = Url::parse(text).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty())) else {
        section.error(KEY, "is not the address of a broker", "write it as mqtts://broker.example:8883");
        return None;
    };
    let shown = origin(&url);
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = "set control.mqtt_user and control.mqtt_password_file";
        section.error(KEY, "the address has a user or a password", remedy);
        return None;
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        section.error(KEY, format!("more follows than {shown}"), "write mqtts://HOST:PORT alone");
        return None;
    }
    if url.port() == Some(0) {
        section.error(KEY, format!("{shown} has the port 0"), "write the port of the broker, usually 8883");
        return None;
    }
    match url.scheme() {
        "mqtts" => Some(url),
        "mqtt" if allow_insecure || is_loopback(&url) => Some(url),
        "mqtt" => {
            let problem = format!("{shown} is not encrypted: who hears it can open the door");
            section.error(KEY, problem, "write mqtts://, or set control.mqtt_allow_insecure = true for a lab");
            None
        }
        other => {
            section.error(KEY, format!("the scheme \"{other}\" is not supported"), "write mqtts:// or mqtt://");
            None
        }
    }
}

/// An address without what may be a secret: its scheme, host and port.
fn origin(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    crate::plain_text::shortened(&format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()))
}

/// Reads the beginning of topics (MQTT 3.1.1, section 4.7).
fn read_topic(section: &Section<'_>, key: &'static str) -> Option<String> {
    let text = section.filled_string(key)?;
    let is_level = |level: &str| !level.is_empty() && !level.contains(['+', '#']) && !level.starts_with('$');
    let good = text.len() <= 128 && text.split('/').all(is_level);
    if !good {
        let shown = crate::plain_text::shortened(&text);
        let remedy = "write words with / between them, without +, # and $";
        section.error(key, format!("\"{shown}\" cannot be the beginning of a topic"), remedy);
    }
    good.then_some(text)
}

pub(in crate::config) fn read_hook(section: Section<'_>, files: &FilePaths<'_>) -> Option<Hook> {
    let on = read_events(&section);
    let secret_file = section.filled_string("secret_file").map(|text| files.secret(&text));
    match &secret_file {
        Some(file) => {
            section.review_secret("secret_file", file);
            // A secret may have any bytes, and a line end that does not count.
            let metadata = open(&section, "secret_file", file).and_then(|file| file.metadata().ok());
            if metadata.is_some_and(|metadata| metadata.len() <= 1) {
                let remedy = "write a secret into it: openssl rand -hex 24";
                section.error("secret_file", format!("{} is empty", file.display()), remedy);
            }
        }
        None => section.warning("secret_file", "is missing: whoever receives the requests cannot know whose they are"),
    }
    let url = match section.filled_string("url") {
        Some(text) => read_hook_url(&section, &text),
        None => {
            section.error("url", "is missing", "write url = \"https://house.example/hook\"");
            None
        }
    };
    section.finish();
    Some(Hook { on: on?, url: url?, secret_file })
}

fn read_events(section: &Section<'_>) -> Option<Vec<HookEvent>> {
    let words = || HookEvent::WORDS.map(|(word, _)| word).join(", ");
    if !section.has("on") {
        section.value("on");
        section.error(
            "on",
            "is missing: the hook would never run",
            format!("write on = [\"press\"]; there are: {}", words()),
        );
        return None;
    }
    let texts = section.strings("on")?;
    let event = |text: &String| {
        let found = HookEvent::WORDS.into_iter().find(|(word, _)| word == text).map(|(_, event)| event);
        if found.is_none() {
            let shown = crate::plain_text::shortened(text);
            section.error("on", format!("there is no event \"{shown}\""), format!("there are: {}", words()));
        }
        found
    };
    let mut events: Vec<HookEvent> = Vec::new();
    for event in texts.iter().map(event) {
        let event = event?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Some(events)
}

fn read_hook_url(section: &Section<'_>, text: &str) -> Option<Url> {
    // The path may be a secret, so no message shows it.
    let Some(url) = Url::parse(text).ok().filter(Url::has_host) else {
        section.error("url", "is not an address", "write it as https://house.example/hook");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        section.error("url", "the address has a user or a password", "sign the requests: set secret_file");
        return None;
    }
    match url.scheme() {
        "https" => Some(url),
        "http" if is_loopback(&url) => Some(url),
        "http" => {
            section.error(
                "url",
                format!("{} is not encrypted", origin(&url)),
                "write https://; http:// is for loopback alone",
            );
            None
        }
        other => {
            section.error("url", format!("the scheme \"{other}\" is not supported"), "write https://");
            None
        }
    }
}
