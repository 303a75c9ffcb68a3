//! The lines of the session and which one a new call takes.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use crate::config::LineChoice;
use crate::signaling::CallId;

use super::call::{Call, HuntId};
use super::effect::MediaId;
use super::time::Time;

/// The media server may still be cleaning a line up for so long after a hangup, unless it says
/// `ice_hangup` before (`protocol.md`, "Order of messages").
const COOLING: Duration = Duration::from_millis(1500);

/// A telephone line of the session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) call: Option<Call>,
    pub(super) cooling_until: Option<Time>,
}

/// All lines of the session that the station uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lines {
    lines: Vec<Line>,
    configured: u32,
    last_used: usize,
}

impl Lines {
    pub(super) fn new(configured: u32) -> Self {
        let configured = configured.max(1);
        let lines = vec![Line::default(); usize::try_from(configured).unwrap_or(1)];
        Self { last_used: lines.len() - 1, lines, configured }
    }

    /// The server said how many lines there are; lines with a call stay.
    pub(super) fn resize(&mut self, server_lines: u32) {
        let wanted = usize::try_from(server_lines.min(self.configured)).unwrap_or(0).max(1);
        let busy = self.lines.iter().rposition(|line| line.call.is_some()).map_or(0, |last| last + 1);
        self.lines.resize(wanted.max(busy), Line::default());
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Line> {
        self.lines.get_mut(index)
    }

    pub(super) fn is_cooling(&self, index: usize, now: Time) -> bool {
        self.lines.get(index).and_then(|line| line.cooling_until).is_some_and(|until| now < until)
    }

    pub(super) fn call(&self, index: usize) -> Option<&Call> {
        self.lines.get(index)?.call.as_ref()
    }

    pub(super) fn call_mut(&mut self, index: usize) -> Option<&mut Call> {
        self.lines.get_mut(index)?.call.as_mut()
    }

    /// Calls with their lines.
    pub(super) fn calls(&self) -> impl Iterator<Item = (usize, &Call)> {
        self.lines.iter().enumerate().filter_map(|(index, line)| Some((index, line.call.as_ref()?)))
    }

    pub(super) fn find(&self, call_id: &CallId) -> Option<usize> {
        self.calls().find(|(_, call)| call.id == *call_id).map(|(index, _)| index)
    }

    pub(super) fn with_media(&self, media: MediaId) -> Option<usize> {
        self.calls().find(|(_, call)| call.media == Some(media)).map(|(index, _)| index)
    }

    pub(super) fn of_hunt(&self, hunt: HuntId) -> Vec<usize> {
        self.calls().filter(|(_, call)| call.hunt == Some(hunt)).map(|(index, _)| index).collect()
    }

    /// Calls that are neither ending nor gone.
    pub(super) fn active(&self) -> impl Iterator<Item = (usize, &Call)> {
        self.calls().filter(|(_, call)| !call.is_ending())
    }

    /// An idle line: lines take turns, and one that the media server has done with comes first.
    pub(super) fn choose(&self, choice: LineChoice, now: Time) -> Option<usize> {
        let idle = |index: &usize| self.lines.get(*index).is_some_and(|line| line.call.is_none());
        match choice {
            LineChoice::Number(number) => usize::try_from(number).ok().filter(idle),
            LineChoice::Any => {
                let turns = (1..=self.lines.len()).map(|step| (self.last_used + step) % self.lines.len());
                let mut candidates: Vec<usize> = turns.filter(idle).collect();
                candidates.sort_by_key(|index| self.is_cooling(*index, now));
                candidates.first().copied()
            }
        }
    }

    pub(super) fn put(&mut self, index: usize, call: Call) {
        if index >= self.lines.len() {
            self.lines.resize(index + 1, Line::default());
        }
        self.last_used = index;
        if let Some(line) = self.lines.get_mut(index) {
            line.call = Some(call);
        }
    }

    /// Takes the call off its line, which cools down from now on.
    pub(super) fn take(&mut self, index: usize, now: Time) -> Option<Call> {
        let line = self.lines.get_mut(index)?;
        let call = line.call.take()?;
        line.cooling_until = call.is_known_to_server().then(|| now + COOLING);
        Some(call)
    }

    pub(super) fn next_deadline(&self) -> impl Iterator<Item = Time> {
        let calls = self.lines.iter().filter_map(|line| line.call.as_ref()).map(Call::next_deadline);
        let cooling = self.lines.iter().filter_map(|line| line.cooling_until);
        calls.chain(cooling)
    }

    /// Ends the cooling of lines whose time is over.
    pub(super) fn settle(&mut self, now: Time) {
        for line in &mut self.lines {
            if line.cooling_until.is_some_and(|until| now >= until) {
                line.cooling_until = None;
            }
        }
    }
}
