//! Requests, from the client to the server (docs/protocol.md, "Requests").

use serde::{Deserialize, Serialize};

use super::id::{CallId, LineNumber, ReferId, TransactionId};
use super::jsep::Jsep;
use super::trickle::Trickle;
use crate::secret::PhoneNumber;

/// A request with its address. The server answers it with one response, which has the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `transaction-` and digits; unique also across restarts.
    #[serde(default)]
    pub transaction: TransactionId,
    /// `null` is the guest line.
    #[serde(default)]
    pub line: LineNumber,
    /// Absent in `ice_trickle` and in call logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    #[serde(flatten)]
    pub body: RequestBody,
}

/// The kinds of requests, by their names on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    OutgoingCall,
    Accept,
    Decline,
    Hangup,
    Hold,
    Unhold,
    Transfer,
    Update,
    IceTrickle,
}

impl RequestKind {
    pub const ALL: [Self; 9] = [
        Self::OutgoingCall,
        Self::Accept,
        Self::Decline,
        Self::Hangup,
        Self::Hold,
        Self::Unhold,
        Self::Transfer,
        Self::Update,
        Self::IceTrickle,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutgoingCall => "outgoing_call",
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Hangup => "hangup",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Transfer => "transfer",
            Self::Update => "update",
            Self::IceTrickle => "ice_trickle",
        }
    }

    /// A request that ends its call, or that refuses it.
    pub fn ends_call(self) -> bool {
        matches!(self, Self::Hangup | Self::Decline)
    }
}

impl std::fmt::Display for RequestKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum RequestBody {
    /// A SIP INVITE.
    OutgoingCall {
        /// The number to call.
        number: PhoneNumber,
        /// Our offer.
        jsep: Jsep,
        /// The caller's number, for the guest line only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<PhoneNumber>,
        /// The transfer that asked for this call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refer_id: Option<ReferId>,
        /// The call that this one replaces (RFC 3891).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
    },
    /// SIP status 200.
    Accept {
        /// An answer if `incoming_call` had an offer, else an offer.
        jsep: Jsep,
    },
    /// SIP status 486, or the refusal of a transfer.
    Decline {
        /// The transfer to refuse.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refer_id: Option<ReferId>,
    },
    /// A SIP CANCEL or BYE.
    Hangup {},
    /// A re-INVITE that stops the sound of the far end.
    Hold {
        /// `sendonly` if it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<HoldDirection>,
    },
    /// A re-INVITE that resumes the call.
    Unhold {},
    /// A SIP REFER.
    Transfer {
        /// The number to which the far end is transferred.
        number: PhoneNumber,
        /// The call to replace, in an attended transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replace_call_id: Option<CallId>,
    },
    /// A re-INVITE, or the answer to one.
    Update {
        /// An offer, or the answer to the offer of `updating_call`.
        jsep: Jsep,
    },
    /// One ICE candidate, or the end of candidates.
    IceTrickle { candidate: Trickle },
}

impl RequestBody {
    pub fn kind(&self) -> RequestKind {
        match self {
            Self::OutgoingCall { .. } => RequestKind::OutgoingCall,
            Self::Accept { .. } => RequestKind::Accept,
            Self::Decline { .. } => RequestKind::Decline,
            Self::Hangup {} => RequestKind::Hangup,
            Self::Hold { .. } => RequestKind::Hold,
            Self::Unhold {} => RequestKind::Unhold,
            Self::Transfer { .. } => RequestKind::Transfer,
            Self::Update { .. } => RequestKind::Update,
            Self::IceTrickle { .. } => RequestKind::IceTrickle,
        }
    }
}

/// The media direction of a held call, seen from the side that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldDirection {
    /// We may still send sound, such as music, to the far end.
    Sendonly,
    /// We may still hear the far end.
    Recvonly,
    /// No sound in either direction.
    Inactive,
}
