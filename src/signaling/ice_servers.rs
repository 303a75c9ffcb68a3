//! The STUN and TURN servers that the telephony server hands out (docs/protocol.md, "ICE servers").

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::config::{IceServer, IceTransport, IceUrl};

/// The most addresses of one transport that are used. Each address of a TURN server costs an allocation for each call.
const MAX_URLS_OF_A_TRANSPORT: usize = 4;
/// The longest user name of TURN in bytes (RFC 8489, section 14.3).
const MAX_USERNAME_BYTES: usize = 508;
const MAX_CREDENTIAL_BYTES: usize = 1024;
/// No list counts as valid for longer than this.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// A list of STUN and TURN servers, with the time for which their credentials are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServerList {
    pub servers: Vec<IceServer>,
    /// `None` if the server says nothing about it, or if the list has expired already.
    pub lifetime: Option<Duration>,
}

impl IceServerList {
    /// Reads the body of an answer that arrived at `now`. Entries that cannot be used are left out; `None` if there is
    /// no list at all.
    pub fn read(body: &[u8], now: Timestamp) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let entries = answer.get("ice_servers")?.as_array()?;
        let mut room = Room::default();
        let servers = entries.iter().filter_map(|entry| read_server(entry, &mut room)).collect();
        let expires = answer.get("expires_at").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        let lifetime = match expires {
            Some(end) => Duration::try_from(end.duration_since(now)).ok(),
            // Some writers of JSON make `43200.0` of a whole number.
            None => answer
                .get("ttl")
                .and_then(Value::as_f64)
                .filter(|ttl| *ttl >= 0.0)
                .map(|ttl| Duration::from_secs_f64(ttl.min(MAX_LIFETIME.as_secs_f64()))),
        };
        let lifetime = lifetime.filter(|lifetime| !lifetime.is_zero()).map(|lifetime| lifetime.min(MAX_LIFETIME));
        Some(Self { servers, lifetime })
    }

    /// When the credentials end, as text for people and programs (RFC 3339).
    pub fn until(&self, now: Timestamp) -> Option<String> {
        let end = now.checked_add(SignedDuration::try_from(self.lifetime?).ok()?).ok()?;
        Some(format!("{end:.0}"))
    }
}

/// How many addresses of each transport there are so far.
#[derive(Default)]
struct Room([usize; IceTransport::ALL.len()]);

impl Room {
    /// Whether there is room for one more address of this transport. If so, it is taken.
    fn take(&mut self, transport: IceTransport) -> bool {
        let taken = IceTransport::ALL.iter().position(|one| *one == transport).and_then(|index| self.0.get_mut(index));
        taken.is_some_and(|taken| {
            *taken += 1;
            *taken <= MAX_URLS_OF_A_TRANSPORT
        })
    }
}

fn read_server(entry: &Value, room: &mut Room) -> Option<IceServer> {
    let username = read_credential(entry, "username", MAX_USERNAME_BYTES)?;
    let credential = read_credential(entry, "credential", MAX_CREDENTIAL_BYTES)?;
    let texts: Vec<&str> = match entry.get("urls").or_else(|| entry.get("url"))? {
        Value::String(url) => vec![url.as_str()],
        Value::Array(urls) => urls.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    // TURN needs both (RFC 8656, section 5).
    let authenticates = !username.is_empty() && !credential.is_empty();
    let urls: Vec<IceUrl> = texts
        .into_iter()
        .filter_map(|text| text.parse::<IceUrl>().ok())
        .filter(|url| (url.transport == IceTransport::Stun || authenticates) && room.take(url.transport))
        .collect();
    (!urls.is_empty()).then(|| IceServer { urls, username: username.into(), credential: credential.into() })
}

/// A user name or a password: empty if there is none, `None` if it cannot be one.
fn read_credential(entry: &Value, key: &str, max_bytes: usize) -> Option<String> {
    match entry.get(key) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) if text.len() <= max_bytes && !text.chars().any(char::is_control) => {
            Some(text.clone())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-27T12:00:00Z";

    fn read(body: &str) -> Option<IceServerList> {
        IceServerList::read(body.as_bytes(), NOW.parse().unwrap())
    }

    fn urls(list: &IceServerList) -> Vec<String> {
        list.servers.iter().flat_map(|server| &server.urls).map(ToString::to_string).collect()
    }

    #[test]
    fn urls_credentials_and_lifetime_are_read() {
        let list = read(
            r#"{"ttl":43200,"ice_servers":[{"urls":"stun:h"},
                {"urls":["turn:h?transport=udp","turns:h:443?transport=tcp"],"username":"1:\"a b\"","credential":"c' d"}]}"#,
        )
        .unwrap();
        assert_eq!(urls(&list), ["stun:h:3478", "turn:h:3478?transport=udp", "turns:h:443?transport=tcp"]);
        let turn = &list.servers[1];
        assert_eq!((turn.username.as_str(), turn.credential.as_str()), ("1:\"a b\"", "c' d"));
        assert_eq!(list.lifetime, Some(Duration::from_secs(43_200)));
        assert_eq!(list.until(NOW.parse().unwrap()).as_deref(), Some("2026-11-28T00:00:00Z"));
    }

    #[test]
    fn expires_at_counts_more_than_ttl_and_neither_means_stale() {
        let lifetime = |fields: &str| read(&format!(r#"{{{fields}"ice_servers":[]}}"#)).unwrap().lifetime;
        assert_eq!(
            lifetime(r#""ttl":9,"expires_at":"2026-11-27T13:00:00+01:00","#),
            None,
            "an end that is now is stale"
        );
        assert_eq!(lifetime(r#""expires_at":"2026-11-27T12:01:00Z","#), Some(Duration::from_secs(60)));
        assert_eq!(lifetime(r#""expires_at":"2020-01-01T00:00:00Z","#), None);
        assert_eq!(lifetime(r#""ttl":0,"#), None);
        assert_eq!(lifetime(r#""ttl":-5,"#), None);
        assert_eq!(lifetime(r#""ttl":"soon","expires_at":7,"#), None);
        assert_eq!(lifetime(""), None);
        assert_eq!(lifetime(r#""ttl":43200.0,"#), Some(Duration::from_secs(43_200)));
        assert_eq!(lifetime(r#""ttl":18446744073709551615,"#), Some(MAX_LIFETIME));
    }

    #[test]
    fn what_cannot_be_used_is_left_out() {
        let list = read(
            r#"{"ice_servers":[7,null,[],{},{"urls":7},{"urls":[7,"ftp:h","stuns:h","turn:"]},
                {"urls":"turn:h"},{"urls":"turn:h","username":"u"},{"urls":"turn:h","username":"u","credential":7},
                {"urls":"turn:h","username":"a\u0007","credential":"c"},
                {"urls":["turn:good","gopher:h"],"username":"u","credential":"c"}]}"#,
        )
        .unwrap();
        assert_eq!(urls(&list), ["turn:good:3478?transport=udp"]);
        for body in ["", "[]", "{}", r#"{"ice_servers":{}}"#, "<html>", r#"{"ice_servers":"stun:h"}"#] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn a_thousand_entries_leave_room_for_each_transport() {
        let many: Vec<String> = (0..1000).map(|index| format!(r#"{{"urls":"stun:h{index}"}}"#)).collect();
        let last = r#"{"urls":["turn:h","turn:h?transport=tcp","turns:h"],"username":"u","credential":"c"}"#;
        let list = read(&format!(r#"{{"ice_servers":[{},{last}]}}"#, many.join(","))).unwrap();
        assert_eq!(urls(&list).len(), MAX_URLS_OF_A_TRANSPORT + 3);
        assert!(urls(&list).contains(&"turns:h:5349?transport=tcp".to_owned()));
    }
}
