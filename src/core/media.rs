//! What the peer connections tell: descriptions, candidates, connection, digits.

use std::time::Duration;

use crate::signaling::{Jsep, RequestBody, Trickle};

use super::by::By;
use super::call::{Call, Direction, MAX_CANDIDATES, Origin, Phase, Source, Update};
use super::cause::Cause;
use super::dtmf::{self, Entry};
use super::effect::MediaId;
use super::fact::Fact;
use super::input::MediaEvent;
use super::station::Station;
use super::transactions::TRANSACTION_TIMEOUT;

/// A gateway may leave a digit in the sound and send it as an event, too: both come within this time.
const TONE_AND_EVENT: Duration = Duration::from_millis(500);

impl Station {
    pub(super) fn media_event(&mut self, media: MediaId, event: MediaEvent) {
        match self.lines.with_media(media) {
            Some(line) => self.call_media_event(line, event),
            None if self.warm.as_ref().is_some_and(|warm| warm.media == media) => self.warm_media_event(event),
            // Late words of a peer connection that was closed.
            None => {}
        }
    }

    fn warm_media_event(&mut self, event: MediaEvent) {
        let Some(warm) = &mut self.warm else { return };
        match event {
            MediaEvent::LocalOffer { sdp } => warm.offer = Some(sdp),
            MediaEvent::LocalCandidate(candidate) if warm.candidates.len() < MAX_CANDIDATES => {
                warm.candidates.push_back(Trickle::Candidate(candidate));
            }
            MediaEvent::CandidatesComplete => warm.candidates.push_back(Trickle::Completed),
            MediaEvent::Failed(words) => {
                self.fact(Fact::Protocol { problem: format!("no peer connection for the next call: {words}") });
                self.drop_warm();
            }
            _ => {}
        }
    }

    fn call_media_event(&mut self, line: usize, event: MediaEvent) {
        match event {
            MediaEvent::LocalOffer { sdp } => self.local_offer(line, sdp),
            MediaEvent::LocalAnswer { sdp, far_end_holds } => self.local_answer(line, sdp, far_end_holds),
            MediaEvent::LocalCandidate(candidate) => self.local_candidate(line, Trickle::Candidate(candidate)),
            MediaEvent::CandidatesComplete => self.local_candidate(line, Trickle::Completed),
            MediaEvent::Connected => self.media_connected(line, true),
            MediaEvent::Disconnected => self.media_connected(line, false),
            MediaEvent::Closed => self.media_closed(line),
            MediaEvent::Received => self.sound_received(line),
            MediaEvent::Digit(digit) => self.far_end_event(line, digit),
            MediaEvent::Tone(digit) => self.far_end_tone(line, digit),
            MediaEvent::Negotiated { telephone_events } => {
                let Some(call) = self.lines.call_mut(line) else { return };
                let before = call.telephone_events.replace(telephone_events);
                if let Some(call) = self.lines.call(line)
                    && before != Some(false)
                    && self.codes_unreachable(call)
                {
                    let call_id = call.id.0.clone();
                    self.fact(Fact::NoTelephoneEvents { call_id });
                }
            }
            MediaEvent::UnusableCandidates(count) => {
                if let Some(call) = self.lines.call_mut(line) {
                    call.unusable_candidates = call.unusable_candidates.saturating_add(count);
                }
            }
            // No request refuses a re-offer, and silence would leave the far end in doubt: the call ends.
            MediaEvent::Refused { code, words } => self.hang_up(line, Cause::new(code, words)),
            MediaEvent::Failed(words) if self.lines.call(line).is_some_and(Call::is_established) => {
                self.fact(Fact::Protocol { problem: format!("the peer connection of a call: {words}") });
                self.media_broke(line);
            }
            MediaEvent::Failed(words) => self.hang_up(line, Cause::new(500, format!("media: {words}"))),
        }
    }

    fn local_offer(&mut self, line: usize, sdp: String) {
        let Some(call) = self.lines.call_mut(line) else { return };
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
                let deadline = self.now.at + TRANSACTION_TIMEOUT;
                let transaction = self.send(line, Some(id), RequestBody::Update { jsep: Jsep::offer(sdp) });
                if let Some(call) = self.lines.call_mut(line) {
                    call.update =
                        transaction.map_or(Update::Idle, |transaction| Update::Sent { transaction, deadline });
                }
            }
            _ => {}
        }
    }

    fn local_answer(&mut self, line: usize, sdp: String, far_end_holds: bool) {
        let Some(call) = self.lines.call_mut(line) else { return };
        let resumed = std::mem::replace(&mut call.far_end_holds, far_end_holds) && !far_end_holds;
        match call.phase {
            Phase::Answering { sent: false, .. } => {
                call.description = Some(Jsep::answer(sdp));
                self.send_accept(line);
            }
            Phase::Answering { sent: true, .. } | Phase::Alerting { .. } | Phase::Established { .. } => {
                let id = call.id.clone();
                self.send(line, Some(id), RequestBody::Update { jsep: Jsep::answer(sdp) });
                self.negotiated(line);
                if resumed {
                    self.proof_starts_again(line);
                }
            }
            _ => {}
        }
    }

    /// Nothing is trickled before the server knows the call (`protocol.md`, "Order matters").
    fn local_candidate(&mut self, line: usize, candidate: Trickle) {
        let Some(call) = self.lines.call_mut(line) else { return };
        if call.trickle_open {
            self.send(line, None, RequestBody::IceTrickle { candidate });
        } else if call.candidates.len() < MAX_CANDIDATES {
            call.candidates.push_back(candidate);
        }
    }

    /// The server knows the call: what was gathered goes out, in order.
    pub(super) fn open_trickle(&mut self, line: usize) {
        let Some(call) = self.lines.call_mut(line) else { return };
        call.trickle_open = true;
        for candidate in std::mem::take(&mut call.candidates) {
            self.send(line, None, RequestBody::IceTrickle { candidate });
        }
    }

    /// A telephone event: from now on the sound of this call is not listened to, where the same digit may be heard.
    fn far_end_event(&mut self, line: usize, digit: char) {
        let now = self.now.at;
        let Some(call) = self.lines.call_mut(line) else { return };
        call.has_events = true;
        let heard = call.last_tone.take().is_some_and(|(tone, at)| tone == digit && now.since(at) < TONE_AND_EVENT);
        if !heard {
            self.far_end_digit(line, digit, false);
        }
    }

    fn far_end_tone(&mut self, line: usize, digit: char) {
        let now = self.now.at;
        let listening = self.lines.call(line).is_some_and(|call| !call.has_events);
        if listening
            && self.far_end_digit(line, digit, true)
            && let Some(call) = self.lines.call_mut(line)
        {
            call.last_tone = Some((digit, now));
        }
    }

    /// Gives whether the digit counts for any code.
    fn far_end_digit(&mut self, line: usize, digit: char, in_band: bool) -> bool {
        let Some(call) = self.lines.call(line).filter(|call| call.is_established()) else { return false };
        let (number, outgoing) = (call.number.clone(), call.direction == Direction::Outgoing);
        let config = std::sync::Arc::clone(&self.config);
        let listening = || config.dtmf.iter().filter(|rule| rule.in_band || !in_band);
        let admitted: Vec<_> = listening().filter(|rule| rule.admits(&number, outgoing)).collect();
        if listening().next().is_none() || in_band && admitted.is_empty() {
            return false;
        }
        let codes: Vec<&str> = admitted.iter().map(|rule| rule.digits.as_str()).collect();
        // Whoever may use no code is not told so: their attempts are as long as anybody's.
        let all: Vec<&str> = listening().map(|rule| rule.digits.as_str()).collect();
        let longest = dtmf::longest(if codes.is_empty() { &all } else { &codes });
        let now = self.now.at;
        let Some(entry) = self.lines.call_mut(line).map(|call| call.code_entry.digit(digit, &codes, longest, now))
        else {
            return false;
        };
        match entry {
            Entry::Incomplete => {}
            Entry::Wrong => self.wrong_code(line),
            Entry::Matched(_) if self.codes_are_off(line) => self.wrong_code(line),
            Entry::Matched(index) => {
                let call_id = self.lines.call(line).map(|call| call.id.0.clone()).unwrap_or_default();
                self.fact(Fact::Dtmf { call_id, number: number.clone(), matched: true, locked: false, locked_s: None });
                self.extend_talk(line);
                if let Some(rule) = admitted.get(index) {
                    let origin = Origin { source: Source::Station, by: By::Code { number } };
                    let _ = self.run_trigger(&rule.run, &origin);
                }
            }
        }
        true
    }

    pub(super) fn expire_digits(&mut self, line: usize) {
        let now = self.now.at;
        if self.lines.call_mut(line).and_then(|call| call.code_entry.expire(now)).is_some() {
            self.wrong_code(line);
        }
    }

    /// The call ends: digits that were typed in it were a guess, or they would be free.
    pub(super) fn abandon_digits(&mut self, line: usize) {
        if self.lines.call_mut(line).and_then(|call| call.code_entry.abandon()).is_some() {
            self.wrong_code(line);
        }
    }

    /// Codes of this call's far end are off: for the call, for the far end, or for everybody.
    fn codes_are_off(&self, line: usize) -> bool {
        let Some(call) = self.lines.call(line) else { return true };
        call.code_entry.is_locked() || self.access.is_locked(&call.number, self.now.at)
    }

    /// What is typed while codes are off looks like any wrong code, and makes nothing worse.
    fn wrong_code(&mut self, line: usize) {
        let off = self.codes_are_off(line);
        let now = self.now.at;
        let config = std::sync::Arc::clone(&self.config);
        let Some(call) = self.lines.call_mut(line) else { return };
        let (call_id, number, outgoing) =
            (call.id.0.clone(), call.number.clone(), call.direction == Direction::Outgoing);
        let mut locked = None;
        if !off {
            call.code_entry.wrong_codes += 1;
            let could_match = config.dtmf.iter().any(|rule| rule.admits(&number, outgoing));
            locked = self.access.wrong(&number, could_match, &config.access, now);
        }
        let locked_s = locked.map(|lock| lock.as_secs());
        self.fact(Fact::Dtmf { call_id, number, matched: false, locked: self.codes_are_off(line), locked_s });
    }
}
