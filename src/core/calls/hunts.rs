//! All hunts.

use serde::{Deserialize, Serialize};

use super::hunt::{Hunt, Wait};
use super::id::HuntId;
use crate::config::{LineChoice, Trigger};
use crate::core::api::{Cause, Origin, Source};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;

/// The most hunts at a time: more than one hand can start.
const MAX_HUNTS: usize = 16;

/// The hunts, in the order in which they started or last waited.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Hunts {
    hunts: Vec<Hunt>,
    last_id: u32,
}

impl Hunts {
    pub(super) fn new_id(&mut self) -> HuntId {
        self.last_id = self.last_id.wrapping_add(1);
        HuntId(self.last_id)
    }

    pub(super) fn add(&mut self, hunt: Hunt) {
        self.hunts.push(hunt);
    }

    pub(super) fn get(&self, id: HuntId) -> Option<&Hunt> {
        self.hunts.iter().find(|hunt| hunt.id == id)
    }

    pub(super) fn get_mut(&mut self, id: HuntId) -> Option<&mut Hunt> {
        self.hunts.iter_mut().find(|hunt| hunt.id == id)
    }

    pub(super) fn remove(&mut self, id: HuntId) -> Option<Hunt> {
        let index = self.hunts.iter().position(|hunt| hunt.id == id)?;
        Some(self.hunts.remove(index))
    }

    pub(super) fn count(&self) -> usize {
        self.hunts.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hunts.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.hunts.len() >= MAX_HUNTS
    }

    /// Whether no hunt is between two numbers, so that none is about to take a line.
    pub(super) fn are_over(&self) -> bool {
        self.hunts.iter().all(Hunt::is_over)
    }

    pub(super) fn any_waits(&self) -> bool {
        self.hunts.iter().any(|hunt| hunt.wait.is_some())
    }

    /// Whether this button or sensor has started one of them.
    pub(super) fn any_of(&self, source: Source) -> bool {
        self.hunts.iter().any(|hunt| hunt.origin.source == source)
    }

    /// Notes how a call of a hunt ended.
    pub(super) fn note(&mut self, id: HuntId, cause: Cause, has_rung: bool) {
        if let Some(hunt) = self.get_mut(id) {
            hunt.note(cause, has_rung);
        }
    }

    /// Somebody has answered a call of the hunt, which calls nobody else. Returns what is to be done now.
    pub(super) fn answered(&mut self, id: HuntId) -> Option<(Trigger, Origin)> {
        let hunt = self.get_mut(id)?;
        hunt.answered();
        Some((std::mem::take(&mut hunt.outcomes.answered), hunt.origin.clone()))
    }

    /// The hunt calls nobody else.
    pub(super) fn stop(&mut self, id: HuntId) {
        if let Some(hunt) = self.get_mut(id) {
            hunt.stop();
        }
    }

    /// No hunt calls anybody else but those that `go_on`. Others that wait are forgotten, and returned.
    pub(super) fn stop_others(&mut self, go_on: impl Fn(HuntId) -> bool) -> Vec<Hunt> {
        let forgotten = self.hunts.extract_if(.., |hunt| hunt.wait.is_some() && !go_on(hunt.id)).collect();
        self.hunts.iter_mut().filter(|hunt| !go_on(hunt.id)).for_each(Hunt::stop);
        forgotten
    }

    pub(super) fn any(&self, is_meant: impl Fn(&Hunt) -> bool) -> bool {
        self.hunts.iter().any(is_meant)
    }

    /// No hunt calls anybody else.
    pub(super) fn stop_all(&mut self) {
        self.hunts.iter_mut().for_each(Hunt::stop);
    }

    /// Forgets the hunts that wait, and have no call therefore.
    pub(super) fn forget_waiting(&mut self) {
        self.hunts.retain(|hunt| hunt.wait.is_none());
    }

    /// The hunts of this button or sensor call nobody else. Those that wait are forgotten.
    pub(super) fn give_up(&mut self, source: Source) {
        self.hunts.retain(|hunt| hunt.origin.source != source || hunt.wait.is_none());
        self.hunts.iter_mut().filter(|hunt| hunt.origin.source == source).for_each(Hunt::stop);
    }

    pub(super) fn waiting_for_session(&self) -> Vec<HuntId> {
        let waiting = self.hunts.iter().filter(|hunt| matches!(hunt.wait, Some(Wait::ForSession { .. })));
        waiting.map(|hunt| hunt.id).collect()
    }

    /// The hunts that wait for a line, each with the lines that it may use.
    pub(super) fn waiting_for_line(&self) -> Vec<(HuntId, LineChoice)> {
        let waiting = self.hunts.iter().filter(|hunt| matches!(hunt.wait, Some(Wait::ForLine { .. })));
        waiting.map(|hunt| (hunt.id, hunt.line)).collect()
    }

    /// The hunts that have waited for too long.
    pub(super) fn overdue(&self, now: Time) -> Vec<HuntId> {
        let overdue = self.hunts.iter().filter(|hunt| hunt.wait.is_some_and(|wait| now >= wait.until()));
        overdue.map(|hunt| hunt.id).collect()
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let waits = self.hunts.iter().filter_map(|hunt| hunt.wait);
        waits.map(|wait| Deadline::new(wait.until(), DeadlineReason::PressTooOld))
    }
}
