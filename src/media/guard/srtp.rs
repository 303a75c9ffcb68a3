//! Decides which SRTP and SRTCP may reach the library (RFC 3711, RFC 7714).
//!
//! The library keeps state for each SSRC that it sees, before it has checked that a packet is authentic
//! (docs/workarounds.md, "rtc-srtp: each ssrc gets state before authentication"). So a new SSRC passes only if it
//! behaves like a stream, and only a few of them pass at all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtc::shared::util::is_rtcp;

use super::bytes::{u8_at, u16_at, u32_at};
use super::dropped::Reason;
use super::rate::Rate;

/// How SRTP packets are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// AES in counter mode, with a tag of 80 bits (RFC 3711).
    AesCm,
    /// AES-GCM (RFC 7714).
    AesGcm,
}

impl Protection {
    /// Number of octets after the word that holds the E bit of SRTCP.
    fn behind_index(self) -> usize {
        match self {
            Self::AesCm => 10,
            Self::AesGcm => 0,
        }
    }

    /// Length of the shortest SRTCP packet: header, SSRC of the sender, index and tag.
    fn shortest_srtcp(self) -> usize {
        match self {
            Self::AesCm => 8 + 4 + 10,
            Self::AesGcm => 8 + 16 + 4,
        }
    }
}

/// Number of streams that are kept: known ones of the far end, and those on trial.
const MAX_STREAMS: usize = 16;
/// Number of new streams that are remembered until they have sent enough packets in a row.
const MAX_NEWCOMERS: usize = 32;
/// Number of streams that may be tried in one call, because the library keeps each of them.
const MAX_TRIALS: u32 = 128;
/// Number of packets of a stream that may pass while none of them has been authentic.
const TRIAL_PACKETS: u16 = 32;
/// A stream of this many packets in a row passes in any case: noise that needs this many packets for each stream is not
/// a flood.
const LONG_RUN: u16 = 25;
/// The next packet of a new stream must follow the last one within this time.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    /// The library has found a packet of it authentic, or the far end's description names it.
    known: bool,
    passed: u16,
}

#[derive(Debug, Clone, Copy)]
struct Newcomer {
    ssrc: u32,
    sequence: u16,
    at: Instant,
    /// Number of packets in a row.
    run: u16,
}

#[derive(Debug)]
pub(super) struct Streams {
    protection: Option<Protection>,
    payload_types: u128,
    streams: VecDeque<Stream>,
    newcomers: VecDeque<Newcomer>,
    trials: u32,
    trial_rate: Rate,
    /// For streams that begin with a report. Only its authentication tag distinguishes a report from noise.
    report_rate: Rate,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            protection: None,
            payload_types: 0,
            streams: VecDeque::new(),
            newcomers: VecDeque::new(),
            trials: 0,
            trial_rate: Rate::new(4, 1.0),
            report_rate: Rate::new(2, 0.2),
        }
    }
}

impl Streams {
    pub(super) fn keys_up(&mut self, protection: Protection) {
        self.protection = Some(protection);
    }

    pub(super) fn allow_payload_type(&mut self, number: u8) {
        self.payload_types |= 1_u128.checked_shl(u32::from(number)).unwrap_or_default();
    }

    /// Adds a stream of the far end: the description names it, or a packet of it was authentic.
    pub(super) fn know(&mut self, ssrc: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            stream.known = true;
            return;
        }
        self.insert(Stream { ssrc, known: true, passed: 0 });
    }

    fn insert(&mut self, stream: Stream) {
        while self.streams.len() >= MAX_STREAMS {
            // The oldest one that is not known goes first.
            let oldest = self.streams.iter().position(|stream| !stream.known).unwrap_or_default();
            self.streams.remove(oldest);
        }
        self.streams.push_back(stream);
    }

    /// Returns whether the packet belongs to a stream that is known to be the far end's.
    pub(super) fn check(&mut self, packet: &[u8], now: Instant) -> Result<bool, Reason> {
        let protection = self.protection.ok_or(Reason::NoKeys)?;
        if is_rtcp(packet) { self.check_rtcp(packet, protection, now) } else { self.check_rtp(packet, now) }
    }

    fn check_rtp(&mut self, packet: &[u8], now: Instant) -> Result<bool, Reason> {
        let (number, sequence, ssrc) = rtp_header(packet).ok_or(Reason::RtpMalformed)?;
        if let Some(verdict) = self.check_stream(ssrc) {
            return verdict;
        }
        if self.payload_types & 1_u128.checked_shl(u32::from(number)).unwrap_or_default() == 0 {
            return Err(Reason::PayloadType);
        }
        // A stream has at least two packets in a row (RFC 3550, appendix A.1). Noise does not.
        let before = self.newcomers.iter().position(|newcomer| newcomer.ssrc == ssrc);
        let run = before.and_then(|at| self.newcomers.remove(at)).map_or(1, |before| {
            let step = sequence.wrapping_sub(before.sequence);
            let follows = (1..=8).contains(&step) && now.saturating_duration_since(before.at) < NEWCOMER_PATIENCE;
            if follows { before.run.saturating_add(1) } else { 1 }
        });
        if run >= LONG_RUN || run > 1 && self.may_try(now) {
            return Ok(self.try_stream(ssrc));
        }
        if self.newcomers.len() >= MAX_NEWCOMERS {
            // The one with the fewest packets in a row goes first.
            let least = (0..self.newcomers.len()).min_by_key(|at| self.newcomers.get(*at).map(|newcomer| newcomer.run));
            least.and_then(|at| self.newcomers.remove(at));
        }
        self.newcomers.push_back(Newcomer { ssrc, sequence, at: now, run });
        Err(Reason::Streams)
    }

    fn check_rtcp(&mut self, packet: &[u8], protection: Protection, now: Instant) -> Result<bool, Reason> {
        // The header is in the clear and holds the length of the first report.
        let message = usize::from(u16_at(packet, 2).ok_or(Reason::RtpMalformed)?);
        let trailer = protection.shortest_srtcp() - 8;
        if packet.len() < protection.shortest_srtcp() || (message + 1) * 4 + trailer > packet.len() {
            return Err(Reason::RtpMalformed);
        }
        let index = packet.len().checked_sub(protection.behind_index() + 4).ok_or(Reason::RtpMalformed)?;
        // Without the E bit, the library does not check the tag (docs/workarounds.md, "rtc-srtp: unencrypted srtcp is
        // not authenticated").
        if u8_at(packet, index).is_none_or(|byte| byte & 0x80 == 0) {
            return Err(Reason::SrtcpClear);
        }
        let ssrc = u32_at(packet, 4).ok_or(Reason::RtpMalformed)?;
        if let Some(verdict) = self.check_stream(ssrc) {
            return verdict;
        }
        if self.trials >= MAX_TRIALS || !self.report_rate.admits(now) {
            return Err(Reason::Streams);
        }
        Ok(self.try_stream(ssrc))
    }

    /// Lets a stream pass on trial. It does not become known by this.
    fn try_stream(&mut self, ssrc: u32) -> bool {
        self.trials = self.trials.saturating_add(1);
        self.insert(Stream { ssrc, known: false, passed: 1 });
        false
    }

    /// Returns the verdict on a packet of a stream that is known or on trial, and `None` for a new stream.
    fn check_stream(&mut self, ssrc: u32) -> Option<Result<bool, Reason>> {
        let stream = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc)?;
        if stream.known {
            return Some(Ok(true));
        }
        stream.passed = stream.passed.saturating_add(1);
        Some(if stream.passed <= TRIAL_PACKETS { Ok(false) } else { Err(Reason::Streams) })
    }

    fn may_try(&mut self, now: Instant) -> bool {
        self.trials < MAX_TRIALS && self.trial_rate.admits(now)
    }
}

/// Returns payload type, sequence number and SSRC of a packet whose lengths agree.
fn rtp_header(packet: &[u8]) -> Option<(u8, u16, u32)> {
    let first = u8_at(packet, 0)?;
    (first >> 6 == 2).then_some(())?;
    let mut header = 12 + 4 * usize::from(first & 0x0F);
    if first & 0x10 != 0 {
        header += 4 + 4 * usize::from(u16_at(packet, header + 2)?);
    }
    // After the header there is at least an authentication tag.
    (packet.len() >= header + 10).then_some(())?;
    Some((u8_at(packet, 1)? & 0x7F, u16_at(packet, 2)?, u32_at(packet, 8)?))
}
