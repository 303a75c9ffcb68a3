//! The STUN and TURN servers that the sandbox hands out.
//!
//! The password of TURN is made from a secret that the TURN server shares: the user name begins with the time when it
//! expires, and the password is the HMAC-SHA1 of the user name. coturn knows this scheme as `use-auth-secret`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};

use crate::config::{IceTransport, IceUrl};
use crate::secret::Credential;

/// How long a password is valid.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// STUN and TURN servers, with the secret of the TURN servers.
#[derive(Debug, Clone, Default)]
pub struct SharedIceServers {
    pub urls: Vec<IceUrl>,
    /// Empty if there is no TURN server.
    pub secret: Credential,
}

impl SharedIceServers {
    /// The answer to `GET /api/v1/user/ice-servers` for an account (docs/protocol.md, "ICE servers").
    pub(super) fn answer(&self, number: &str, now: Timestamp) -> Value {
        let end = now.checked_add(LIFETIME).unwrap_or(now);
        let username = format!("{}:{number}", end.as_second());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        let server = |url: &IceUrl| match url.transport {
            IceTransport::Stun => json!({ "urls": [url.to_string()] }),
            _ => json!({ "urls": [url.to_string()], "username": username, "credential": credential }),
        };
        json!({
            "ttl": LIFETIME.as_secs(),
            "expires_at": format!("{end:.0}"),
            "ice_servers": self.urls.iter().map(server).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_hmac_of_the_user_name() {
        let urls = ["stun:h", "turn:h", "turns:h:443"].map(|url| url.parse().unwrap()).to_vec();
        let servers = SharedIceServers { urls, secret: "north".into() };
        let answer = servers.answer("100", "2026-11-27T12:00:00Z".parse().unwrap());
        assert_eq!(answer["expires_at"], "2026-11-28T00:00:00Z");
        assert_eq!(answer["ice_servers"][0], json!({ "urls": ["stun:h:3478"] }));
        let turn = &answer["ice_servers"][2];
        assert_eq!(turn["urls"][0], "turns:h:443?transport=tcp");
        assert_eq!(turn["username"], "1795824000:100");
        // printf 1795824000:100 | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(turn["credential"], "f2OFtnXi1growPh1GCAkUcEaYFE=");
    }
}
