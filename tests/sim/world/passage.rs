//! The watched door, and those who go through it.

use callbox::core::Input;

use super::World;
use super::agenda::Happening;
use crate::passages::{CONTACT, EXIT};
use crate::plan::{Passage, between};

/// How long the exit button is held, unless it is jammed.
const EXIT_HELD_MS: u64 = 300;
const EXIT_JAMMED_MS: u64 = 30_000;

impl World {
    /// Somebody goes through the door, unless somebody else is on the way already.
    pub(super) fn passage(&mut self, passage: Passage) {
        if self.now < self.passage_ends {
            return;
        }
        let mut exit_is_up_at = self.now;
        if passage.exit_ms.is_some() {
            self.input_after(0, Input::Edge { pin: EXIT, active: true });
            let held_ms = if self.chance(8) { EXIT_JAMMED_MS } else { EXIT_HELD_MS };
            exit_is_up_at += held_ms;
            self.input_after(held_ms, Input::Edge { pin: EXIT, active: false });
        }
        let mut after_ms = passage.exit_ms.unwrap_or(0);
        for _ in 0..passage.bounces {
            self.after(after_ms, Happening::Contact(true));
            self.after(after_ms + 1, Happening::Contact(false));
            after_ms += 3;
        }
        self.after(after_ms, Happening::Contact(true));
        after_ms += passage.open_ms;
        self.after(after_ms, Happening::Contact(false));
        let (swings, swing_ms) = passage.swings;
        for _ in 0..swings {
            self.after(after_ms + swing_ms, Happening::Contact(true));
            after_ms += 2 * swing_ms;
            self.after(after_ms, Happening::Contact(false));
        }
        self.passage_ends = exit_is_up_at.max(self.now + after_ms) + 2_000;
    }

    /// The strike buzzes, and most people push then.
    pub(super) fn strike_buzzes(&mut self) {
        if !self.chance(4) {
            let open_ms = between(&mut self.random, 1_000, 90_000);
            let waits_ms = between(&mut self.random, 200, 12_000);
            let swings = (self.random.below(3), between(&mut self.random, 50, 800));
            self.after(waits_ms, Happening::Passage(Passage { exit_ms: None, open_ms, bounces: 1, swings }));
        }
    }

    pub(super) fn contact(&mut self, open: bool) {
        self.door_is_open = open;
        self.feed(Input::Edge { pin: CONTACT, active: open });
    }

    /// The pin of the contact is read when the process starts.
    pub(super) fn read_contact(&mut self) {
        self.feed(Input::Level { pin: CONTACT, active: self.door_is_open, debounced: false });
    }
}
