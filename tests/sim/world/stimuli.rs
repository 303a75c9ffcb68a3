//! What people do.

use callbox::config::ModeIndex;
use callbox::core::*;

use super::World;
use super::agenda::Happening;
use crate::house::{MOTION, PORCH_AFTER_MS, SIREN_AFTER_MS};
use crate::plan::{ModeSwitch, Planned, Stimulus};
use crate::server::LegState;

impl World {
    pub(super) fn stimulus(&mut self, index: usize) {
        let Planned { seed, what, .. } = self.plan[index].clone();
        self.tell(|| format!("** {what:?}"));
        self.random = Random::new(seed);
        match what {
            Stimulus::Press { bounces, held_ms } => {
                let pin = Pin::Button(ButtonIndex(0));
                self.hands += 1;
                if self.station.is_some() && self.now > self.button_down_until + 500 {
                    let (life, before, hands) = (self.life, self.figures.presses, self.hands);
                    self.after(bounces * 3 + 60, Happening::PressCounted { life, before, hands });
                }
                self.button_down_until = self.button_down_until.max(self.now + bounces * 3 + held_ms + 100);
                for bounce in 0..bounces {
                    self.input_after(bounce * 3, Input::Edge { pin, active: true });
                    self.input_after(bounce * 3 + 1, Input::Edge { pin, active: false });
                }
                self.input_after(bounces * 3, Input::Edge { pin, active: true });
                self.input_after(bounces * 3 + held_ms, Input::Edge { pin, active: false });
            }
            Stimulus::Call { from, gives_up_ms, offerless } => {
                let mut random = Random::new(self.random.next_u64());
                let quiet = self.state == SessionState::Registered && self.now > self.well_by();
                let idle = self.checks.is_idle() && self.held.is_some();
                let serial = self.server.invite(from, gives_up_ms, offerless, &mut random);
                if let (Some(serial), true, "100", true) = (serial, quiet && idle, from, gives_up_ms > 5_000) {
                    let faults = self.faults;
                    self.after(3_000, Happening::MustAnswer(serial, faults));
                }
            }
            Stimulus::Help => {
                let pin = Pin::Button(ButtonIndex(2));
                self.input_after(0, Input::Edge { pin, active: true });
                self.input_after(300, Input::Edge { pin, active: false });
            }
            Stimulus::Keypad { wrong, right, unplugged } => self.type_codes(wrong, right, unplugged),
            Stimulus::Motion { ms } => self.motion(ms),
            Stimulus::Mode(ModeSwitch::Key) => {
                let pin = Pin::Button(ButtonIndex(3));
                self.input_after(0, Input::Edge { pin, active: true });
                self.input_after(300, Input::Edge { pin, active: false });
            }
            Stimulus::Mode(ModeSwitch::Command { mode, change }) => {
                let command = Command::Mode { mode: ModeIndex(mode), change };
                self.input_after(0, Input::Command(CommandId(1), By::Station, command));
            }
            Stimulus::Passage(passage) => self.passage(passage),
            Stimulus::Fault(fault) => self.fault(fault),
        }
        self.serve();
    }

    /// Somebody moves in front of the door for so long, unless somebody else does.
    fn motion(&mut self, ms: u64) {
        if self.now < self.motion_ends {
            return;
        }
        self.motion_ends = self.now + ms + 1_000;
        self.input_after(0, Input::Edge { pin: MOTION, active: true });
        self.input_after(ms, Input::Edge { pin: MOTION, active: false });
        let life = self.life;
        for after_ms in [PORCH_AFTER_MS, SIREN_AFTER_MS] {
            self.after(after_ms + 200, Happening::MotionStayed(life));
        }
    }

    /// A call that a rule answers must not ring for long at an idle station.
    pub(super) fn must_answer(&mut self, serial: u64, faults: u64) {
        let rings = self.server.leg(serial).is_some_and(|leg| leg.state == LegState::Inviting);
        if rings && faults == self.faults {
            self.checks.fail("can be called", "a call that a rule answers rings for 3 s at an idle station");
        }
    }

    pub(super) fn press_counted(&mut self, before: u64, hands: u64) {
        let told = self.figures.presses - before;
        // Another press may have come in between.
        if self.station.is_some() && (told == 0 || (hands == self.hands && told != 1)) {
            self.checks.fail("one press, one call", format!("one press was reported {told} times"));
        }
    }
}
