//! Events, from the server to the client (docs/protocol.md, "Events").

use serde::{Deserialize, Serialize};

use super::id::{CallId, LineNumber, ReferId, TransactionId};
use super::jsep::Jsep;
use super::trickle::Trickle;
use crate::secret::{MessageBody, PersonName, PhoneNumber};

/// An event with its address. It is of the session, a line or a call, depending on which of the fields `line` and
/// `call_id` it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The transaction of the request that led to the event, if a request of ours did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    /// Absent in an event of the session, and for the guest line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: LineNumber,
    /// Absent in an event of the session or of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
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

/// The fields of `incoming_call` and `updating_call`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The called number.
    #[serde(default)]
    pub callee: PhoneNumber,
    /// The caller's number; empty if it is not known.
    #[serde(default)]
    pub caller: PhoneNumber,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_display_name: Option<PersonName>,
    /// Who transferred the caller to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<PhoneNumber>,
    /// The call that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace_call_id: Option<CallId>,
    /// Whether the far end is a conference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_focus: Option<bool>,
    /// The offer; absent if the INVITE had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsep: Option<Jsep>,
}

/// What an event reports, with its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// REGISTER has been sent.
    Registering {},
    Registered {
        /// `ok` or `authorization_failure`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phrase: Option<String>,
    },
    RegistrationFailed {
        /// SIP status.
        #[serde(default)]
        code: i64,
        #[serde(default)]
        reason: String,
    },
    /// REGISTER with expiry 0 has been sent.
    Unregistering {},
    Unregistered {},
    /// ICE and DTLS are up.
    IceWebrtcup {},
    /// The server begins to receive our media, or stops receiving it.
    IceMedia {
        /// `audio` or `video`.
        #[serde(rename = "type", default = "audio")]
        kind: String,
        /// Whether packets arrive at the server. An event without this field means that they begin to arrive.
        #[serde(default = "yes")]
        receiving: bool,
        /// The identification of the m-line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<String>,
    },
    /// Packets are lost.
    IceSlowlink {
        /// `audio` or `video`. Both `type` and `media` occur as the field's name.
        #[serde(alias = "type", default = "audio")]
        media: String,
        /// Whether the loss is from us to the server.
        #[serde(default)]
        uplink: bool,
        /// The number of packets lost since the last event.
        #[serde(default)]
        lost: i64,
        /// The identification of the m-line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<String>,
    },
    /// The media server has released the peer connection.
    IceHangup {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A candidate of the media server, or the end of its candidates.
    IceTrickle {
        #[serde(default)]
        candidate: Trickle,
    },
    /// REFER: the far end asks us to call somebody else.
    Transfer {
        /// A request that answers the transfer must return this.
        refer_id: ReferId,
        /// The number to call.
        #[serde(default)]
        refer_to: PhoneNumber,
        /// Who asks for the transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        referred_by: Option<PhoneNumber>,
        /// The call to replace, in an attended transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replace_call_id: Option<CallId>,
    },
    /// A failure of the session, a line or a call.
    Error {
        /// 440 to 499, or a SIP status.
        #[serde(default)]
        code: i64,
        #[serde(default)]
        reason: String,
    },
    /// The server is sending our INVITE.
    Calling {},
    /// A provisional response without early media.
    Proceeding {
        /// SIP status.
        #[serde(default)]
        code: i64,
    },
    /// SIP status 180.
    Ringing {},
    /// SIP status 183 with early media.
    Progress {
        /// The called number.
        #[serde(default)]
        callee: Option<PhoneNumber>,
        /// The answer to our offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jsep: Option<Jsep>,
        /// Whether the far end is a conference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_focus: Option<bool>,
    },
    /// The call is established, or our update was accepted.
    Accepted {
        /// The answer to our offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jsep: Option<Jsep>,
        /// The called number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        callee: Option<PhoneNumber>,
        /// Whether the far end is a conference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_focus: Option<bool>,
    },
    /// Our `accept` with an offer is in progress.
    Accepting {},
    /// An INVITE for us.
    IncomingCall(Invitation),
    /// All lines were busy, and the server answered 486.
    MissedCall {
        /// The called number.
        #[serde(default)]
        callee: PhoneNumber,
        /// The caller's number; empty if it is not known.
        #[serde(default)]
        caller: PhoneNumber,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller_display_name: Option<PersonName>,
    },
    /// Our `decline` is in progress.
    Declining {
        /// SIP status.
        #[serde(default)]
        code: i64,
        /// The transfer that is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refer_id: Option<ReferId>,
    },
    /// Our `hangup` is in progress.
    Hangingup {
        /// SIP status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i64>,
    },
    /// The call has ended, whichever side ended it. The line is free.
    Hangup {
        /// SIP status. It is optional, because this event must end the call even if fields are missing.
        #[serde(default)]
        code: i64,
        #[serde(default)]
        reason: String,
    },
    /// Our `hold` is in progress.
    Holding {},
    /// Our `unhold` is in progress.
    Resuming {},
    /// Our `update` is in progress.
    Updating {},
    /// An update from either side is complete.
    Updated {
        /// The answer to our offer, if it was not in `accepted`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jsep: Option<Jsep>,
    },
    /// Our `transfer` is in progress.
    Transferring {},
    /// A re-INVITE from the far end.
    UpdatingCall(Invitation),
    /// The presence of a number, which a station does not need.
    NumberPresenceUpdate {},
    /// The calls of a number, which a station does not need.
    NumberDialogsUpdate {},
    /// A SIP NOTIFY, for example about the progress of a transfer.
    Notify {
        /// The body of the NOTIFY.
        #[serde(default)]
        content: MessageBody,
        /// The event package.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notify: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscription_state: Option<SubscriptionState>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
}

fn yes() -> bool {
    true
}

/// The default of a media type: a station has audio only.
fn audio() -> String {
    "audio".into()
}

/// The state of a SIP subscription (RFC 6665).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionState {
    /// The subscription is not accepted yet.
    Pending,
    /// Notifications arrive.
    Active,
    /// This notification is the last one.
    Terminated,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// serde names every variant when it meets a name that it does not know.
    #[test]
    fn the_list_of_names_has_every_event() {
        let unknown = serde_json::from_str::<EventBody>(r#"{"event":"unheard_of"}"#).unwrap_err().to_string();
        let expected = unknown.split("expected one of ").nth(1).unwrap_or_default();
        let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let mut listed = Event::NAMES.to_vec();
        listed.sort_unstable();
        let mut found = names.clone();
        found.sort_unstable();
        assert_eq!(found, listed);
    }
}
