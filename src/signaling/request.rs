//! Requests, client to server (`protocol.md`, "Requests").

use serde::{Deserialize, Serialize};

use super::message::{CallId, Jsep, LineNumber, ReferId, Trickle};

/// A request with its address. Answered by one response with the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `transaction-<digits>`, unique also across restarts.
    #[serde(default)]
    pub transaction: String,
    /// The line; `null` is the guest line.
    #[serde(default)]
    pub line: LineNumber,
    /// The call; absent for `ice_trickle` and in call logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// What is asked.
    #[serde(flatten)]
    pub body: RequestBody,
}

impl Request {
    /// Every request name.
    pub const NAMES: [&str; 9] =
        ["outgoing_call", "accept", "decline", "hangup", "hold", "unhold", "transfer", "update", "ice_trickle"];
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum RequestBody {
    /// INVITE.
    OutgoingCall {
        /// Whom to call.
        number: String,
        /// Our offer.
        jsep: Jsep,
        /// Caller number, guest line only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The transfer that asked for this call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refer_id: Option<ReferId>,
        /// The call this one replaces (RFC 3891).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
    },
    /// 200 OK: an answer where `incoming_call` had an offer, else an offer.
    Accept {
        /// Our description.
        jsep: Jsep,
    },
    /// 486, or the refusal of a transfer.
    Decline {
        /// The transfer to refuse.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refer_id: Option<ReferId>,
    },
    /// CANCEL or BYE.
    Hangup {},
    /// re-INVITE that stops the far end's sound.
    Hold {
        /// `sendonly` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<HoldDirection>,
    },
    /// re-INVITE that takes the call up again.
    Unhold {},
    /// REFER.
    Transfer {
        /// Where to.
        number: String,
        /// The call to replace (attended).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replace_call_id: Option<CallId>,
    },
    /// re-INVITE: an offer, or the answer to an `updating_call` offer.
    Update {
        /// Our description.
        jsep: Jsep,
    },
    /// One ICE candidate, or their end.
    IceTrickle {
        /// The candidate.
        candidate: Trickle,
    },
}

impl RequestBody {
    /// The request's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OutgoingCall { .. } => "outgoing_call",
            Self::Accept { .. } => "accept",
            Self::Decline { .. } => "decline",
            Self::Hangup {} => "hangup",
            Self::Hold { .. } => "hold",
            Self::Unhold {} => "unhold",
            Self::Transfer { .. } => "transfer",
            Self::Update { .. } => "update",
            Self::IceTrickle { .. } => "ice_trickle",
        }
    }
}

/// Media direction of a held call, seen from the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldDirection {
    /// We may still play music to the far end.
    Sendonly,
    /// We may still listen.
    Recvonly,
    /// Silence both ways.
    Inactive,
}
