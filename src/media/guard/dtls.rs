//! Decides which DTLS records may reach the library (RFC 6347).
//!
//! The library collects handshake fragments without a limit, recurses once for each of them, and keeps records of the
//! next epoch until it has keys for them. Records in the clear can come from anybody. So no more of them pass than a
//! handshake needs, and after the handshake only repetitions of what has passed before.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use super::bytes::{u8_at, u16_at, u24_at};
use super::dropped::Reason;
use super::rate::Rate;

const RECORD_HEADER: usize = 13;
const HANDSHAKE_HEADER: usize = 12;
/// Maximum number of records in one datagram.
const MAX_RECORDS: usize = 32;
/// Maximum number of fragments of one message.
const MAX_FRAGMENTS: usize = 64;
/// Maximum number of octets of one message. The largest messages are chains of certificates.
const MAX_MESSAGE: u32 = 16 * 1024;
/// Maximum number of octets of all messages of a handshake.
const MAX_HANDSHAKE: usize = 64 * 1024;
/// Maximum number of messages of one side in a handshake. Real handshakes have ten at most.
const MAX_MESSAGES: u16 = 16;
/// A fragment may come this many times: if an answer is lost, the far end repeats its messages.
const MAX_REPEATS: u8 = 16;
/// Maximum length of an encrypted record that ends a handshake.
const MAX_FINISHED: usize = 160;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// One record of a datagram.
struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
}

/// One fragment of a handshake message.
struct Fragment<'a> {
    kind: u8,
    length: u32,
    sequence: u16,
    offset: u32,
    body: &'a [u8],
}

/// What has arrived of one message.
#[derive(Debug, Default)]
struct Message {
    kind: u8,
    length: u32,
    octets: u32,
    /// The digest of each fragment, with the number of times that it came.
    fragments: HashMap<u64, u8>,
}

/// Our role, which is known once we have sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

#[derive(Debug)]
pub(super) struct Handshake {
    hasher: RandomState,
    messages: HashMap<u16, Message>,
    octets: usize,
    role: Option<Role>,
    established: bool,
    closed: bool,
    /// For records that the library would keep until it has keys.
    early: Rate,
    /// For repetitions of the far end's last flight.
    repeats: Rate,
}

impl Default for Handshake {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            messages: HashMap::new(),
            octets: 0,
            role: None,
            established: false,
            closed: false,
            early: Rate::new(16, 20.0),
            repeats: Rate::new(4, 1.0),
        }
    }
}

impl Handshake {
    pub(super) fn keys_up(&mut self) {
        self.established = true;
    }

    /// Whether the library has sent an alert, because the far end sent one or because it gives up a handshake
    /// (docs/workarounds.md, "rtc: a closed dtls counts as connected").
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Notes a datagram that the library sends.
    pub(super) fn outgoing(&mut self, datagram: &[u8]) {
        let mut rest = datagram;
        for _ in 0..MAX_RECORDS {
            let Some((record, next)) = record(rest) else { return };
            match record.kind {
                ALERT => self.closed = true,
                HANDSHAKE if record.epoch == 0 && self.role.is_none() => {
                    let begins = u8_at(record.body, 0) == Some(1);
                    self.role = Some(if begins { Role::Client } else { Role::Server });
                }
                _ => {}
            }
            rest = next;
        }
    }

    pub(super) fn check(&mut self, datagram: &[u8], now: Instant) -> Result<(), Reason> {
        let mut records = Vec::new();
        let mut rest = datagram;
        while !rest.is_empty() {
            let (record, next) = record(rest).ok_or(Reason::DtlsMalformed)?;
            if records.len() >= MAX_RECORDS {
                return Err(Reason::DtlsTooMuch);
            }
            records.push(record);
            rest = next;
        }
        // All records are checked before any of them is counted.
        let mut fragments = Vec::new();
        for record in &records {
            match (record.epoch, record.kind) {
                (0, HANDSHAKE) => fragments.extend(self.fragments(record.body)?),
                (0, CHANGE_CIPHER_SPEC) if record.body == [1] => {}
                (0, CHANGE_CIPHER_SPEC) => return Err(Reason::DtlsMalformed),
                // Alerts too (docs/workarounds.md, "rtc-dtls: clear alerts end a handshake").
                (0, _) => return Err(Reason::DtlsClear),
                (1, HANDSHAKE) if self.established || record.body.len() <= MAX_FINISHED => {}
                (1, HANDSHAKE) => return Err(Reason::DtlsTooMuch),
                (1, ALERT | APPLICATION_DATA) if self.established => {}
                (1, CHANGE_CIPHER_SPEC | ALERT | APPLICATION_DATA) => return Err(Reason::DtlsClear),
                _ => return Err(Reason::DtlsMalformed),
            }
        }
        let clear = records.iter().any(|record| record.epoch == 0);
        // Afterwards, only repetitions pass in the clear (docs/workarounds.md, "rtc-dtls: clear records are taken after
        // the handshake").
        if self.established {
            let repeat = !fragments.is_empty() && fragments.iter().all(|fragment| self.is_repeat(fragment));
            return match (clear, repeat) {
                (false, _) => Ok(()),
                (true, false) => Err(Reason::DtlsClear),
                (true, true) if self.repeats.admits(now) => Ok(()),
                (true, true) => Err(Reason::Rate),
            };
        }
        // The library keeps these until it has keys (docs/workarounds.md, "rtc-dtls: early records are kept without a
        // bound").
        let kept = records.iter().any(|record| record.epoch == 1 || record.kind == CHANGE_CIPHER_SPEC);
        if kept && !self.early.admits(now) {
            return Err(Reason::Rate);
        }
        fragments.iter().try_for_each(|fragment| self.take(fragment))
    }

    /// Returns the fragments in a record. Each must have all of the data that its header announces.
    fn fragments<'a>(&self, body: &'a [u8]) -> Result<Vec<Fragment<'a>>, Reason> {
        let mut fragments = Vec::new();
        let mut rest = body;
        loop {
            let (fragment, next) = fragment(rest).ok_or(Reason::DtlsMalformed)?;
            if fragment.length > MAX_MESSAGE || fragment.sequence >= MAX_MESSAGES {
                return Err(Reason::DtlsTooMuch);
            }
            if !self.expects(fragment.kind) {
                return Err(Reason::DtlsClear);
            }
            // If a record begins with a part of a message, the library takes the whole rest of the record for data of
            // this message (docs/workarounds.md, "rtc-dtls: a record with several fragments is cut wrongly").
            let whole = fragment.body.len() == usize::try_from(fragment.length).unwrap_or_default();
            if !whole && !next.is_empty() {
                return Err(Reason::DtlsMalformed);
            }
            fragments.push(fragment);
            if next.is_empty() {
                return Ok(fragments);
            }
            rest = next;
        }
    }

    /// Whether the other side may send this message in the clear (RFC 5246, section 7.4).
    fn expects(&self, kind: u8) -> bool {
        match self.role {
            // Server hello, hello verify request, ticket, certificate, key exchange, certificate request, hello done.
            Some(Role::Client) => matches!(kind, 2 | 3 | 4 | 11 | 12 | 13 | 14),
            // Client hello, certificate, certificate verify, key exchange.
            Some(Role::Server) => matches!(kind, 1 | 11 | 15 | 16),
            None => kind == 1,
        }
    }

    fn digest(&self, fragment: &Fragment<'_>) -> u64 {
        self.hasher.hash_one((fragment.kind, fragment.length, fragment.offset, fragment.body))
    }

    fn is_repeat(&self, fragment: &Fragment<'_>) -> bool {
        let digest = self.digest(fragment);
        self.messages.get(&fragment.sequence).is_some_and(|message| message.fragments.contains_key(&digest))
    }

    fn take(&mut self, fragment: &Fragment<'_>) -> Result<(), Reason> {
        let digest = self.digest(fragment);
        let octets = u32::try_from(fragment.body.len()).map_err(|_| Reason::DtlsMalformed)?;
        let message = self.messages.entry(fragment.sequence).or_insert_with(|| Message {
            kind: fragment.kind,
            length: fragment.length,
            ..Message::default()
        });
        if (message.kind, message.length) != (fragment.kind, fragment.length) {
            return Err(Reason::DtlsMalformed);
        }
        if let Some(times) = message.fragments.get_mut(&digest) {
            *times = times.saturating_add(1);
            return if *times <= MAX_REPEATS { Ok(()) } else { Err(Reason::DtlsTooMuch) };
        }
        // docs/workarounds.md, "rtc-dtls: fragments without data overflow the stack".
        let too_much = message.fragments.len() >= MAX_FRAGMENTS
            || message.octets.saturating_add(octets) > MAX_MESSAGE
            || self.octets.saturating_add(fragment.body.len()) > MAX_HANDSHAKE;
        if too_much {
            return Err(Reason::DtlsTooMuch);
        }
        message.fragments.insert(digest, 1);
        message.octets += octets;
        self.octets += fragment.body.len();
        Ok(())
    }
}

/// Returns the first record and what follows it.
fn record(datagram: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let kind = u8_at(datagram, 0).filter(|kind| (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind))?;
    // The version is DTLS 1.0 in a first client hello, and DTLS 1.2 otherwise.
    u16_at(datagram, 1).filter(|version| matches!(version, 0xFEFF | 0xFEFD))?;
    let epoch = u16_at(datagram, 3)?;
    let end = RECORD_HEADER + usize::from(u16_at(datagram, 11)?);
    let body = datagram.get(RECORD_HEADER..end).filter(|body| !body.is_empty())?;
    Some((Record { kind, epoch, body }, datagram.get(end..)?))
}

/// Returns the first fragment and what follows it. A fragment without data is malformed, unless its message is empty
/// (docs/workarounds.md, "rtc-dtls: fragments without data overflow the stack").
fn fragment(body: &[u8]) -> Option<(Fragment<'_>, &[u8])> {
    let (kind, length, sequence) = (u8_at(body, 0)?, u24_at(body, 1)?, u16_at(body, 4)?);
    let (offset, size) = (u24_at(body, 6)?, u24_at(body, 9)?);
    if offset.checked_add(size)? > length || size == 0 && length > 0 {
        return None;
    }
    let end = HANDSHAKE_HEADER + usize::try_from(size).ok()?;
    let data = body.get(HANDSHAKE_HEADER..end)?;
    Some((Fragment { kind, length, sequence, offset, body: data }, body.get(end..)?))
}
