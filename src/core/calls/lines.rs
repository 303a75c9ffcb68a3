//! The lines of the session, and which of them a new call takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::id::HuntId;
use crate::config::{Line, LineChoice};
use crate::core::api::MediaId;
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::signaling::CallId;

/// For this long after a call, the media server may still be cleaning up the line (docs/workarounds.md, "janus: a line
/// is busy for a moment after a hangup"). It is ready earlier if it sends `ice_hangup` (docs/protocol.md, "Order of
/// messages").
const COOLING: Duration = Duration::from_millis(1500);

/// One line of the session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Slot {
    call: Option<Call>,
    /// Until then the media server may still be cleaning up after the last call: the line "cools".
    cooling_until: Option<Time>,
}

/// All lines of the session that the station uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lines {
    slots: Vec<Slot>,
    configured: u32,
    last_used: usize,
}

impl Lines {
    pub(super) fn new(configured: u32) -> Self {
        let configured = configured.max(1);
        let slots = vec![Slot::default(); usize::try_from(configured).unwrap_or(1)];
        Self { last_used: slots.len() - 1, slots, configured }
    }

    /// Uses as many lines as the server has, at most the configured number. Lines that have a call stay.
    pub(super) fn resize(&mut self, server_lines: u32) {
        let wanted = usize::try_from(server_lines.min(self.configured)).unwrap_or(0).max(1);
        let busy = self.slots.iter().rposition(|slot| slot.call.is_some()).map_or(0, |last| last + 1);
        self.slots.resize(wanted.max(busy), Slot::default());
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The numbers of the lines that there are now.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Line> + Clone + use<> {
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).map(Line)
    }

    pub(super) fn has(&self, line: Line) -> bool {
        line.index() < self.slots.len()
    }

    pub(super) fn is_cooling(&self, line: Line, now: Time) -> bool {
        self.slots.get(line.index()).and_then(|slot| slot.cooling_until).is_some_and(|until| now < until)
    }

    pub(super) fn cool_until(&mut self, line: Line, until: Time) {
        if let Some(slot) = self.slots.get_mut(line.index()) {
            slot.cooling_until = Some(until);
        }
    }

    pub(super) fn end_cooling(&mut self, line: Line) {
        if let Some(slot) = self.slots.get_mut(line.index()) {
            slot.cooling_until = None;
        }
    }

    pub(super) fn call(&self, line: Line) -> Option<&Call> {
        self.slots.get(line.index())?.call.as_ref()
    }

    pub(super) fn call_mut(&mut self, line: Line) -> Option<&mut Call> {
        self.slots.get_mut(line.index())?.call.as_mut()
    }

    /// All calls, with their lines.
    pub(super) fn calls(&self) -> impl Iterator<Item = (Line, &Call)> {
        self.numbers().zip(&self.slots).filter_map(|(line, slot)| Some((line, slot.call.as_ref()?)))
    }

    pub(super) fn find(&self, call_id: &CallId) -> Option<Line> {
        self.calls().find(|(_, call)| call.id == *call_id).map(|(line, _)| line)
    }

    pub(super) fn with_media(&self, media: MediaId) -> Option<Line> {
        self.calls().find(|(_, call)| call.media == Some(media)).map(|(line, _)| line)
    }

    pub(super) fn of_hunt(&self, hunt: HuntId) -> Vec<Line> {
        self.calls().filter(|(_, call)| call.hunt == Some(hunt)).map(|(line, _)| line).collect()
    }

    /// The calls that are not ending, with their lines.
    pub(super) fn active(&self) -> impl Iterator<Item = (Line, &Call)> {
        self.calls().filter(|(_, call)| !call.is_ending())
    }

    /// An idle line. Lines take turns, but a line that cools is the last choice.
    pub(super) fn choose(&self, choice: LineChoice, now: Time) -> Option<Line> {
        let idle = |line: &Line| self.slots.get(line.index()).is_some_and(|slot| slot.call.is_none());
        match choice {
            LineChoice::Number(line) => Some(line).filter(idle),
            LineChoice::Any => {
                let after_last = self.numbers().cycle().skip(self.last_used + 1).take(self.slots.len());
                let mut candidates: Vec<Line> = after_last.filter(idle).collect();
                candidates.sort_by_key(|line| self.is_cooling(*line, now));
                candidates.first().copied()
            }
        }
    }

    pub(super) fn put(&mut self, line: Line, call: Call) {
        let index = line.index();
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Slot::default());
        }
        self.last_used = index;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.call = Some(call);
        }
    }

    /// Removes the call from its line. The line cools from now on if the server knew the call.
    pub(super) fn take(&mut self, line: Line, now: Time) -> Option<Call> {
        let slot = self.slots.get_mut(line.index())?;
        let call = slot.call.take()?;
        slot.cooling_until = call.is_known_to_server().then(|| now + COOLING);
        Some(call)
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let calls = self.slots.iter().filter_map(|slot| slot.call.as_ref()).flat_map(Call::deadlines);
        let cooling = self.slots.iter().filter_map(|slot| slot.cooling_until);
        calls.chain(cooling.map(|at| Deadline::new(at, DeadlineReason::LineCooling)))
    }

    /// Ends the cooling of the lines whose time is over.
    pub(super) fn settle(&mut self, now: Time) {
        for slot in &mut self.slots {
            if slot.cooling_until.is_some_and(|until| now >= until) {
                slot.cooling_until = None;
            }
        }
    }
}
