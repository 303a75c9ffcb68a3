//! Why a datagram does not reach the media library, and how often that happened.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Why the guard drops a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// Neither STUN nor DTLS nor SRTP (RFC 7983), or too long.
    Unknown,
    /// STUN whose header or attributes do not agree with its length (RFC 8489).
    StunMalformed,
    /// A connectivity check without the password of this call.
    StunUnauthenticated,
    /// A response without a request, or a message that has no use here.
    StunUnexpected,
    /// The address is not a candidate of the far end, and no check has confirmed it.
    Source,
    /// Too many datagrams in a short time; no legitimate sender is that fast.
    Rate,
    /// A DTLS record or handshake fragment whose lengths do not agree (RFC 6347).
    DtlsMalformed,
    /// More fragments or bytes than a handshake needs.
    DtlsTooMuch,
    /// A message in the clear that is not allowed at this point.
    DtlsClear,
    /// SRTP or SRTCP before there are keys.
    NoKeys,
    /// An RTP or RTCP header that does not agree with the length of the packet (RFC 3550).
    RtpMalformed,
    /// SRTCP that is marked as not encrypted (RFC 3711, section 3.4).
    SrtcpClear,
    /// A new stream with a payload type that was not negotiated.
    PayloadType,
    /// A new stream beyond those that a call may have, or one that is not confirmed yet.
    Streams,
}

impl Reason {
    const COUNT: usize = Self::Streams as usize + 1;
}

/// Datagrams that the guard dropped, by reason, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DroppedDatagrams {
    /// Neither STUN nor DTLS nor SRTP.
    pub unknown: u64,
    /// STUN that is malformed.
    pub stun_malformed: u64,
    /// Connectivity checks without the call's password.
    pub stun_unauthenticated: u64,
    /// STUN that nobody requested or needs.
    pub stun_unexpected: u64,
    /// From an address that does not take part in the call.
    pub source: u64,
    /// Too many in a short time.
    pub rate: u64,
    /// DTLS whose lengths do not agree.
    pub dtls_malformed: u64,
    /// More DTLS than a handshake needs.
    pub dtls_too_much: u64,
    /// DTLS in the clear that is not allowed at this point.
    pub dtls_clear: u64,
    /// SRTP before there are keys.
    pub no_keys: u64,
    /// RTP whose lengths do not agree.
    pub rtp_malformed: u64,
    /// SRTCP that is not encrypted.
    pub srtcp_clear: u64,
    /// New streams with a payload type that was not negotiated.
    pub payload_type: u64,
    /// New streams beyond those that a call may have.
    pub streams: u64,
}

impl DroppedDatagrams {
    /// Returns the number of all dropped datagrams.
    pub fn sum(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    /// Returns each count with its name.
    pub fn named(&self) -> [(&'static str, u64); Reason::COUNT] {
        [
            ("unknown", self.unknown),
            ("stun_malformed", self.stun_malformed),
            ("stun_unauthenticated", self.stun_unauthenticated),
            ("stun_unexpected", self.stun_unexpected),
            ("source", self.source),
            ("rate", self.rate),
            ("dtls_malformed", self.dtls_malformed),
            ("dtls_too_much", self.dtls_too_much),
            ("dtls_clear", self.dtls_clear),
            ("no_keys", self.no_keys),
            ("rtp_malformed", self.rtp_malformed),
            ("srtcp_clear", self.srtcp_clear),
            ("payload_type", self.payload_type),
            ("streams", self.streams),
        ]
    }
}

/// Counts dropped datagrams for all calls of a station.
#[derive(Debug, Default)]
pub struct DropCounters([AtomicU64; Reason::COUNT]);

impl DropCounters {
    /// Counts one more datagram.
    pub fn count(&self, reason: Reason) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the current counts.
    pub fn read(&self) -> DroppedDatagrams {
        let of = |reason: Reason| self.0.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed));
        DroppedDatagrams {
            unknown: of(Reason::Unknown),
            stun_malformed: of(Reason::StunMalformed),
            stun_unauthenticated: of(Reason::StunUnauthenticated),
            stun_unexpected: of(Reason::StunUnexpected),
            source: of(Reason::Source),
            rate: of(Reason::Rate),
            dtls_malformed: of(Reason::DtlsMalformed),
            dtls_too_much: of(Reason::DtlsTooMuch),
            dtls_clear: of(Reason::DtlsClear),
            no_keys: of(Reason::NoKeys),
            rtp_malformed: of(Reason::RtpMalformed),
            srtcp_clear: of(Reason::SrtcpClear),
            payload_type: of(Reason::PayloadType),
            streams: of(Reason::Streams),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_count() {
        let counters = DropCounters::default();
        counters.count(Reason::Unknown);
        counters.count(Reason::Streams);
        counters.count(Reason::Streams);
        let read = counters.read();
        assert_eq!((read.unknown, read.streams, read.sum()), (1, 2, 3));
    }
}
