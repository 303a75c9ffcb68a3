//! A call as the server knows it: what its log in the `state` handshake shows (docs/protocol.md, "Handshakes").

use crate::config::Line;
use crate::core::api::Cause;
use crate::secret::{PhoneNumber, Sdp};
use crate::signaling::{CallId, Event, EventBody, LineState, LogMessage, RequestBody, StateHandshake, sip_status};

/// A call as the server knows it.
pub(super) struct ServerCall<'a> {
    pub(super) line: Line,
    pub(super) call_id: &'a CallId,
    state: &'a LineState,
}

impl<'a> ServerCall<'a> {
    /// All calls in the server's `state`.
    pub(super) fn all(state: &'a StateHandshake) -> Vec<Self> {
        let lines = (0..).map(Line).zip(&state.lines);
        let calls = lines.filter_map(|(line, state)| {
            let state = state.as_ref()?;
            Some(Self { line, call_id: state.call_id.as_ref()?, state })
        });
        calls.collect()
    }

    fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.state.call_logs.iter().filter_map(|entry| match &entry.1 {
            LogMessage::Event(event) => Some(event.as_ref()),
            _ => None,
        })
    }

    /// The cause of the end, if the newest event of the log is the end of the call.
    pub(super) fn end(&self) -> Option<Cause> {
        match &self.events().next()?.body {
            EventBody::Hangup { code, reason } => Some(Cause::new(*code, reason.clone())),
            EventBody::MissedCall { .. } => Some(Cause::new(sip_status::BUSY_HERE, "missed")),
            _ => None,
        }
    }

    /// The offer of the far end's newest re-INVITE, if nobody has answered it yet.
    pub(super) fn open_offer(&self) -> Option<Sdp> {
        let newest = self.events().find_map(|event| match &event.body {
            EventBody::UpdatingCall(invitation) => Some(invitation.jsep.as_ref()),
            EventBody::Updated { .. } | EventBody::Accepted { .. } => Some(None),
            _ => None,
        });
        newest.flatten().map(|jsep| jsep.sdp.clone())
    }

    /// Whether it is an incoming call that nobody has answered.
    pub(super) fn rings(&self) -> bool {
        self.invitation().is_some() && !self.has_accepted()
    }

    pub(super) fn has_accepted(&self) -> bool {
        self.events().any(|event| matches!(event.body, EventBody::Accepted { .. }))
    }

    pub(super) fn is_being_answered(&self) -> bool {
        self.events().any(|event| matches!(event.body, EventBody::Accepting {} | EventBody::Accepted { .. }))
    }

    pub(super) fn invitation(&self) -> Option<&Event> {
        self.events().rev().find(|event| matches!(event.body, EventBody::IncomingCall(_)))
    }

    /// All events of the log, from the oldest to the newest.
    pub(super) fn history(&self) -> Vec<Event> {
        self.events().rev().cloned().collect()
    }

    /// The number that the `outgoing_call` of the log called.
    pub(super) fn called_number(&self) -> Option<PhoneNumber> {
        self.state.call_logs.iter().find_map(|entry| match &entry.1 {
            LogMessage::Request(request) => match &request.body {
                RequestBody::OutgoingCall { number, .. } => Some(number.clone()),
                _ => None,
            },
            _ => None,
        })
    }
}
