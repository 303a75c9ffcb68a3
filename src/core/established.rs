//! Calls that are up: talk time, hold, and the deadlines of every state.

use std::time::Duration;

use crate::config::{CallMode, Sound};
use crate::signaling::RequestBody;

use super::call::{Call, Phase, TALK_WARNING, Update};
use super::cause::Cause;
use super::effect::MediaCommand;
use super::proof::Proof;
use super::station::Station;
use super::time::Time;

/// A talk that is lengthened again and again is never longer than so many times `max_talk_s`.
const MAX_TALKS: u32 = 3;

/// After a far end begins to hear the place the loudspeaker has the volume of [`Station::sign_volume`] at least for so
/// long: a card takes its time to open.
const SIGN_LASTS: Duration = Duration::from_secs(3);
/// Where the far end only listens.
const LISTEN_SIGN_VOLUME: u8 = 50;
/// Where both talk.
const TALK_SIGN_VOLUME: u8 = 30;

impl Station {
    /// The call is up on both sides.
    pub(super) fn establish(&mut self, line: usize) {
        let now = self.now.at;
        let max_talk = self.config.calls.max_talk;
        let Some(call) = self.lines.call_mut(line) else { return };
        if call.is_established() || call.is_ending() {
            return;
        }
        call.established_at = Some(now);
        call.answered_by_far_end = true;
        call.phase = Phase::Established {
            talk_ends_at: now + max_talk,
            // A talk that is shorter than its warning has none.
            warned: max_talk <= TALK_WARNING,
            proof: Proof::new(call.connected, now),
        };
        let hunt = call.hunt;
        self.sign();
        if let Some(id) = hunt {
            if let Some(hunt) = self.hunts.iter_mut().find(|hunt| hunt.id == id) {
                hunt.answered = true;
            }
            for other in self.lines.of_hunt(id) {
                if other != line {
                    self.hang_up(other, Cause::new(200, "answered elsewhere"));
                }
            }
        }
    }

    /// Whoever is there hears that somebody begins to hear them, whatever the volume is.
    fn sign(&mut self) {
        self.play(Sound::Answer, false);
        self.sign_until = Some(self.now.at + SIGN_LASTS);
    }

    /// The card has come, and with it the sound of calls that are up: what was signed before was not heard.
    pub(super) fn sign_again(&mut self) {
        if self.lines.active().any(|(_, call)| call.is_established()) {
            self.sign();
        }
    }

    /// The least volume now.
    pub(super) fn sign_volume(&self) -> u8 {
        if self.sign_until.is_none_or(|until| self.now.at >= until) {
            return 0;
        }
        let established = self.lines.active().map(|(_, call)| call).filter(|call| call.is_established());
        let volumes = established.map(|call| match call.mode {
            CallMode::Listen => LISTEN_SIGN_VOLUME,
            CallMode::Talk => TALK_SIGN_VOLUME,
            // The microphone is closed.
            CallMode::Announce => 0,
        });
        volumes.max().unwrap_or(0)
    }

    /// Stops the sound of a call, by command or because another one comes to the foreground.
    pub(super) fn hold(&mut self, line: usize, for_other: bool) -> bool {
        let Some(call) = self.lines.call_mut(line) else { return false };
        if !call.is_established() || call.held {
            return false;
        }
        call.held = true;
        call.held_for_other = for_other;
        let id = call.id.clone();
        self.send(line, Some(id), RequestBody::Hold { direction: None });
        true
    }

    /// Takes a held call up again.
    pub(super) fn unhold(&mut self, line: usize) -> bool {
        let Some(call) = self.lines.call_mut(line) else { return false };
        if !call.is_established() || !call.held {
            return false;
        }
        call.held = false;
        call.held_for_other = false;
        let id = call.id.clone();
        self.send(line, Some(id), RequestBody::Unhold {});
        self.proof_starts_again(line);
        true
    }

    /// A call ended on `line`: a call that waited for it comes back.
    pub(super) fn resume_after(&mut self, line: usize) {
        let foreground = self.lines.active().any(|(_, call)| !call.held);
        if foreground || self.shutting_down {
            return;
        }
        let waiting =
            self.lines.calls().find(|(other, call)| *other != line && call.held_for_other).map(|(other, _)| other);
        if let Some(waiting) = waiting {
            self.unhold(waiting);
        }
    }

    /// A code of the far end was accepted: it lengthens the talk, but not without end.
    pub(super) fn extend_talk(&mut self, line: usize) {
        let now = self.now.at;
        let max_talk = self.config.calls.max_talk;
        let Some(call) = self.lines.call_mut(line) else { return };
        let last = call.established_at.unwrap_or(now) + max_talk.saturating_mul(MAX_TALKS);
        if let Phase::Established { talk_ends_at, warned, .. } = &mut call.phase {
            let ends_at = (now + max_talk).min(last).max(*talk_ends_at);
            *warned &= ends_at == *talk_ends_at || max_talk <= TALK_WARNING;
            *talk_ends_at = ends_at;
        }
    }

    /// Does what is due on every line.
    pub(super) fn run_call_deadlines(&mut self) {
        let now = self.now.at;
        self.lines.settle(now);
        for line in 0..self.lines.len() {
            self.try_dial(line);
            let due = self.lines.call(line).is_some_and(|call| now >= call.next_deadline());
            if due {
                self.run_deadlines_of(line);
            }
        }
    }

    fn run_deadlines_of(&mut self, line: usize) {
        let now = self.now.at;
        let Some(call) = self.lines.call(line) else { return };
        match call.phase.clone() {
            Phase::Dialing { sent: false, deadline } if now >= deadline => {
                self.hang_up(line, Cause::new(503, "the call could not be sent to the server"));
            }
            Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. } if now >= deadline => {
                self.hang_up(line, Cause::new(480, "nobody answered"));
            }
            Phase::Incoming { answer_at: Some(at), .. } if now >= at => self.answer(line),
            Phase::Incoming { deadline, .. } if now >= deadline => {
                self.hang_up(line, Cause::new(480, "nobody answered here"));
            }
            Phase::Answering { deadline, .. } if now >= deadline => {
                self.hang_up(line, Cause::new(408, "the server did not confirm our answer"));
            }
            Phase::Established { talk_ends_at, warned, .. } => {
                self.run_talk_deadlines(line, talk_ends_at, warned);
                self.run_proof(line);
            }
            Phase::Ending { deadline, .. } if now >= deadline => {
                self.finish(line, Cause::new(408, "the server did not confirm our hangup"));
            }
            Phase::Ending { media_closes_at: Some(at), .. } if now >= at => self.close_media(line),
            _ => {}
        }
        self.run_update_deadline(line);
        self.expire_digits(line);
    }

    fn run_talk_deadlines(&mut self, line: usize, talk_ends_at: Time, warned: bool) {
        let now = self.now.at;
        if now >= talk_ends_at {
            self.hang_up(line, Cause::new(200, "the longest talk time is over"));
        } else if !warned && now >= talk_ends_at - TALK_WARNING {
            if let Some(Call { phase: Phase::Established { warned, .. }, .. }) = self.lines.call_mut(line) {
                *warned = true;
            }
            self.play(Sound::TalkWarning, true);
        }
    }

    /// A renegotiation of our own: when it may be tried again, or has taken too long.
    fn run_update_deadline(&mut self, line: usize) {
        let now = self.now.at;
        let Some(call) = self.lines.call_mut(line) else { return };
        let needed = matches!(&call.phase, Phase::Established { proof, .. } if proof.repairing().is_some());
        match call.update {
            Update::RetryAt(at) if now >= at => {
                call.update = Update::Idle;
                if needed {
                    self.restart_ice(line);
                }
            }
            // A repair has a deadline of its own.
            Update::Sent { deadline, .. } if now >= deadline => call.update = Update::Idle,
            _ => {}
        }
    }

    /// Renegotiates the media of a call with new ICE credentials.
    pub(super) fn restart_ice(&mut self, line: usize) {
        let Some(call) = self.lines.call_mut(line) else { return };
        let Some(media) = call.media else { return };
        if !call.is_established() || matches!(call.update, Update::Preparing | Update::Sent { .. }) {
            return;
        }
        call.update = Update::Preparing;
        self.push(super::effect::Effect::Media(media, MediaCommand::RestartIce));
    }
}
