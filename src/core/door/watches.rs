//! All watched doors: who has a right to open them, and what they have come to.

use super::Door;
use super::debounce::Debounce;
use super::watch::DoorChange;
use crate::config::{ButtonIndex, Config, DoorConfig, DoorIndex, OutputIndex, SensorIndex};
use crate::core::api::{By, DoorState, DoorStatus};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;

impl Door {
    /// A button was pressed. If it opens doors, they may be opened now. How long it is held makes no difference: a button
    /// that is jammed or taped down must not switch the watch off.
    pub(in crate::core) fn grant_exit(&mut self, button: ButtonIndex, by: &By, config: &Config, now: Time) {
        for (door, watch) in config.doors.iter().zip(&mut self.watches) {
            if door.exit.contains(&button) {
                watch.right(Some(by.clone()), door, now);
            }
        }
    }

    /// Buttons that have just gone down, by a finger.
    fn grant_exits(&mut self, config: &Config, now: Time) {
        let pressed =
            self.buttons.iter_mut().enumerate().filter_map(|(index, input)| input.take_down().then_some(index));
        for index in pressed.collect::<Vec<_>>() {
            let name = config.buttons.get(index).map(|button| button.name.clone()).unwrap_or_default();
            self.grant_exit(ButtonIndex(index), &By::Finger { button: name }, config, now);
        }
    }

    /// What the doors have come to by now.
    pub(in crate::core) fn settle_watches(&mut self, config: &Config, now: Time) -> Vec<(DoorIndex, DoorChange)> {
        self.grant_exits(config, now);
        let rights: Vec<Option<By>> = config.doors.iter().map(|door| self.right_to(door)).collect();
        let contacts: Vec<Option<bool>> = config.doors.iter().map(|door| self.contact_of(door)).collect();
        let doors = config.doors.iter().zip(&mut self.watches).zip(rights).zip(contacts).enumerate();
        doors
            .filter_map(|(index, (((door, watch), right), contact))| {
                watch.right(right, door, now);
                Some((DoorIndex(index), watch.update(contact, door, now)?))
            })
            .collect()
    }

    /// Who may open a door now, because of its relay.
    fn right_to(&self, door: &DoorConfig) -> Option<By> {
        door.opened_by.iter().find_map(|OutputIndex(index)| {
            self.outputs.get(*index).filter(|output| output.is_on()).map(|output| output.by())
        })
    }

    /// Whether the contact is open; `None` before its pin has been read.
    fn contact_of(&self, door: &DoorConfig) -> Option<bool> {
        let SensorIndex(index) = door.contact;
        self.sensors.get(index).filter(|contact| contact.is_known()).map(Debounce::is_active)
    }

    pub(in crate::core) fn watch_status(&self, config: &Config, now: Time) -> Vec<DoorStatus> {
        let doors = config.doors.iter().zip(&self.watches);
        doors
            .map(|(door, watch)| DoorStatus {
                name: door.name.clone(),
                state: watch.state(),
                for_s: now.since(watch.since()).as_secs(),
                by: watch.by(),
            })
            .collect()
    }

    /// Whether a watched door is in this state.
    pub(in crate::core) fn any_is(&self, state: DoorState) -> bool {
        self.watches.iter().any(|watch| watch.state() == state)
    }

    pub(super) fn watch_deadlines(&self, config: &Config) -> impl Iterator<Item = Deadline> {
        let doors = config.doors.iter().zip(&self.watches);
        doors.filter_map(|(door, watch)| Some(Deadline::new(watch.deadline(door)?, DeadlineReason::DoorWatch)))
    }
}
