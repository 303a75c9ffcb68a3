//! Whether a TURN server gives an allocation, and why not, as its messages say.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::TurnFaults;
use crate::config::IceUrl;

/// Types of messages (RFC 8656, section 17; RFC 8489, section 5).
const ALLOCATE_SUCCESS: [u8; 2] = [0x01, 0x03];
const ALLOCATE_ERROR: [u8; 2] = [0x01, 0x13];
const STUN_HEADER: usize = 20;
const ERROR_CODE: [u8; 2] = [0x00, 0x09];
/// The server asks for a login (RFC 8489, section 9.2.4). The first time, that is no refusal.
const UNAUTHENTICATED: u16 = 401;
/// The server wants another nonce. It may do so now and then.
const STALE_NONCE: u16 = 438;
const STALE_NONCES: u8 = 3;

/// The answers of one server to one allocation.
#[derive(Debug, Default)]
pub(super) struct Allocation {
    was_asked_for_a_login: bool,
    stale_nonces: u8,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allocated,
    /// Why there is no allocation, as a message for people.
    Refused(String),
}

impl Allocation {
    /// Sees a message of the server.
    pub(super) fn answer(&mut self, message: &[u8]) -> Option<Answer> {
        if message.starts_with(&ALLOCATE_SUCCESS) {
            return Some(Answer::Allocated);
        }
        let code = allocate_error(message)?;
        let is_usual = match code {
            UNAUTHENTICATED => !std::mem::replace(&mut self.was_asked_for_a_login, true),
            STALE_NONCE => {
                self.stale_nonces = self.stale_nonces.saturating_add(1);
                self.stale_nonces <= STALE_NONCES
            }
            _ => false,
        };
        (!is_usual).then(|| Answer::Refused(format!("it gives no relay: {} (TURN error {code})", meaning(code))))
    }
}

/// The code of an Allocate error response (RFC 8489, section 14.8).
fn allocate_error(message: &[u8]) -> Option<u16> {
    if !message.starts_with(&ALLOCATE_ERROR) {
        return None;
    }
    let mut attributes = message.get(STUN_HEADER..)?;
    while let Some(([kind @ .., high, low], value)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == ERROR_CODE {
            let [_, _, class, number] = value.first_chunk::<4>()?;
            return Some(u16::from(class & 7) * 100 + u16::from(*number));
        }
        attributes = value.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// What an error code says (RFC 8656, section 19; RFC 8489, section 14.8).
fn meaning(code: u16) -> &'static str {
    match code {
        300 => "it wants another server to be asked",
        400 => "it does not understand the request",
        401 | 441 => "it refuses the user name or the password",
        403 => "it forbids it",
        438 => "it refuses every nonce that it has given itself",
        440 => "it has no relay with an IPv4 address",
        442 => "it relays no UDP",
        486 => "this user has as many relays as it may have",
        508 => "all of its relays are in use",
        _ => "an error of the server",
    }
}

/// Watches the TURN servers that are reached over UDP.
pub(in crate::media) struct UdpServers {
    servers: HashMap<SocketAddr, IceUrl>,
    allocations: Mutex<HashMap<SocketAddr, Allocation>>,
    faults: Arc<TurnFaults>,
}

impl UdpServers {
    pub(in crate::media) fn new(servers: HashMap<SocketAddr, IceUrl>, faults: Arc<TurnFaults>) -> Self {
        Self { servers, allocations: Mutex::default(), faults }
    }

    /// Sees a datagram that the guard has admitted.
    pub(in crate::media) fn received(&self, datagram: &[u8], from: SocketAddr) {
        // All other datagrams are cheap.
        if !datagram.starts_with(&ALLOCATE_SUCCESS) && !datagram.starts_with(&ALLOCATE_ERROR) {
            return;
        }
        let Some(server) = self.servers.get(&from) else { return };
        let mut allocations = self.allocations.lock().unwrap_or_else(PoisonError::into_inner);
        match allocations.entry(from).or_default().answer(datagram) {
            Some(Answer::Allocated) => self.faults.works(server),
            Some(Answer::Refused(message)) => self.faults.failed(server, &message),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: u8, number: u8) -> Vec<u8> {
        let mut message = vec![0x01, 0x13, 0, 16];
        message.extend([7; 16]);
        // An attribute of three octets, padded, and the code.
        message.extend([0x80, 0x22, 0, 3, 1, 2, 3, 0, 0, 9, 0, 4, 0, 0, class, number]);
        message
    }

    #[test]
    fn the_code_of_an_error_is_found_among_its_attributes() {
        assert_eq!(allocate_error(&error(4, 86)), Some(486));
        let whole = error(4, 41);
        for cut in 0..whole.len() {
            assert_eq!(allocate_error(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(allocate_error(&[&[1, 3][..], &whole[2..]].concat()), None, "it is no error");
        assert_eq!(allocate_error(&[&whole[..20], &[0x80, 0x22, 0xFF, 0xFF][..]].concat()), None);
    }

    #[test]
    fn a_question_for_a_login_is_no_refusal_and_the_second_one_is() {
        let mut allocation = Allocation::default();
        assert_eq!(allocation.answer(&error(4, 1)), None);
        let refused = allocation.answer(&error(4, 1));
        assert!(matches!(refused, Some(Answer::Refused(text)) if text.contains("refuses the user name")));
        assert_eq!(allocation.answer(&[1, 3, 0, 0]), Some(Answer::Allocated));
        for _ in 0..STALE_NONCES {
            assert_eq!(allocation.answer(&error(4, 38)), None);
        }
        assert!(allocation.answer(&error(4, 38)).is_some());
        assert_eq!(allocation.answer(&[0x40, 0, 0, 4, 1, 19, 0, 0]), None, "data is none of it");
    }
}
