//! Announcements: what `play` plays, one after the other, and what becomes of it when there is a call.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::api::{By, Effect, Fact};
use super::context::Context;
use super::deadline::{Deadline, DeadlineReason};
use super::time::Time;
use crate::config::{InCall, PlayAction, PlayTo, Playable};

/// The most announcements that wait.
const MAX_WAITING: usize = 8;
/// The pause after each announcement, and before it is repeated.
const PAUSE: Duration = Duration::from_millis(500);
/// The pause in which a far end can say something before it hears again what it must confirm.
const PAUSE_TO_CONFIRM: Duration = Duration::from_millis(2500);
/// An announcement is given up if nobody can hear it for this long: the sound card does not work, or the far end is not
/// connected. Later it would surprise people.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is being played, and what waits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Announcements {
    waiting: VecDeque<Announcement>,
    current: Option<Current>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Announcement {
    play: PlayAction,
    by: By,
    since: Time,
}

/// The announcement that is being played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Current {
    announcement: Announcement,
    /// How many more times it is played.
    left: u32,
    /// When this time is over, with the pause after it.
    ends_at: Time,
    /// It began in a call.
    in_call: bool,
    /// It is repeated until the far end has confirmed.
    #[serde(default)]
    until_confirmed: bool,
}

/// Who could hear an announcement now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hearing {
    /// The sound card works.
    pub(super) card: bool,
    /// There is a call, or an attempt to make one.
    pub(super) any_call: bool,
    /// There is a far end that hears the station, or may hear it soon.
    pub(super) far_end: bool,
    /// A far end hears the station.
    pub(super) far_end_hears: bool,
    /// What a far end hears until it has confirmed a call, and who has caused that call.
    pub(super) say: Option<(Playable, By)>,
}

/// Whether an announcement may begin.
enum Chance {
    Now,
    Later,
    Never,
}

impl Announcements {
    /// Plays this after what is being played.
    pub(super) fn add(&mut self, play: PlayAction, by: &By, now: Time) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(Announcement { play, by: by.clone(), since: now });
        }
    }

    /// Plays this now. What is being played ends.
    pub(super) fn play_now(&mut self, play: PlayAction, by: &By, cx: &mut Context) {
        self.stop(cx);
        self.waiting.truncate(MAX_WAITING - 1);
        self.waiting.push_front(Announcement { play, by: by.clone(), since: cx.now.at });
    }

    /// Begins nothing more of what this has asked for. What is being played ends with the present repetition.
    pub(super) fn end_of(&mut self, by: &By) {
        self.waiting.retain(|one| one.by != *by);
        if let Some(current) = self.current.as_mut().filter(|current| current.announcement.by == *by) {
            current.left = 0;
        }
    }

    /// Plays nothing more.
    pub(super) fn clear(&mut self, cx: &mut Context) {
        self.waiting.clear();
        self.stop(cx);
    }

    /// Ends what is over or gives way, and begins what is next.
    pub(super) fn settle(&mut self, hearing: &Hearing, cx: &mut Context) {
        if self.say(hearing, cx) {
            return;
        }
        self.give_way(hearing, cx);
        if let Some(current) = self.current.take_if(|current| cx.now.at >= current.ends_at)
            && current.left > 0
        {
            self.begin(current.announcement, current.left, current.in_call, cx);
        }
        while self.current.is_none() {
            let now = cx.now.at;
            self.waiting.retain(|one| !matches!(one.chance(hearing, now), Chance::Never));
            let next = self.waiting.iter().position(|one| matches!(one.chance(hearing, now), Chance::Now));
            let Some(next) = next.and_then(|index| self.waiting.remove(index)) else { return };
            let by = next.by.clone();
            cx.fact(Fact::Play { sound: cx.config.name_of(next.play.what).to_owned(), to: next.play.to, by });
            let repeat = next.play.repeat;
            self.begin(next, repeat, hearing.any_call, cx);
        }
    }

    /// Repeats what a far end hears until it has confirmed, before everything else. Returns whether there is such a far
    /// end.
    fn say(&mut self, hearing: &Hearing, cx: &mut Context) -> bool {
        let is_said = self.current.as_ref().is_some_and(|current| current.until_confirmed);
        let Some((what, by)) = &hearing.say else {
            if is_said {
                self.stop(cx);
            }
            return false;
        };
        if is_said && self.playing() == Some(*what) {
            if let Some(current) = self.current.take_if(|current| cx.now.at >= current.ends_at) {
                self.begin_saying(current.announcement, cx);
            }
            return true;
        }
        self.stop(cx);
        cx.fact(Fact::Play { sound: cx.config.name_of(*what).to_owned(), to: PlayTo::Far, by: by.clone() });
        let play = PlayAction::once(*what, PlayTo::Far);
        self.begin_saying(Announcement { play, by: by.clone(), since: cx.now.at }, cx);
        true
    }

    fn begin_saying(&mut self, announcement: Announcement, cx: &mut Context) {
        self.begin(announcement, 1, true, cx);
        if let Some(current) = &mut self.current {
            current.until_confirmed = true;
            current.ends_at = current.ends_at + PAUSE_TO_CONFIRM;
        }
    }

    /// What is being played.
    pub(super) fn playing(&self) -> Option<Playable> {
        self.current.as_ref().map(|current| current.announcement.play.what)
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        let given_up =
            self.waiting.iter().filter(|one| one.play.in_call != InCall::Wait).map(|one| one.since + PATIENCE);
        // What waits for its turn is not given up.
        let at = self.current.as_ref().map_or_else(|| given_up.min(), |current| Some(current.ends_at));
        at.map(|at| Deadline::new(at, DeadlineReason::Announcement))
    }

    fn begin(&mut self, announcement: Announcement, left: u32, in_call: bool, cx: &mut Context) {
        let PlayAction { what, to, .. } = announcement.play;
        cx.push(Effect::Announce(Some((what, to))));
        let ends_at = cx.now.at + cx.config.length_of(what) + PAUSE;
        self.current =
            Some(Current { announcement, left: left.saturating_sub(1), ends_at, in_call, until_confirmed: false });
    }

    /// Ends what is being played if a call has begun, or if nobody hears it any more.
    fn give_way(&mut self, hearing: &Hearing, cx: &mut Context) {
        let Some(current) = &self.current else { return };
        let play = current.announcement.play;
        let a_call_begins = hearing.any_call && !current.in_call && play.in_call != InCall::Play;
        let nobody_hears = !play.to.is_near() && !hearing.far_end;
        if !a_call_begins && !nobody_hears {
            return;
        }
        let Some(Current { mut announcement, left, .. }) = self.stop(cx) else { return };
        if a_call_begins && play.in_call == InCall::Wait {
            announcement.play.repeat = left.saturating_add(1);
            self.waiting.push_front(announcement);
        }
    }

    fn stop(&mut self, cx: &mut Context) -> Option<Current> {
        let current = self.current.take()?;
        cx.push(Effect::Announce(None));
        Some(current)
    }
}

impl Announcement {
    fn chance(&self, hearing: &Hearing, now: Time) -> Chance {
        let PlayAction { to, in_call, .. } = self.play;
        if in_call == InCall::Wait && hearing.any_call {
            return Chance::Later;
        }
        let far = to.is_far() && hearing.far_end;
        if !far && !to.is_near() {
            return Chance::Never;
        }
        let is_heard = (!far || hearing.far_end_hears) && (!to.is_near() || hearing.card);
        match is_heard {
            true => Chance::Now,
            false if now < self.since + PATIENCE || in_call == InCall::Wait => Chance::Later,
            false => Chance::Never,
        }
    }
}
