//! `[media]` and `[audio]`.

use std::net::IpAddr;

use super::file_paths::FilePaths;
use super::named_files::text_of;
use super::section::Section;
use crate::config::model::*;
use crate::config::model::{PcmName, PcmNameError};

pub(in crate::config) fn read_media(section: Section<'_>, files: &FilePaths<'_>) -> MediaConfig {
    let bind = section.strings("bind").unwrap_or_default();
    let bind = bind
        .iter()
        .filter_map(|text| {
            let address = text.parse::<IpAddr>().ok();
            if address.is_none() {
                section.error(
                    "bind",
                    format!("\"{text}\" is not an address"),
                    "write IPv4 or IPv6 addresses of this machine",
                );
            }
            address
        })
        .collect();
    let names = section.strings("codecs").unwrap_or_else(|| ["opus", "pcma", "pcmu"].map(str::to_owned).to_vec());
    let mut codecs = Vec::new();
    for name in &names {
        match name.as_str() {
            "opus" => codecs.push(Codec::Opus),
            "pcma" => codecs.push(Codec::Pcma),
            "pcmu" => codecs.push(Codec::Pcmu),
            other => section.error(
                "codecs",
                format!("\"{other}\" is not a codec"),
                "write some of \"opus\", \"pcma\", \"pcmu\"",
            ),
        }
    }
    if names.is_empty() {
        section.error("codecs", "the list is empty", "write at least one of \"opus\", \"pcma\", \"pcmu\"");
    }
    codecs.dedup();
    let ice_servers = read_ice_servers(&section, files);
    section.finish();
    MediaConfig { bind, codecs, ice_servers }
}

/// Reads `ice_servers`: the word `core`, or a list of tables.
/// A password has fewer.
const MAX_CREDENTIAL_BYTES: u64 = 4096;

fn read_ice_servers(section: &Section<'_>, files: &FilePaths<'_>) -> IceServers {
    let Some(value) = section.value("ice_servers") else { return IceServers::FromServer };
    match &value.kind {
        config::ValueKind::String(word) if word == "core" => return IceServers::FromServer,
        config::ValueKind::String(text) => {
            let remedy = "write \"core\", or a list such as [{ urls = [\"stun:host:3478\"] }]";
            let text = crate::plain_text::shortened(text);
            section.error("ice_servers", format!("\"{text}\" is not allowed"), remedy);
        }
        config::ValueKind::Array(items) => {
            let Some(url) = items.iter().find_map(|item| match &item.kind {
                config::ValueKind::String(url) => Some(url.chars().take(60).collect::<String>()),
                _ => None,
            }) else {
                let servers = section.sections("ice_servers").into_iter();
                return IceServers::Listed(servers.map(|server| read_ice_server(server, files)).collect());
            };
            let remedy = format!("write ice_servers = [{{ urls = [\"{url}\"] }}]");
            section.error("ice_servers", format!("\"{url}\" is an address, and not a table with urls"), remedy);
        }
        _ => {
            let remedy = "write \"core\", or a list such as [{ urls = [\"stun:host:3478\"] }]";
            section.error("ice_servers", "is neither \"core\" nor a list", remedy);
        }
    }
    IceServers::FromServer
}

fn read_ice_server(section: Section<'_>, files: &FilePaths<'_>) -> IceServer {
    let texts = section.strings("urls").unwrap_or_default();
    if texts.is_empty() {
        section.error("urls", "is missing", "write urls = [\"stun:host:3478\"]");
    }
    let read = |text: &String| {
        let remedy = match text.parse::<IceUrl>() {
            Ok(url) => return Some(url),
            Err(error @ IceUrlError::Scheme) => (error, "write stun:host:port, turn:host:port or turns:host:port"),
            Err(error @ IceUrlError::Host) => (error, "write a host name, an IPv4 address, or an IPv6 address in [ ]"),
            Err(error @ IceUrlError::Port) => (error, "write a port from 1 to 65535"),
            Err(error @ IceUrlError::Transport) => (
                error,
                "write ?transport=udp or ?transport=tcp after turn:, and ?transport=tcp or nothing after turns:",
            ),
        };
        let shown = crate::plain_text::shortened(text);
        section.error("urls", format!("\"{shown}\" {}", remedy.0), remedy.1);
        None
    };
    let urls: Vec<IceUrl> = texts.iter().filter_map(read).collect();
    let username = section.string("username").unwrap_or_default();
    let mut credential = String::new();
    if let Some(file) = section.filled_string("credential_file") {
        let path = files.secret(&file);
        section.review_secret("credential_file", &path);
        let text = text_of(&section, "credential_file", &path, MAX_CREDENTIAL_BYTES);
        credential = text.map(|text| text.trim().to_owned()).unwrap_or_default();
    }
    let is_turn = urls.iter().any(|url| url.transport != IceTransport::Stun);
    if is_turn && (username.is_empty() || credential.is_empty()) {
        section.error("urls", "TURN needs a user name and a password", "set username and credential_file");
    }
    section.finish();
    IceServer { urls, username: username.into(), credential: credential.into() }
}

pub(in crate::config) fn read_audio(section: Section<'_>) -> AudioConfig {
    let pcm = |key: &'static str| {
        let text = section.filled_string(key).unwrap_or_else(|| "default".into());
        text.parse().unwrap_or_else(|error: PcmNameError| {
            section.error(
                key,
                error.to_string(),
                "write usb:VENDOR:PRODUCT or an ALSA PCM name; `callbox devices` lists both",
            );
            PcmName::Alsa("default".into())
        })
    };
    let rate = section.integer("rate", 8_000, 192_000).unwrap_or(48_000);
    if !matches!(rate, 48_000 | 16_000) {
        section.error("rate", format!("{rate} is not supported"), "write 48000 or 16000");
    }
    let period = section.integer("period_ms", 1, 100).unwrap_or(10);
    if period != 10 {
        section.error("period_ms", format!("{period} is not supported"), "write 10");
    }
    let echo = [("full", Echo::Full), ("half-duplex", Echo::HalfDuplex), ("off", Echo::Off)];
    let echo = section.choice("echo", &echo).unwrap_or(Echo::Full);
    let config = AudioConfig {
        capture: pcm("capture"),
        playback: pcm("playback"),
        rate_hz: u32::try_from(rate).unwrap_or(48_000),
        echo,
        noise_suppression: section.boolean("noise_suppression").unwrap_or(true),
        gain_control: section.boolean("gain_control").unwrap_or(true),
        capture_gain_db: section
            .integer("capture_gain_db", CAPTURE_GAIN_DB.0.into(), CAPTURE_GAIN_DB.1.into())
            .and_then(|db| i32::try_from(db).ok())
            .unwrap_or(0),
        volume: section.integer("volume", 0, 100).and_then(|volume| u8::try_from(volume).ok()).unwrap_or(80),
    };
    section.finish();
    config
}
