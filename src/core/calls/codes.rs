//! Door codes that the far end types during a call (docs/configuration.md, "`[[dtmf]]`").

use std::sync::Arc;

use super::call::Call;
use super::code_entry::{AcceptedCode, Entry, longest};
use super::control::CallControl;
use crate::config::{Config, Line};
use crate::core::access::Typist;
use crate::core::api::{Direction, Fact};
use crate::secret::DtmfDigit;

impl CallControl<'_> {
    /// A digit arrived as a telephone event.
    pub(super) fn far_end_event(&mut self, line: Line, digit: DtmfDigit) {
        let now = self.cx.now.at;
        if self.call_mut(line).is_some_and(|call| call.digits.event(digit, now)) {
            self.far_end_digit(line, digit, false);
        }
    }

    pub(super) fn far_end_tone(&mut self, line: Line, digit: DtmfDigit) {
        let now = self.cx.now.at;
        let counts = self.call(line).is_some_and(|call| call.digits.tones_count());
        if counts
            && self.far_end_digit(line, digit, true)
            && let Some(call) = self.call_mut(line)
        {
            call.digits.note_tone(digit, now);
        }
    }

    /// Returns whether the digit counts for any code.
    fn far_end_digit(&mut self, line: Line, digit: DtmfDigit, in_band: bool) -> bool {
        if self.confirming_digit(line, digit) {
            return true;
        }
        let Some(call) = self.call(line).filter(|call| call.is_established()) else { return false };
        let (number, outgoing) = (call.number.clone(), call.direction == Direction::Outgoing);
        let config = Arc::clone(&self.cx.config);
        let listening = || config.dtmf.iter().enumerate().filter(|(_, rule)| rule.in_band || !in_band);
        let admitted: Vec<_> = listening().filter(|(_, rule)| rule.admits(&number, outgoing)).collect();
        if listening().next().is_none() || in_band && admitted.is_empty() {
            return false;
        }
        let codes: Vec<&str> = admitted.iter().map(|(_, rule)| rule.digits.as_str()).collect();
        // A far end that may use no code must not notice that. So its attempts have the same length as others.
        let all: Vec<&str> = listening().map(|(_, rule)| rule.digits.as_str()).collect();
        let longest = longest(if codes.is_empty() { &all } else { &codes });
        let now = self.cx.now.at;
        let Some(entry) = self.call_mut(line).map(|call| call.code_entry.digit(digit, &codes, longest, now)) else {
            return false;
        };
        match entry {
            Entry::Incomplete => {}
            Entry::Wrong => self.wrong_code(line),
            Entry::Matched(_) if self.codes_are_off(line) => self.wrong_code(line),
            Entry::Matched(index) => {
                let call_id = self.call(line).map(|call| call.id.0.clone()).unwrap_or_default();
                self.cx.fact(Fact::Dtmf {
                    call_id,
                    number: number.clone(),
                    matched: true,
                    locked: false,
                    locked_s: None,
                });
                self.extend_talk(line);
                if let Some((rule, _)) = admitted.get(index) {
                    self.calls.accepted_codes.push(AcceptedCode { rule: *rule, number });
                }
            }
        }
        true
    }

    pub(super) fn expire_digits(&mut self, line: Line) {
        let now = self.cx.now.at;
        if self.call_mut(line).and_then(|call| call.code_entry.expire(now)).is_some() {
            self.wrong_code(line);
        }
    }

    /// The call ends. Digits that do not form a code yet count as a wrong code. Otherwise such guesses would cost
    /// nothing.
    pub(super) fn abandon_digits(&mut self, line: Line) {
        if self.call_mut(line).and_then(|call| call.code_entry.abandon()).is_some() {
            self.wrong_code(line);
        }
    }

    /// Whether codes of this call are off: for the call, for its far end, or for everybody.
    fn codes_are_off(&self, line: Line) -> bool {
        let Some(call) = self.call(line) else { return true };
        call.code_entry.is_locked() || self.access.is_locked(Typist::FarEnd(&call.number), self.cx.now.at)
    }

    /// Reports a wrong code, and counts it unless codes are off. While they are off, even a right code looks like a
    /// wrong one, and it does not lengthen the lock.
    fn wrong_code(&mut self, line: Line) {
        let off = self.codes_are_off(line);
        let now = self.cx.now.at;
        let config = Arc::clone(&self.cx.config);
        let Some(call) = self.call_mut(line) else { return };
        let (call_id, number, outgoing) =
            (call.id.0.clone(), call.number.clone(), call.direction == Direction::Outgoing);
        let mut locked = None;
        if !off {
            call.code_entry.wrong_codes += 1;
            let could_match = config.dtmf.iter().any(|rule| rule.admits(&number, outgoing));
            locked = self.access.wrong(Typist::FarEnd(&number), could_match, &config.access, now);
        }
        let locked_s = locked.map(|lock| lock.as_secs());
        self.cx.fact(Fact::Dtmf { call_id, number, matched: false, locked: self.codes_are_off(line), locked_s });
    }

    /// The descriptions of both sides now say whether digits come as telephone events (RFC 4733).
    pub(super) fn telephone_events_negotiated(&mut self, line: Line, telephone_events: bool) {
        let Some(call) = self.call_mut(line) else { return };
        let before = call.digits.negotiated(telephone_events);
        if let Some(call) = self.call(line)
            && before != Some(false)
            && codes_unreachable(call, &self.cx.config)
        {
            let call_id = call.id.0.clone();
            self.cx.fact(Fact::NoTelephoneEvents { call_id });
        }
    }

    /// Removes and returns the codes that were accepted.
    pub(in crate::core) fn take_accepted_codes(&mut self) -> Vec<AcceptedCode> {
        std::mem::take(&mut self.calls.accepted_codes)
    }
}

/// Whether no digit of this call can reach the station although codes are configured: the call has no telephone events,
/// and no code has `in_band`.
pub(super) fn codes_unreachable(call: &Call, config: &Config) -> bool {
    call.digits.telephone_events() == Some(false)
        && !config.dtmf.is_empty()
        && !config.dtmf.iter().any(|code| code.in_band)
}
