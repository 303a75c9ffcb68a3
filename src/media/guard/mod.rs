//! Stands between the socket and the media library: datagram, source and state in; pass or drop with a reason out.
//!
//! Anybody on the network can send to the media port, and can forge the far end's address. The library takes much on
//! trust that nobody has proved yet (`docs/workarounds.md` has a list), so it sees only what can be legitimate: each
//! rule holds by itself, whoever the source seems to be. The guard holds no key but that of connectivity checks. What
//! it cannot know it is told, or sees in what the library sends: whoever gets an answer to a check has proved the
//! password of the call, and a DTLS alert that goes out is the end of DTLS.
//!
//! Pure: no socket, no clock.

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

/// Nothing longer comes over an Ethernet.
const MAX_DATAGRAM: usize = 2048;
/// Addresses of the far end: its candidates, and those that a check has confirmed.
const MAX_SOURCES: usize = 320;
/// Requests of ours that wait for a response.
const MAX_TRANSACTIONS: usize = 1024;
/// A response later than this is to nothing.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(10);
/// Checks of the far end that are remembered: those of half an hour.
const MAX_CHECKS: usize = 4096;
/// A response may be repeated by the network.
const MAX_RESPONSES: u8 = 8;
/// ICE credentials of ours that may be in use: those of the last descriptions.
const MAX_CREDENTIALS: usize = 3;
/// Channels of TURN servers.
const MAX_CHANNELS: usize = 320;
/// STUN and TURN servers.
const MAX_SERVERS: usize = 16;

/// Without flow label and scope, and IPv4 as IPv4: the same machine is one address.
type Address = (IpAddr, u16);

fn address(address: SocketAddr) -> Address {
    (address.ip().to_canonical(), address.port())
}

/// How many connectivity checks may come in a time.
#[derive(Debug)]
struct CheckRates {
    /// Those whose proof is looked at.
    proofs: Rate,
    /// Those that have one.
    proved: Rate,
}

/// What one address of the far end may send in a time.
#[derive(Debug)]
struct Source {
    checks: CheckRates,
    dtls: Rate,
    /// Of streams that are known.
    media: Rate,
    /// Of streams that are not.
    noise: Rate,
    used: Instant,
}

impl Source {
    fn new(now: Instant) -> Self {
        Self {
            checks: CheckRates { proofs: Rate::new(1000, 4000.0), proved: Rate::new(100, 100.0) },
            dtls: Rate::new(100, 100.0),
            // A hundred times what a call sends, and no load: what is forged must not take the place of what is not.
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
    /// Checks from anybody else, together.
    strangers: CheckRates,
    credentials: VecDeque<(String, hmac::Key)>,
    transactions: HashMap<[u8; 12], Transaction>,
    /// Checks that have passed, oldest first, and where each came from.
    checks: VecDeque<[u8; 12]>,
    seen_checks: HashMap<[u8; 12], Address>,
    /// TURN servers, by what is asked of them.
    relays: VecDeque<Address>,
    channels: HashMap<(Address, u16), SocketAddr>,
    handshake: Handshake,
    streams: Streams,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            sources: HashMap::new(),
            strangers: CheckRates { proofs: Rate::new(1000, 2000.0), proved: Rate::new(100, 50.0) },
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
    /// ICE credentials of a description of ours (RFC 8839, section 5.4).
    pub fn local_credentials(&mut self, ufrag: &str, password: &str) {
        if self.credentials.iter().any(|(known, _)| known == ufrag) {
            return;
        }
        if self.credentials.len() >= MAX_CREDENTIALS {
            self.credentials.pop_front();
        }
        self.credentials.push_back((ufrag.to_owned(), stun::key(password)));
    }

    /// Where the far end may send from, by its own word.
    pub fn remote_candidate(&mut self, candidate: SocketAddr, now: Instant) {
        self.admit(address(candidate), now);
    }

    /// A payload type that either description names.
    pub fn payload_type(&mut self, number: u8) {
        self.streams.allow_payload_type(number);
    }

    /// A stream of the far end: its description names it, or the library has found a packet of it authentic.
    pub fn stream(&mut self, ssrc: u32) {
        self.streams.know(ssrc);
    }

    /// DTLS has given keys.
    pub fn keys_up(&mut self, protection: Protection) {
        self.handshake.keys_up();
        self.streams.keys_up(protection);
    }

    /// DTLS is over: the library has said goodbye, or answered that of the far end.
    pub fn is_closed(&self) -> bool {
        self.handshake.is_closed()
    }

    /// Looks at what the library sends.
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
            // Only a check that was made with our password gets an answer.
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

    /// Whether a datagram may reach the library.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn incoming(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) -> Result<(), Reason> {
        self.received(datagram, address(from), now, true)
    }

    fn received(&mut self, datagram: &[u8], from: Address, now: Instant, outer: bool) -> Result<(), Reason> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(Reason::Unknown);
        }
        // RFC 7983, section 7.
        match datagram.first() {
            Some(0..=3) => self.stun(datagram, from, now, outer),
            Some(20..=63) => {
                let source = self.sources.get_mut(&from).ok_or(Reason::Source)?;
                self.handshake.check(datagram, now)?;
                source.used = now;
                // What is dropped for what it is costs the far end nothing of its share.
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
            _ => Err(Reason::StunUnexpected),
        }
    }

    /// The library settles who controls before it looks at the proof, so it is looked at here.
    fn check(&mut self, message: &Message<'_>, from: Address, now: Instant) -> Result<(), Reason> {
        let addressee = message.addressee().ok_or(Reason::StunUnauthenticated)?;
        let (_, key) =
            self.credentials.iter().find(|(ufrag, _)| ufrag == addressee).ok_or(Reason::StunUnauthenticated)?;
        let rates = self.sources.get_mut(&from).map_or(&mut self.strangers, |source| &mut source.checks);
        rates.proofs.admits(now).then_some(()).ok_or(Reason::Rate)?;
        message.is_authentic(key).then_some(()).ok_or(Reason::StunUnauthenticated)?;
        // What has no proof costs those nothing that have one.
        rates.proved.admits(now).then_some(()).ok_or(Reason::Rate)?;
        // One that somebody else has heard and sends again is not that somebody's.
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
