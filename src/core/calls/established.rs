//! Established calls: the answer tone at their start, and the talk time.
//!
//! The answer tone is for people near the station. When a call comes up, they hear that somebody begins to hear them.
//! For this tone the loudspeaker has a least volume for a moment, even if it is turned down.

use std::time::Duration;

use super::call::{Call, Phase, TALK_WARNING};
use super::control::CallControl;
use super::state::Calls;
use crate::config::{CallMode, Line, Sound};
use crate::core::api::{By, Cause, Fact};
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};
use crate::signaling::sip_status;

/// Accepted codes lengthen the talk time, but never beyond this many times `max_talk_s`.
const MAX_TALKS: u32 = 3;
/// For this long after a call came up, the loudspeaker has at least the volume of [`Calls::answer_tone_volume`]. The
/// time is longer than the tone, because a card may take a moment to open.
const ANSWER_TONE_LASTS: Duration = Duration::from_secs(3);
/// The least volume of the answer tone if the far end only listens.
const LISTEN_TONE_VOLUME: u8 = 50;
/// The least volume of the answer tone if both sides talk.
const TALK_TONE_VOLUME: u8 = 30;

impl CallControl<'_> {
    /// The call is up on both sides.
    pub(super) fn establish(&mut self, line: Line) {
        let now = self.cx.now.at;
        let max_talk = self.cx.config.calls.max_talk;
        let Some(call) = self.call_mut(line) else { return };
        if call.is_established() || call.is_ending() {
            return;
        }
        call.established_at = Some(now);
        call.phase = Phase::Established {
            talk_ends_at: now + max_talk,
            // A talk time that is not longer than the warning has no warning.
            warned: max_talk <= TALK_WARNING,
            liveness: call.new_liveness(now),
        };
        let assurance = call.assurance;
        self.play_answer_tone();
        if assurance.confirm.is_none() || mutant(Mutant::MailboxConfirms) {
            self.taken(line);
        } else {
            self.begin_talk(line, assurance);
        }
        self.end_other_legs(line);
    }

    /// Changes in which directions sound flows: in the call of the far end that asks for it by a code, else in all
    /// calls that are up.
    pub(in crate::core) fn change_mode(&mut self, mode: CallMode, by: &By) {
        for line in self.calls.lines.numbers() {
            // Nobody takes the voice from a call of an alarm.
            let may_change = |call: &&mut Call| call.is_established() && call.mode != mode && !call.assurance.alarm;
            let Some(call) = self.call_mut(line).filter(may_change) else { continue };
            if matches!(by, By::Code { number } if *number != call.number) {
                continue;
            }
            // People here must hear when somebody begins to hear them, or to listen without being heard.
            let is_told = call.mode == CallMode::Announce || mode == CallMode::Listen;
            call.mode = mode;
            let call_id = call.id.0.clone();
            self.cx.fact(Fact::Talk { call_id, mode, by: by.clone() });
            if is_told {
                self.play_answer_tone();
            }
        }
    }

    /// Plays the answer tone.
    fn play_answer_tone(&mut self) {
        self.cx.play(Sound::Answer, false);
        self.calls.answer_tone_until = Some(self.cx.now.at + ANSWER_TONE_LASTS);
    }

    /// The sound card works now, and with it the sound of the calls that are up. Nobody heard an earlier answer tone,
    /// so it is played again.
    pub(in crate::core) fn answer_tone_again(&mut self) {
        if self.calls.any_established() {
            self.play_answer_tone();
        }
    }

    /// A code of the far end was accepted. It starts the talk time anew, up to a limit.
    pub(super) fn extend_talk(&mut self, line: Line) {
        let now = self.cx.now.at;
        let max_talk = self.cx.config.calls.max_talk;
        let Some(call) = self.call_mut(line) else { return };
        let last = call.established_at.unwrap_or(now) + max_talk.saturating_mul(MAX_TALKS);
        if let Phase::Established { talk_ends_at, warned, .. } = &mut call.phase {
            let ends_at = (now + max_talk).min(last).max(*talk_ends_at);
            *warned &= ends_at == *talk_ends_at || max_talk <= TALK_WARNING;
            *talk_ends_at = ends_at;
        }
    }

    pub(super) fn run_talk_deadlines(&mut self, line: Line, talk_ends_at: Time, warned: bool) {
        let now = self.cx.now.at;
        if now >= talk_ends_at {
            let is_taken = self.call(line).is_none_or(Call::is_taken);
            let why = if is_taken { "the longest talk time is over" } else { "nobody has confirmed the call" };
            self.hang_up(line, Cause::new(sip_status::OK, why));
        } else if !warned && now >= talk_ends_at - TALK_WARNING {
            if let Some(Call { phase: Phase::Established { warned, .. }, .. }) = self.call_mut(line) {
                *warned = true;
            }
            self.cx.play(Sound::TalkWarning, true);
        }
    }
}

impl Calls {
    /// The least volume of the loudspeaker at this time; 0 if no answer tone needs one.
    pub(in crate::core) fn answer_tone_volume(&self, now: Time) -> u8 {
        if self.answer_tone_until.is_none_or(|until| now >= until) {
            return 0;
        }
        let established = self.lines.active().map(|(_, call)| call).filter(|call| call.is_established());
        let volumes = established.map(|call| match call.mode {
            CallMode::Listen => LISTEN_TONE_VOLUME,
            CallMode::Talk => TALK_TONE_VOLUME,
            // The microphone is closed.
            CallMode::Announce => 0,
        });
        volumes.max().unwrap_or(0)
    }

    pub(in crate::core) fn settle_answer_tone(&mut self, now: Time) {
        self.answer_tone_until = self.answer_tone_until.filter(|until| now < *until);
    }
}
