//! What is wrong with TURN servers that are reached over a stream: told once, and again when it is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::config::IceUrl;

/// Number of servers whose faults are kept.
const MAX_SERVERS: usize = 64;

/// The faults of all servers, by their addresses. They outlive peer connections, each of which tries again.
#[derive(Debug, Default)]
pub struct TurnFaults(Mutex<BTreeMap<String, String>>);

impl TurnFaults {
    /// What is wrong with one of the servers, as a message for people.
    pub fn first(&self) -> Option<String> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().next().map(|(server, message)| format!("{server}: {message}"))
    }

    /// What is wrong with this server, as a message for people.
    pub(in crate::media) fn of(&self, server: &IceUrl) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&server.to_string()).cloned()
    }

    /// Logs a fault, unless the server has had it since the last success.
    pub(super) fn failed(&self, server: &IceUrl, message: &str) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let server = server.to_string();
        if faults.get(&server).is_some_and(|known| known == message) {
            return;
        }
        tracing::warn!(server, "the TURN server {server} is of no use: {message}");
        if faults.len() >= MAX_SERVERS {
            faults.clear();
        }
        faults.insert(server, message.to_owned());
    }

    /// Logs that a server with a fault has sent something.
    pub(super) fn works(&self, server: &IceUrl) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !faults.is_empty() && faults.remove(&server.to_string()).is_some() {
            let server = server.to_string();
            tracing::info!(server, "the TURN server {server} works again");
        }
    }
}
