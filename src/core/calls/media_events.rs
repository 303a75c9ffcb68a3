//! Handles the events of the peer connections: descriptions, candidates, connection, digits.

use super::call::{Call, Phase, Update};
use super::control::CallControl;
use super::liveness::LivenessEvent;
use crate::config::Line;
use crate::core::api::{Cause, MediaEvent, MediaId};
use crate::core::session::TRANSACTION_TIMEOUT;
use crate::secret::Sdp;
use crate::signaling::{Jsep, RequestBody, Trickle, sip_status};

impl CallControl<'_> {
    pub(in crate::core) fn media_event(&mut self, media: MediaId, event: MediaEvent) {
        match self.calls.lines.with_media(media) {
            Some(line) => self.call_media_event(line, event),
            None if self.calls.warm.is(media) => self.warm_media_event(event),
            // A late event of a peer connection that was closed.
            None => {}
        }
    }

    fn call_media_event(&mut self, line: Line, event: MediaEvent) {
        match event {
            MediaEvent::LocalOffer { sdp } => self.local_offer(line, sdp),
            MediaEvent::LocalAnswer { sdp, far_end_holds } => self.local_answer(line, sdp, far_end_holds),
            MediaEvent::LocalCandidate(candidate) => self.local_candidate(line, Trickle::Candidate(candidate)),
            MediaEvent::CandidatesComplete => self.local_candidate(line, Trickle::Completed),
            MediaEvent::Connected => self.media_connected(line, true),
            MediaEvent::Disconnected => self.media_connected(line, false),
            MediaEvent::Closed => self.media_closed(line),
            MediaEvent::Received => self.liveness(line, LivenessEvent::SoundReceived),
            MediaEvent::Digit(digit) => self.far_end_event(line, digit),
            MediaEvent::Tone(digit) => self.far_end_tone(line, digit),
            MediaEvent::Negotiated { telephone_events } => self.telephone_events_negotiated(line, telephone_events),
            MediaEvent::UnusableCandidates(count) => {
                if let Some(call) = self.call_mut(line) {
                    call.unusable_candidates = call.unusable_candidates.saturating_add(count);
                }
            }
            // No request of the protocol refuses a re-offer, and silence would leave the far end in doubt. So the call
            // ends.
            MediaEvent::Refused { code, message } => self.hang_up(line, Cause::new(code, message)),
            MediaEvent::Failed(message) if self.call(line).is_some_and(Call::is_established) => {
                self.cx.protocol_problem(format!("the peer connection of a call failed: {message}"));
                self.liveness(line, LivenessEvent::Failed);
            }
            MediaEvent::Failed(message) => {
                self.hang_up(line, Cause::new(sip_status::SERVER_INTERNAL_ERROR, format!("media: {message}")))
            }
        }
    }

    fn local_offer(&mut self, line: Line, sdp: Sdp) {
        let Some(call) = self.call_mut(line) else { return };
        match call.phase {
            Phase::Dialing { .. } => {
                call.offer = Some(sdp);
                self.try_dial(line);
            }
            Phase::Answering { with_offer: true, .. } => {
                call.description = Some(Jsep::offer(sdp));
                self.send_accept(line);
            }
            Phase::Established { .. } if call.update == Update::Preparing => {
                let id = call.id.clone();
                let deadline = self.cx.now.at + TRANSACTION_TIMEOUT;
                let transaction = self.send(line, Some(id), RequestBody::Update { jsep: Jsep::offer(sdp) });
                if let Some(call) = self.call_mut(line) {
                    call.update =
                        transaction.map_or(Update::Idle, |transaction| Update::Sent { transaction, deadline });
                }
            }
            _ => {}
        }
    }

    fn local_answer(&mut self, line: Line, sdp: Sdp, far_end_holds: bool) {
        let Some(call) = self.call_mut(line) else { return };
        let resumed = std::mem::replace(&mut call.far_end_holds, far_end_holds) && !far_end_holds;
        match call.phase {
            Phase::Answering { sent: false, .. } => {
                call.description = Some(Jsep::answer(sdp));
                self.send_accept(line);
            }
            Phase::Answering { sent: true, .. } | Phase::Alerting { .. } | Phase::Established { .. } => {
                let id = call.id.clone();
                self.send(line, Some(id), RequestBody::Update { jsep: Jsep::answer(sdp) });
                self.liveness(line, LivenessEvent::Negotiated);
                if resumed {
                    self.liveness_starts_again(line);
                }
            }
            _ => {}
        }
    }

    /// Nothing is trickled before the server knows the call (docs/protocol.md, "Order matters").
    fn local_candidate(&mut self, line: Line, candidate: Trickle) {
        let Some(call) = self.call_mut(line) else { return };
        if let Some(candidate) = call.candidates.gathered(candidate) {
            self.send(line, None, RequestBody::IceTrickle { candidate });
        }
    }

    /// The server knows the call: the candidates gathered so far are sent, in order.
    pub(super) fn open_trickle(&mut self, line: Line) {
        let Some(call) = self.call_mut(line) else { return };
        for candidate in call.candidates.open() {
            self.send(line, None, RequestBody::IceTrickle { candidate });
        }
    }
}
