//! `[core]`: the server, and how the station logs in to it.

use std::path::Path;

use url::Url;

use super::file_paths::FilePaths;
use super::named_files::{certificate_and_key, readable};
use super::section::Section;
use crate::config::model::*;
use crate::sip_address::canonical;

/// The most servers in `core.url`.
const MAX_SERVERS: usize = 8;

pub(in crate::config) fn read_core(section: &Section<'_>, files: &FilePaths<'_>) -> Option<CoreConfig> {
    let allow_insecure = section.boolean("allow_insecure").unwrap_or(false);
    let urls = read_urls(section, allow_insecure);
    let tenant = section.filled_string("tenant");
    let credentials = read_credentials(section, files);
    let ca_file = section.filled_string("ca_file").map(|text| readable(section, "ca_file", files.path(&text)));
    let pins = read_pins(section);
    let proxy = read_proxy(section, files);
    let client_certificate = certificate_and_key(section, files, "client_cert_file", "client_key_file");
    let takeover = section
        .choice("takeover", &[("never", Takeover::Never), ("once", Takeover::Once), ("always", Takeover::Always)])
        .unwrap_or(Takeover::Never);
    let identifier = section.filled_string("identifier");
    let sip_domains = read_sip_domains(section);
    let lines = section.integer("lines", 1, 2).unwrap_or(2);
    section.finish();
    let urls = urls?;
    let hosts = || urls.iter().filter_map(|url| url.host_str()).map(canonical).collect();
    Some(CoreConfig {
        sip_domains: sip_domains.filter(|domains| !domains.is_empty()).unwrap_or_else(hosts),
        urls,
        tenant,
        credentials: credentials?,
        trust: ServerTrust { ca_file, pins },
        proxy,
        client_certificate,
        takeover,
        identifier: identifier.map(Into::into),
        lines: u32::try_from(lines).unwrap_or(2),
    })
}

/// Reads `pin`: one hash, or a list of them. An empty text is none.
fn read_pins(section: &Section<'_>) -> Vec<KeyPin> {
    let texts = section.strings("pin").unwrap_or_default();
    let texts = texts.iter().filter(|text| !text.is_empty());
    texts
        .filter_map(|text| {
            let pin = text.parse::<KeyPin>();
            if let Err(error) = &pin {
                let shown = crate::plain_text::shortened(text);
                let remedy = "write sha256/ and 44 characters; `callbox login --trust --url URL` shows the server's";
                section.error("pin", format!("\"{shown}\" {error}"), remedy);
            }
            pin.ok()
        })
        .collect()
}

/// Reads `proxy`, or else the environment. `"none"` is no proxy, whatever the environment says.
fn read_proxy(section: &Section<'_>, files: &FilePaths<'_>) -> Option<Proxy> {
    let text = section.filled_string("proxy");
    let credentials = read_proxy_credentials(section, files);
    let text = match text.as_deref() {
        Some("none") => return None,
        Some(text) => text,
        None => {
            let proxy = Proxy::of_environment(files.environment);
            if let Err(error) = &proxy {
                let remedy = format!("{}, or set core.proxy = \"none\"", ProxyAddressError::REMEDY);
                section.error("proxy", format!("https_proxy of the environment: {error}"), remedy);
            }
            let Some(proxy) = proxy.ok().flatten() else {
                if credentials.is_some() {
                    section.warning("proxy_user", "there is no proxy that the user is for: set core.proxy too");
                }
                return None;
            };
            return Some(Proxy { credentials: credentials.or(proxy.credentials), ..proxy });
        }
    };
    match text.parse::<ProxyAddress>() {
        Ok(ProxyAddress { credentials: Some(_), .. }) => {
            let remedy = "set core.proxy_user and core.proxy_password_file";
            section.error("proxy", "the address has a user or a password", remedy);
            None
        }
        Ok(ProxyAddress { host, port, .. }) => Some(Proxy { host, port, credentials, scope: ProxyScope::Everything }),
        Err(error) => {
            section.error("proxy", error.to_string(), ProxyAddressError::REMEDY);
            None
        }
    }
}

fn read_proxy_credentials(section: &Section<'_>, files: &FilePaths<'_>) -> Option<ProxyCredentials> {
    let user = section.filled_string("proxy_user");
    let password_file = section.filled_string("proxy_password_file");
    match (user, password_file) {
        (Some(user), Some(_)) if user.contains(':') => {
            // RFC 7617, section 2.
            section.error("proxy_user", "the name has a colon", "write the name that the proxy knows, without a colon");
            None
        }
        (Some(user), Some(file)) => {
            let password_file = readable(section, "proxy_password_file", files.secret(&file));
            section.review_secret("proxy_password_file", &password_file);
            Some(ProxyCredentials::File { user: user.into(), password_file })
        }
        (None, None) => None,
        (Some(_), None) => {
            section.error("proxy_user", "a user without a password", "set core.proxy_password_file too");
            None
        }
        (None, Some(_)) => {
            section.error("proxy_password_file", "a password without a user", "set core.proxy_user too");
            None
        }
    }
}

/// Reads `sip_domains`, in canonical form; `None` if the key is absent.
fn read_sip_domains(section: &Section<'_>) -> Option<Vec<String>> {
    let domains = section.strings("sip_domains")?;
    for domain in &domains {
        let name = domain.trim_matches(['[', ']']);
        let is_name = |name: &str| {
            let allowed = |character: char| character.is_alphanumeric() || "-._".contains(character);
            !name.is_empty() && name.len() <= 253 && name.chars().all(allowed)
        };
        if !is_name(name) && name.parse::<std::net::IpAddr>().is_err() {
            let shown: String = domain.chars().take(60).collect();
            section.error("sip_domains", format!("\"{shown}\" is not a domain"), "write it alone: \"example.com\"");
        }
    }
    Some(domains.iter().map(|domain| canonical(domain)).collect())
}

/// Reads one address, or a list of addresses.
fn read_urls(section: &Section<'_>, allow_insecure: bool) -> Option<Vec<Url>> {
    if section.value("url").is_none() {
        section.error("url", "is missing", "write the address of the server: url = \"https://core.example.com\"");
        return None;
    }
    let texts = section.strings("url")?;
    if texts.is_empty() {
        section.error("url", "the list is empty", "write at least one address");
        return None;
    }
    if texts.len() > MAX_SERVERS {
        section.error("url", format!("{} servers are too many", texts.len()), format!("write at most {MAX_SERVERS}"));
        return None;
    }
    let urls: Vec<Option<Url>> = texts.iter().map(|text| read_url(section, text, allow_insecure)).collect();
    let urls: Vec<Url> = urls.into_iter().collect::<Option<_>>()?;
    for (index, url) in urls.iter().enumerate() {
        if urls.iter().take(index).any(|other| other == url) {
            section.error("url", format!("\"{url}\" is in the list twice"), "write each server once");
            return None;
        }
    }
    Some(urls)
}

fn read_url(section: &Section<'_>, text: &str, allow_insecure: bool) -> Option<Url> {
    let parsed = Url::parse(text).ok().filter(Url::has_host);
    let Some(mut url) = parsed else {
        section.error("url", format!("\"{text}\" is not an address"), "write it as https://core.example.com");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        section.error(
            "url",
            "the address has a user, a password, a query or a fragment",
            "write scheme, host, port and path only",
        );
        return None;
    }
    let secure = match url.scheme() {
        "https" | "wss" => true,
        "http" | "ws" => false,
        other => {
            section.error("url", format!("the scheme \"{other}\" is not supported"), "write https:// or wss://");
            return None;
        }
    };
    if !secure && !allow_insecure {
        section.error(
            "url",
            format!("\"{text}\" is not encrypted"),
            "write https://, or set core.allow_insecure = true for a lab",
        );
        return None;
    }
    let scheme = if secure { "https" } else { "http" };
    // This does not fail between the schemes http, https, ws and wss.
    if url.set_scheme(scheme).is_err() {
        url = Url::parse(&text.replacen("ws", "http", 1)).ok()?;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn read_credentials(section: &Section<'_>, files: &FilePaths<'_>) -> Option<Credentials> {
    let token = section.filled_string("token");
    let token_file = section.filled_string("token_file");
    let login = section.filled_string("login");
    let password_file = section.filled_string("password_file");
    let config_token_file = section.filled_string("config_token_file");
    let given: Vec<&str> = [
        ("token", token.is_some()),
        ("token_file", token_file.is_some()),
        ("login", login.is_some()),
        ("config_token_file", config_token_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    if let [_, second, ..] = given.as_slice() {
        section.error(second, format!("{} are given together", given.join(" and ")), "keep one of them");
        return None;
    }
    if login.is_none() && password_file.is_some() {
        section.error("password_file", "a password without a login", "set core.login too");
        return None;
    }
    if let Some(token) = token {
        return Some(Credentials::Token(token.into()));
    }
    if let Some(login) = login {
        let Some(password_file) = password_file else {
            section.error("login", "a login without a password", "set core.password_file too");
            return None;
        };
        let password_file = readable(section, "password_file", files.secret(&password_file));
        section.review_secret("password_file", &password_file);
        return Some(Credentials::Login { login: login.into(), password_file });
    }
    if let Some(file) = config_token_file {
        let file = readable(section, "config_token_file", files.secret(&file));
        section.review_secret("config_token_file", &file);
        return Some(Credentials::ConfigTokenFile(file));
    }
    let path = files.secret(token_file.as_deref().unwrap_or("token"));
    let renewed = files.environment.get("STATE_DIRECTORY").map(|folder| Path::new(folder).join("token"));
    if !path.exists() && !renewed.is_some_and(|renewed| renewed.exists()) {
        section.error(
            "token_file",
            format!("{} does not exist", path.display()),
            format!(
                "get a token with: callbox login --url URL --user NAME --password-file F --token-file {}",
                path.display()
            ),
        );
    }
    section.review_secret("token_file", &path);
    Some(Credentials::TokenFile(path))
}
