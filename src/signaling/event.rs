//! Events, server to client (`protocol.md`, "Events").

use serde::{Deserialize, Serialize};

use super::message::{CallId, Jsep, LineNumber, ReferId, Trickle};

/// An event with its address: session, line or call level by the fields that it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The request of ours that this results from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// The line; absent at session level and for the guest line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: LineNumber,
    /// The call; absent at session and line level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

impl Event {
    /// Every event name.
    pub const NAMES: [&str; 32] = [
        "registering",
        "registered",
        "registration_failed",
        "unregistering",
        "unregistered",
        "ice_webrtcup",
        "ice_media",
        "ice_slowlink",
        "ice_hangup",
        "ice_trickle",
        "transfer",
        "error",
        "calling",
        "proceeding",
        "ringing",
        "progress",
        "accepted",
        "accepting",
        "incoming_call",
        "missed_call",
        "declining",
        "hangingup",
        "hangup",
        "holding",
        "resuming",
        "updating",
        "updated",
        "transferring",
        "updating_call",
        "notify",
        "number_presence_update",
        "number_dialogs_update",
    ];
}

/// Who calls whom, in `incoming_call` and `updating_call`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The called number.
    #[serde(default)]
    pub callee: String,
    /// The caller's number; empty where nobody says it.
    #[serde(default)]
    pub caller: String,
    /// The caller's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_display_name: Option<String>,
    /// Who sent the caller here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<String>,
    /// The call this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace_call_id: Option<CallId>,
    /// The far end is a conference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_focus: Option<bool>,
    /// The offer; absent for an offerless INVITE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsep: Option<Jsep>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// REGISTER is out.
    Registering {},
    /// The account is registered.
    Registered {
        /// `ok` or `authorization_failure`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phrase: Option<String>,
    },
    /// The account was refused.
    RegistrationFailed {
        /// SIP status.
        #[serde(default)]
        code: i64,
        /// In words.
        #[serde(default)]
        reason: String,
    },
    /// REGISTER with expiry 0 is out.
    Unregistering {},
    /// The account is not registered.
    Unregistered {},
    /// ICE and DTLS are up.
    IceWebrtcup {},
    /// The server hears us, or no longer does.
    IceMedia {
        /// `audio` or `video`.
        #[serde(rename = "type", default = "audio")]
        kind: String,
        /// Whether packets arrive at the server; the event without it is sent when they begin to.
        #[serde(default = "yes")]
        receiving: bool,
        /// Which m-line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<String>,
    },
    /// Packets are lost.
    IceSlowlink {
        /// `audio` or `video`; `type` and `media` both occur.
        #[serde(alias = "type", default = "audio")]
        media: String,
        /// From us to the server.
        #[serde(default)]
        uplink: bool,
        /// How many since the last event.
        #[serde(default)]
        lost: i64,
        /// Which m-line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<String>,
    },
    /// The media server has let go of the peer connection.
    IceHangup {
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A candidate of the media server, or their end.
    IceTrickle {
        /// The candidate.
        #[serde(default)]
        candidate: Trickle,
    },
    /// REFER: the far end asks us to call somebody else.
    Transfer {
        /// To be returned.
        refer_id: ReferId,
        /// Whom to call.
        #[serde(default)]
        refer_to: String,
        /// Who asks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        referred_by: Option<String>,
        /// The call to replace (attended).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replace_call_id: Option<CallId>,
    },
    /// A failure at session, line or call level.
    Error {
        /// 440 to 499, or a SIP status.
        #[serde(default)]
        code: i64,
        /// In words.
        #[serde(default)]
        reason: String,
    },
    /// Our INVITE is going out.
    Calling {},
    /// Provisional answer without early media.
    Proceeding {
        /// SIP status.
        #[serde(default)]
        code: i64,
    },
    /// 180.
    Ringing {},
    /// 183 with early media.
    Progress {
        /// The called number.
        #[serde(default)]
        callee: Option<String>,
        /// The answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jsep: Option<Jsep>,
        /// The far end is a conference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_focus: Option<bool>,
    },
    /// The call is up, or our update was taken.
    Accepted {
        /// The answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jsep: Option<Jsep>,
        /// The called number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        callee: Option<String>,
        /// The far end is a conference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_focus: Option<bool>,
    },
    /// Our `accept` with an offer is in work.
    Accepting {},
    /// INVITE.
    IncomingCall(Invitation),
    /// All lines were busy; answered 486 by the server.
    MissedCall {
        /// The called number.
        #[serde(default)]
        callee: String,
        /// The caller's number; empty where nobody says it.
        #[serde(default)]
        caller: String,
        /// The caller's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller_display_name: Option<String>,
    },
    /// Our `decline` is in work.
    Declining {
        /// SIP status.
        #[serde(default)]
        code: i64,
        /// The transfer that is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refer_id: Option<ReferId>,
    },
    /// Our `hangup` is in work.
    Hangingup {
        /// SIP status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i64>,
    },
    /// The end of the call, whoever ended it. The line is free.
    Hangup {
        /// SIP status; read leniently, since this event must end the call whatever it lacks.
        #[serde(default)]
        code: i64,
        /// In words.
        #[serde(default)]
        reason: String,
    },
    /// Our `hold` is in work.
    Holding {},
    /// Our `unhold` is in work.
    Resuming {},
    /// Our `update` is in work.
    Updating {},
    /// The end of an update from either side.
    Updated {
        /// The answer to our offer, where it was not in `accepted`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jsep: Option<Jsep>,
    },
    /// Our `transfer` is in work.
    Transferring {},
    /// re-INVITE from the far side.
    UpdatingCall(Invitation),
    /// Presence of a number, which means nothing to a door.
    NumberPresenceUpdate {},
    /// Calls of a number, which mean nothing to a door.
    NumberDialogsUpdate {},
    /// NOTIFY, for one the progress of a transfer.
    Notify {
        /// The body.
        #[serde(default)]
        content: String,
        /// The event package.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notify: Option<String>,
        /// Where the subscription stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscription_state: Option<SubscriptionState>,
        /// The type of the body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
}

fn yes() -> bool {
    true
}

/// The only medium of a station.
fn audio() -> String {
    "audio".into()
}

/// State of a SIP subscription (RFC 6665).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    /// Not yet accepted.
    Pending,
    /// Notifications come.
    Active,
    /// The last one.
    Terminated,
    /// Any other word.
    #[serde(other)]
    Unknown,
}
