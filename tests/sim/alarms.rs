//! An alarm that was raised reaches a human or is still trying, whatever happens, and is announced as such. It is judged
//! from the button, the lamp, the calls to its numbers, and the digits that people type in them.

use std::collections::BTreeSet;

use callbox::core::{AlarmState, Drive, Fact};
use callbox::signaling::CallId;

/// The longest pause between two rounds, and what a slow network adds to it.
const LONGEST_PAUSE_MS: u64 = 120_000 + 15_000;
/// The lamp shows an alarm this soon after the press, and after a start.
const SHOWN_MS: u64 = 1_000;

/// Whether an alarm calls this number.
pub fn is_of_alarm(number: &str) -> bool {
    number.starts_with("11")
}

/// What is known of the alarm, over all processes.
#[derive(Debug, Clone, Default)]
pub struct Alarms {
    /// Somebody is in trouble, and nobody has confirmed it yet: since when.
    pending_since: Option<u64>,
    /// Calls of the alarm that are on.
    calls: BTreeSet<CallId>,
    /// Those that a human has confirmed.
    confirmed: BTreeSet<CallId>,
    /// When one of them was last on, or could not be.
    tried_at: u64,
    /// A human has confirmed the newest alarm, and nothing has raised it again.
    is_over: bool,
    lamp: Drive,
    started_at: u64,
}

impl Alarms {
    /// Whether a call belongs to the alarm.
    pub fn has(&self, call_id: &CallId) -> bool {
        self.calls.contains(call_id)
    }

    /// Whether somebody is in trouble, and nobody has confirmed it yet.
    pub fn is_pending(&self) -> bool {
        self.pending_since.is_some()
    }

    /// The process has died: its calls and its lamp are off.
    pub fn died(&mut self) {
        self.calls.clear();
        self.lamp = Drive::Off;
        // Whoever was in a call of the alarm has lost it, so the station may try again.
        self.is_over = false;
    }

    pub fn started(&mut self, now: u64) {
        self.started_at = now;
    }

    pub fn lamp(&mut self, drive: Drive) {
        self.lamp = drive;
    }

    /// The station calls a number of the alarm. Says what is wrong with that.
    pub fn dials(&mut self, now: u64, call_id: &CallId) -> Result<(), String> {
        self.calls.insert(call_id.clone());
        self.tried_at = now;
        if self.is_over { Err("calls go on although a human has confirmed".into()) } else { Ok(()) }
    }

    pub fn fact(&mut self, now: u64, fact: &Fact) {
        match fact {
            // Somebody hears whoever presses already.
            Fact::Press { button, .. } if button == "help" && !self.calls.is_disjoint(&self.confirmed) => {}
            Fact::Press { button, .. } if button == "help" => {
                self.pending_since.get_or_insert(now);
                self.tried_at = now;
                self.is_over = false;
            }
            // A call that lost its media is tried again by the station itself.
            Fact::Alarm { state: AlarmState::Raised, .. } => self.is_over = false,
            _ => {}
        }
    }

    /// A call of the alarm is over.
    pub fn ended(&mut self, now: u64, call_id: &CallId) {
        self.confirmed.remove(call_id);
        if self.calls.remove(call_id) {
            self.tried_at = now;
        }
    }

    /// A call of the alarm is on, also one that the previous process made.
    pub fn is_on(&mut self, call_id: &CallId) {
        self.calls.insert(call_id.clone());
    }

    /// A human has typed the digit in a call of the alarm that is up.
    pub fn confirmed(&mut self, call_id: Option<&CallId>) {
        self.confirmed.extend(call_id.cloned());
        self.is_over = self.pending_since.take().is_some();
    }

    /// To be called after every input. `cannot_try_until`: until then the network or the server is not well.
    pub fn wrong(&mut self, now: u64, cannot_try_until: u64) -> Result<(), String> {
        let Some(since) = self.pending_since else { return Ok(()) };
        let shown_by = since.max(self.started_at) + SHOWN_MS;
        if now > shown_by && self.lamp != Drive::On {
            return Err("nobody has confirmed the alarm, and the lamp does not show it".into());
        }
        if !self.calls.is_empty() {
            self.tried_at = now;
        }
        let from = self.tried_at.max(cannot_try_until).max(self.started_at);
        if now > from + LONGEST_PAUSE_MS {
            return Err(format!("nobody has confirmed it, and nobody was called for {} s", (now - from) / 1000));
        }
        Ok(())
    }
}
