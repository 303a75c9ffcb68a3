//! Keypads and card readers: what is typed, and what it means.
//!
//! An entry is whole with Enter. The adapter finds out whose code it is, because that takes a while; until then the
//! reader takes no other entry.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::{Access, Typist};
use super::api::{By, Effect, Fact, Origin, ReaderKey, ReaderStatus, Source};
use super::context::Context;
use super::deadline::{Deadline, DeadlineReason};
use super::time::Time;
use crate::code_hash::{MAX_CODE, MIN_CODE};
use crate::config::{
    Action, CallAction, Code, CodeIndex, Config, LineChoice, Reader, ReaderIndex, ReaderKind, Sound, Trigger, is_number,
};
use crate::mutant::{Mutant, mutant};
use crate::secret::DoorCode;

/// The most characters of an entry. A longer one is wrong.
const MAX_ENTRY: usize = MAX_CODE;
/// After a pause of this length at a keypad, what was typed so far is forgotten.
const KEYPAD_PAUSE: Duration = Duration::from_secs(10);
/// A card comes in one burst.
const CARD_PAUSE: Duration = Duration::from_secs(2);
/// An answer of the adapter that takes longer than this does not come.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// All readers, in the order of the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Readers {
    states: Vec<ReaderState>,
    last_check: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ReaderState {
    fault: Option<String>,
    typed: DoorCode,
    /// More was typed than an entry may have.
    is_too_long: bool,
    last_key_at: Option<Time>,
    checking: Option<Check>,
}

/// An entry that the adapter checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Check {
    id: u32,
    typed: DoorCode,
    since: Time,
}

/// What is to be done because of an entry.
pub(super) type Opened = (Trigger, Origin);

impl Readers {
    pub(super) fn new(config: &Config) -> Self {
        Self { states: vec![ReaderState::default(); config.readers.len()], last_check: 0 }
    }

    /// The configuration has changed. Entries that are being checked were typed for the old one.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.states.resize(config.readers.len(), ReaderState::default());
        self.states.iter_mut().for_each(ReaderState::forget);
        self.states.iter_mut().for_each(|state| state.checking = None);
    }

    /// A reader cannot be used, or can be used again. What was typed is forgotten.
    pub(super) fn fault(&mut self, ReaderIndex(index): ReaderIndex, fault: Option<String>, cx: &mut Context) {
        let Some(state) = self.states.get_mut(index) else { return };
        if !mutant(Mutant::HalfCodeSurvives) {
            state.forget();
        }
        let changed = state.fault.is_some() != fault.is_some();
        state.fault.clone_from(&fault);
        if changed && let Some(reader) = cx.config.readers.get(index) {
            let reader = reader.name.clone();
            cx.fact(Fact::Reader { reader, fault });
        }
    }

    pub(super) fn has_fault(&self) -> bool {
        self.states.iter().any(|state| state.fault.is_some())
    }

    /// A key was pressed. Returns what is to be done, if the entry needs no check.
    pub(super) fn key(
        &mut self,
        index: ReaderIndex,
        key: ReaderKey,
        access: &mut Access,
        cx: &mut Context,
    ) -> Option<Opened> {
        let config = std::sync::Arc::clone(&cx.config);
        let reader = config.readers.get(index.0)?;
        let now = cx.now.at;
        let state = self.states.get_mut(index.0)?;
        if reader.kind == ReaderKind::Keypad {
            cx.play(Sound::Key, false);
        }
        match key {
            ReaderKey::Symbol(symbol) => {
                state.last_key_at = Some(now);
                state.is_too_long |= state.typed.len() >= MAX_ENTRY;
                if !state.is_too_long {
                    state.typed.push(symbol);
                }
                None
            }
            ReaderKey::Clear => {
                state.forget();
                None
            }
            ReaderKey::Enter => {
                let (typed, is_too_long) = (state.typed.clone(), state.is_too_long);
                state.forget();
                if typed.is_empty() || state.checking.is_some() {
                    return None;
                }
                let codes = codes_at(index, &config);
                if is_too_long || codes.is_empty() {
                    let typed = if is_too_long { DoorCode::default() } else { typed };
                    return decide(index, reader, &typed, &[], access, cx);
                }
                self.last_check = self.last_check.wrapping_add(1);
                let check = self.last_check;
                state.checking = Some(Check { id: check, typed: typed.clone(), since: now });
                cx.push(Effect::CheckCode { check, typed, codes });
                None
            }
        }
    }

    /// The adapter has found these codes. Returns what is to be done.
    pub(super) fn checked(
        &mut self,
        check: u32,
        matched: &[CodeIndex],
        access: &mut Access,
        cx: &mut Context,
    ) -> Option<Opened> {
        let config = std::sync::Arc::clone(&cx.config);
        let is_this = |state: &ReaderState| state.checking.as_ref().is_some_and(|one| one.id == check);
        let index = self.states.iter().position(is_this)?;
        let Check { typed, .. } = self.states.get_mut(index)?.checking.take()?;
        decide(ReaderIndex(index), config.readers.get(index)?, &typed, matched, access, cx)
    }

    /// Forgets what nobody goes on typing, and checks that are never answered.
    pub(super) fn run_deadlines(&mut self, config: &Config, now: Time) {
        for (reader, state) in config.readers.iter().zip(&mut self.states) {
            if state.last_key_at.is_some_and(|at| now >= at + pause(reader)) {
                state.forget();
            }
            state.checking.take_if(|check| now >= check.since + CHECK_TIMEOUT);
        }
    }

    pub(super) fn next_deadline(&self, config: &Config) -> Option<Deadline> {
        let times = config.readers.iter().zip(&self.states).flat_map(|(reader, state)| {
            let forgotten = state.last_key_at.map(|at| at + pause(reader));
            let answered = state.checking.as_ref().map(|check| check.since + CHECK_TIMEOUT);
            [forgotten, answered]
        });
        Deadline::earliest(times.flatten().map(|at| Deadline::new(at, DeadlineReason::Reader)))
    }

    pub(super) fn status(&self, config: &Config, access: &Access, now: Time) -> Vec<ReaderStatus> {
        let all = config.readers.iter().zip(&self.states);
        let status = all.map(|(reader, state)| ReaderStatus {
            name: reader.name.clone(),
            fault: state.fault.clone(),
            locked_s: access.locked_until(Typist::Reader(&reader.name), now).map(|until| until.since(now).as_secs()),
        });
        status.collect()
    }
}

impl ReaderState {
    fn forget(&mut self) {
        self.typed.clear();
        self.is_too_long = false;
        self.last_key_at = None;
    }
}

fn pause(reader: &Reader) -> Duration {
    match reader.kind {
        ReaderKind::Keypad => KEYPAD_PAUSE,
        ReaderKind::Card => CARD_PAUSE,
    }
}

/// The codes that count at a reader.
fn codes_at(reader: ReaderIndex, config: &Config) -> Vec<CodeIndex> {
    let codes = config.codes.iter().enumerate().filter(|(_, code)| code.readers.contains(&reader));
    codes.map(|(index, _)| CodeIndex(index)).collect()
}

/// Decides what an entry leads to: a code that holds, a number to call, or nothing. While codes are off, a right one looks
/// like a wrong one.
fn decide(
    index: ReaderIndex,
    reader: &Reader,
    typed: &DoorCode,
    matched: &[CodeIndex],
    access: &mut Access,
    cx: &mut Context,
) -> Option<Opened> {
    let config = std::sync::Arc::clone(&cx.config);
    let (now, typist) = (cx.now.at, Typist::Reader(&reader.name));
    let is_locked = access.is_locked(typist, now) && !mutant(Mutant::CodesWhileLocked);
    let mut codes = matched.iter().filter_map(|CodeIndex(index)| config.codes.get(*index)).filter(|_| !is_locked);
    let moment = cx.moment();
    let first: Option<&Code> = codes.clone().next();
    let fact = |code: Option<&Code>, accepted, locked, locked_s| Fact::Code {
        reader: reader.name.clone(),
        code: code.map(|code| code.name.clone()),
        accepted,
        locked,
        locked_s,
    };
    if let Some(code) = codes.find(|code| code.holds(moment)) {
        cx.fact(fact(Some(code), true, false, None));
        cx.play(Sound::Accepted, false);
        let by = By::Holder { code: code.name.clone(), reader: reader.name.clone() };
        return Some((code.run.clone(), Origin { source: Source::Reader(index), by }));
    }
    if first.is_some() {
        cx.fact(fact(first, false, false, None));
        cx.play(Sound::Refused, false);
        return None;
    }
    // An entry that may be a guess at a code is one, also where it is a number to call.
    let is_guess = typed.len() >= MIN_CODE && !codes_at(index, &config).is_empty();
    let may_call = is_number(typed) && reader.dial.iter().any(|pattern| pattern.matches(typed));
    if may_call && !(is_guess && is_locked) {
        if is_guess && let Some(lock) = access.wrong(typist, true, &config.access, now) {
            cx.fact(fact(None, false, true, Some(lock.as_secs())));
        }
        let call = CallAction::to(typed.as_str().into(), LineChoice::Any, None);
        let by = By::Typist { reader: reader.name.clone() };
        return Some((Trigger::of(Action::Call(call)), Origin { source: Source::Reader(index), by }));
    }
    let is_free = is_locked || mutant(Mutant::WrongCodesAreFree);
    let locked = if is_free { None } else { access.wrong(typist, true, &config.access, now) };
    cx.fact(fact(None, false, access.is_locked(typist, now), locked.map(|lock| lock.as_secs())));
    cx.play(Sound::Refused, false);
    None
}
