//! Stands between the socket and the media library. From a datagram, its source and the state of the call it decides
//! whether the datagram passes, or for which reason it is dropped.
//!
//! Anybody on the network can send to the media port, and can forge the address of the far end. The library trusts much
//! of what it receives before anybody has proved who sent it (docs/workarounds.md, "The media library: what a stranger
//! can send"). So it sees only what can be legitimate, and each rule holds by itself, whatever the source seems to be.
//! The guard has no keys except those of connectivity checks. It learns everything else from its owner, or from what
//! the library sends: an address that gets an answer to a check has proved that it knows the password of the call, and
//! an outgoing DTLS alert is the end of DTLS.
//!
//! The guard is pure: it has no socket and no clock.

mod bytes;
mod dropped;
mod dtls;
mod rate;
mod srtp;
mod stun;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ring::hmac;

pub use dropped::{DropCounters, DroppedDatagrams, Reason};
pub use srtp::Protection;

use dtls::Handshake;
use rate::Rate;
use srtp::Streams;
use stun::{Kind, Message};

/// Octets of the longest datagram that passes. Ethernet carries no longer ones.
const MAX_DATAGRAM: usize = 2048;
/// Number of addresses of the far end that are kept: its candidates, and those that a check has confirmed.
const MAX_SOURCES: usize = 320;
/// Number of our requests that can wait for a response.
const MAX_TRANSACTIONS: usize = 1024;
/// A response is accepted for this long after its request.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(10);
/// Number of the far end's checks that are remembered: those of half an hour.
const MAX_CHECKS: usize = 4096;
/// Number of responses to one request that pass, since the network may repeat a response.
const MAX_RESPONSES: u8 = 8;
/// Number of our ICE credentials that are kept: those of the last descriptions.
const MAX_CREDENTIALS: usize = 3;
/// Number of channels of TURN servers that are kept.
const MAX_CHANNELS: usize = 320;
/// Number of STUN and TURN servers that are kept.
const MAX_SERVERS: usize = 16;

/// An address without flow label and scope id, and with IPv4-mapped addresses as IPv4. So the same machine always has
/// the same address.
type Address = (IpAddr, u16);

fn address(address: SocketAddr) -> Address {
    (address.ip().to_canonical(), address.port())
}

/// Limits of the rate of connectivity checks.
#[derive(Debug)]
struct CheckRates {
    /// For checks whose message integrity is verified.
    to_verify: Rate,
    /// For checks whose message integrity is valid.
    verified: Rate,
}

/// Limits of what one address of the far end may send.
#[derive(Debug)]
struct Source {
    checks: CheckRates,
    dtls: Rate,
    /// For streams that are known to be the far end's.
    media: Rate,
    /// For other streams.
    noise: Rate,
    used: Instant,
}

impl Source {
    fn new(now: Instant) -> Self {
        Self {
            checks: CheckRates { to_verify: Rate::new(1000, 4000.0), verified: Rate::new(100, 100.0) },
            dtls: Rate::new(100, 100.0),
            // About a hundred times what a call sends, which is still no load. Forged packets must not take the place
            // of real ones.
            media: Rate::new(2000, 8000.0),
            noise: Rate::new(100, 200.0),
            used: now,
        }
    }
}

#[derive(Debug)]
struct Transaction {
    to: Address,
    at: Instant,
    responses: u8,
}

/// The guard of one peer connection.
#[derive(Debug)]
pub struct Guard {
    sources: HashMap<Address, Source>,
    /// Limits for the checks of all other addresses together.
    strangers: CheckRates,
    credentials: VecDeque<(String, hmac::Key)>,
    transactions: HashMap<[u8; 12], Transaction>,
    /// Transactions of the checks that have passed, oldest first, and the address that each came from.
    checks: VecDeque<[u8; 12]>,
    seen_checks: HashMap<[u8; 12], Address>,
    /// TURN servers, known by the requests that the library sends to them.
    relays: VecDeque<Address>,
    channels: HashMap<(Address, u16), SocketAddr>,
    handshake: Handshake,
    streams: Streams,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            sources: HashMap::new(),
            strangers: CheckRates { to_verify: Rate::new(1000, 2000.0), verified: Rate::new(100, 50.0) },
            credentials: VecDeque::new(),
            transactions: HashMap::new(),
            checks: VecDeque::new(),
            seen_checks: HashMap::new(),
            relays: VecDeque::new(),
            channels: HashMap::new(),
            handshake: Handshake::default(),
            streams: Streams::default(),
        }
    }
}

impl Guard {
    /// Adds the ICE credentials of a description of ours (RFC 8839, section 5.4).
    pub fn local_credentials(&mut self, ufrag: &str, password: &str) {
        if self.credentials.iter().any(|(known, _)| known == ufrag) {
            return;
        }
        if self.credentials.len() >= MAX_CREDENTIALS {
            self.credentials.pop_front();
        }
        self.credentials.push_back((ufrag.to_owned(), stun::key(password)));
    }

    /// Adds an address that the far end may send from, according to its candidates.
    pub fn remote_candidate(&mut self, candidate: SocketAddr, now: Instant) {
        self.admit(address(candidate), now);
    }

    /// Adds a payload type that one of the two descriptions names.
    pub fn payload_type(&mut self, number: u8) {
        self.streams.allow_payload_type(number);
    }

    /// Adds a stream of the far end: its description names the stream, or the library has found a packet of it
    /// authentic.
    pub fn stream(&mut self, ssrc: u32) {
        self.streams.know(ssrc);
    }

    /// Notes that DTLS has produced the keys of SRTP.
    pub fn keys_up(&mut self, protection: Protection) {
        self.handshake.keys_up();
        self.streams.keys_up(protection);
    }

    /// Whether DTLS is closed: the library has sent an alert, by itself or in answer to one of the far end.
    pub fn is_closed(&self) -> bool {
        self.handshake.is_closed()
    }

    /// Notes a datagram that the library sends.
    pub fn outgoing(&mut self, datagram: &[u8], to: SocketAddr, now: Instant) {
        self.sent(datagram, to, now, true);
    }

    fn sent(&mut self, datagram: &[u8], to: SocketAddr, now: Instant, outer: bool) {
        match datagram.first() {
            Some(0..=3) => {}
            Some(20..=63) => return self.handshake.outgoing(datagram),
            Some(64..=79) if outer => {
                if let Some((channel, inner)) = stun::channel_data(datagram)
                    && let Some(peer) = self.channels.get(&(address(to), channel)).copied()
                {
                    self.sent(inner, peer, now, false);
                }
                return;
            }
            _ => return,
        }
        let Some(message) = Message::read(datagram) else { return };
        match message.kind {
            // The library answers only a check that was made with our password (docs/workarounds.md, "rtc: the source
            // address is not checked").
            Kind::BindingSuccess => self.admit(address(to), now),
            Kind::SendIndication if outer => {
                if let (Some(peer), Some(inner)) = (message.peer(), message.data()) {
                    self.sent(inner, peer, now, false);
                }
            }
            Kind::BindingRequest => self.asked(message.transaction, to, now),
            Kind::Request | Kind::ChannelBindRequest if outer => {
                self.asked(message.transaction, to, now);
                self.relay(address(to));
                if let (Kind::ChannelBindRequest, Some(channel), Some(peer)) =
                    (message.kind, message.channel(), message.peer())
                    && self.channels.len() < MAX_CHANNELS
                {
                    self.channels.insert((address(to), channel), peer);
                }
            }
            _ => {}
        }
    }

    fn relay(&mut self, server: Address) {
        if self.relays.contains(&server) {
            return;
        }
        if self.relays.len() >= MAX_SERVERS {
            self.relays.pop_front();
        }
        self.relays.push_back(server);
    }

    fn asked(&mut self, transaction: [u8; 12], to: SocketAddr, now: Instant) {
        if self.transactions.len() >= MAX_TRANSACTIONS {
            self.transactions.retain(|_, asked| now.saturating_duration_since(asked.at) < TRANSACTION_LIFETIME);
        }
        if self.transactions.len() >= MAX_TRANSACTIONS {
            self.transactions.clear();
        }
        self.transactions.insert(transaction, Transaction { to: address(to), at: now, responses: 0 });
    }

    fn admit(&mut self, source: Address, now: Instant) {
        if let Some(known) = self.sources.get_mut(&source) {
            known.used = now;
            return;
        }
        if self.sources.len() >= MAX_SOURCES
            && let Some(oldest) = self.sources.iter().min_by_key(|(_, source)| source.used).map(|(address, _)| *address)
        {
            self.sources.remove(&oldest);
        }
        self.sources.insert(source, Source::new(now));
    }

    /// Decides whether a datagram may reach the library.
    ///
    /// # Errors
    ///
    /// The reason why it is dropped.
    pub fn incoming(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) -> Result<(), Reason> {
        self.received(datagram, address(from), now, true)
    }

    fn received(&mut self, datagram: &[u8], from: Address, now: Instant, outer: bool) -> Result<(), Reason> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(Reason::Unknown);
        }
        // RFC 7983, section 7. The library does not check the source of DTLS and SRTP (docs/workarounds.md, "rtc: the
        // source address is not checked").
        match datagram.first() {
            Some(0..=3) => self.stun(datagram, from, now, outer),
            Some(20..=63) => {
                let source = self.sources.get_mut(&from).ok_or(Reason::Source)?;
                self.handshake.check(datagram, now)?;
                source.used = now;
                // A datagram that is dropped for its content does not count against the rate of the far end.
                source.dtls.admits(now).then_some(()).ok_or(Reason::Rate)
            }
            Some(64..=79) if outer && self.relays.contains(&from) => {
                let (channel, inner) = stun::channel_data(datagram).ok_or(Reason::StunMalformed)?;
                let peer = self.channels.get(&(from, channel)).ok_or(Reason::StunUnexpected)?;
                self.received(inner, address(*peer), now, false)
            }
            Some(64..=79) if outer => Err(Reason::Source),
            Some(128..=191) => {
                let source = self.sources.get_mut(&from).ok_or(Reason::Source)?;
                let known = self.streams.check(datagram, now)?;
                source.used = now;
                let rate = if known { &mut source.media } else { &mut source.noise };
                rate.admits(now).then_some(()).ok_or(Reason::Rate)
            }
            _ => Err(Reason::Unknown),
        }
    }

    fn stun(&mut self, datagram: &[u8], from: Address, now: Instant, outer: bool) -> Result<(), Reason> {
        let message = Message::read(datagram).ok_or(Reason::StunMalformed)?;
        match message.kind {
            Kind::BindingRequest => self.check(&message, from, now),
            Kind::BindingSuccess | Kind::Response => {
                let asked = self.transactions.get_mut(&message.transaction).ok_or(Reason::StunUnexpected)?;
                asked.responses = asked.responses.saturating_add(1);
                let late = now.saturating_duration_since(asked.at) >= TRANSACTION_LIFETIME;
                if asked.to != from || late || asked.responses > MAX_RESPONSES {
                    return Err(Reason::StunUnexpected);
                }
                Ok(())
            }
            Kind::DataIndication if outer && self.relays.contains(&from) => {
                let (Some(peer), Some(inner)) = (message.peer(), message.data()) else {
                    return Err(Reason::StunMalformed);
                };
                self.received(inner, address(peer), now, false)
            }
            // Binding indications too (docs/workarounds.md, "rtc-ice: a clear indication is a sign of life").
            _ => Err(Reason::StunUnexpected),
        }
    }

    /// Checks a connectivity check. The library settles the ICE roles before it verifies the message integrity, so the
    /// guard verifies it first (docs/workarounds.md, "rtc-ice: roles change before authentication").
    fn check(&mut self, message: &Message<'_>, from: Address, now: Instant) -> Result<(), Reason> {
        let addressee = message.addressee().ok_or(Reason::StunUnauthenticated)?;
        let (_, key) =
            self.credentials.iter().find(|(ufrag, _)| ufrag == addressee).ok_or(Reason::StunUnauthenticated)?;
        let rates = self.sources.get_mut(&from).map_or(&mut self.strangers, |source| &mut source.checks);
        rates.to_verify.admits(now).then_some(()).ok_or(Reason::Rate)?;
        message.is_authentic(key).then_some(()).ok_or(Reason::StunUnauthenticated)?;
        // Checks with an invalid message integrity do not count against the rate of valid ones.
        rates.verified.admits(now).then_some(()).ok_or(Reason::Rate)?;
        // A check that somebody has overheard and sends again from another address is not accepted.
        match self.seen_checks.get(&message.transaction) {
            Some(known) if *known != from => return Err(Reason::StunUnauthenticated),
            Some(_) => {}
            None => {
                if self.checks.len() >= MAX_CHECKS
                    && let Some(oldest) = self.checks.pop_front()
                {
                    self.seen_checks.remove(&oldest);
                }
                self.checks.push_back(message.transaction);
                self.seen_checks.insert(message.transaction, from);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
