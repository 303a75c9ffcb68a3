//! Rules and actions: what a press, an edge or a code leads to.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    Action, Again, HangupTarget, Hours, OutputChange, OutputIndex, OutputKind, OutputPin, Rule, Sound, Trigger,
};

use super::by::By;
use super::call::{Origin, Phase, Source};
use super::cause::Cause;
use super::command::{Done, Gesture, Refusal};
use super::contact::Contact;
use super::fact::Fact;
use super::setting::{Lasting, Until};
use super::station::{Cooldown, Delayed, SensorStep, Station};

impl Station {
    /// A button was pressed, by a finger or by a command; gives what came of its call.
    pub(super) fn gesture(&mut self, index: usize, gesture: Gesture, by: By) -> Result<Done, Refusal> {
        let config = Arc::clone(&self.config);
        let Some(button) = config.buttons.get(index) else { return Ok(Done::Now) };
        self.fact(Fact::Press { button: button.name.clone(), gesture, by: by.clone() });
        let trigger = match gesture {
            Gesture::Press => Some(&button.press),
            Gesture::Long => button.long_press.as_ref(),
            Gesture::Double => button.double_press.as_ref(),
        };
        let Some(trigger) = trigger else { return Ok(Done::Now) };
        if gesture == Gesture::Press && self.own_call_is_up(index) {
            self.pressed_again(index, button.again);
            return Ok(Done::Now);
        }
        self.run_trigger(trigger, &Origin { source: Source::Button(index), by })
    }

    fn own_call_is_up(&self, button: usize) -> bool {
        let source = Source::Button(button);
        self.hunts.iter().any(|hunt| hunt.origin.source == source)
            || self.lines.active().any(|(_, call)| call.origin.source == source)
    }

    fn pressed_again(&mut self, button: usize, again: Again) {
        match again {
            Again::Ignore => self.play(Sound::Connecting, false),
            Again::Hangup => {
                let source = Source::Button(button);
                for hunt in self.hunts.iter_mut().filter(|hunt| hunt.origin.source == source) {
                    hunt.cancelled = true;
                }
                self.hunts.retain(|hunt| hunt.origin.source != source || hunt.waits_until.is_none());
                let lines: Vec<usize> = self
                    .lines
                    .active()
                    .filter(|(_, call)| call.origin.source == source)
                    .map(|(line, _)| line)
                    .collect();
                for line in lines {
                    self.hang_up(line, Cause::new(200, "hung up at the button"));
                }
            }
        }
    }

    /// Runs the first rule whose hours match; gives what came of its calls.
    pub(super) fn run_trigger(&mut self, trigger: &Trigger, origin: &Origin) -> Result<Done, Refusal> {
        let matching = |(_, rule): &(usize, &Rule)| self.hours_match(rule.hours.as_ref());
        let Some((place, rule)) = trigger.rules.iter().enumerate().find(matching) else { return Ok(Done::Now) };
        let mut outcome = Ok(Done::Now);
        for (index, step) in rule.steps.iter().enumerate() {
            let of_sensor = self.sensor_step(origin.source, (place, index));
            if of_sensor.is_some_and(|step| self.cools(step)) {
                continue;
            }
            let lasting = !step.lasting.is_zero();
            let wait = if lasting { step.lasting } else { step.after };
            let at = self.now.at + wait;
            let cooldown =
                of_sensor.filter(|_| !step.cooldown.is_zero()).map(|of| Cooldown { of, ends_at: at + step.cooldown });
            if !wait.is_zero() {
                self.delay(Delayed { at, action: step.action.clone(), origin: origin.clone(), lasting, cooldown });
                continue;
            }
            self.cooldowns.extend(cooldown);
            match self.run_action(&step.action, origin) {
                Ok(Flow::Stop) => return outcome,
                Ok(Flow::Continue) => {}
                Ok(Flow::Waits(patience)) => outcome = outcome.and(Ok(Done::Waits(patience))),
                Err(refusal) => outcome = Err(refusal),
            }
        }
        outcome
    }

    /// A step of a rule of the sensor that has just changed; `place` is its rule and its place in that.
    fn sensor_step(&self, source: Source, place: (usize, usize)) -> Option<SensorStep> {
        let Source::Sensor(sensor) = source else { return None };
        let opened = self.sensors.get(sensor).is_some_and(Contact::is_active);
        Some(SensorStep { sensor, opened, place })
    }

    /// A sensor's step has run not long ago (`cooldown_s`).
    fn cools(&mut self, step: SensorStep) -> bool {
        let now = self.now.at;
        self.cooldowns.retain(|cooldown| cooldown.ends_at > now);
        self.cooldowns.iter().any(|cooldown| cooldown.of == step)
    }

    /// While the clock is not synchronised a rule with hours does not match.
    pub(super) fn hours_match(&self, hours: Option<&Hours>) -> bool {
        Hours::hold(hours, self.now.local)
    }

    pub(super) fn run_action(&mut self, action: &Action, origin: &Origin) -> Result<Flow, Refusal> {
        match action {
            Action::Call(call) => match self.start_hunt(origin, call) {
                Ok(Done::Waits(patience)) => return Ok(Flow::Waits(patience)),
                Ok(_) => {}
                Err(refusal) => {
                    self.tell_no_call(origin.source, refusal.to_string());
                    return Err(refusal);
                }
            },
            Action::Answer => {
                if let Some(line) = self.ringing_line() {
                    self.answer(line);
                    return Ok(Flow::Stop);
                }
            }
            Action::Hangup(HangupTarget::All) => self.hang_up_all("hung up by a rule"),
            Action::Hangup(HangupTarget::Line(line)) => {
                if let Ok(line) = usize::try_from(*line) {
                    self.hang_up_line(line, "hung up by a rule");
                }
            }
            Action::Output { output, change } => {
                // Refused: told by then.
                let _ = self.change_output(*output, *change, &origin.by);
            }
            Action::Play(sound) => self.play(*sound, false),
            Action::Volume(volume) => {
                self.change_volume(*volume, false, &origin.by);
            }
            Action::Mute(muted) => {
                self.change_mute(*muted, false, &origin.by);
            }
        }
        Ok(Flow::Continue)
    }

    /// Another volume for a while; gives for how long, `None` where it is the configured one.
    pub(super) fn change_volume(&mut self, volume: u8, keep: bool, by: &By) -> Option<Lasting> {
        let until = Until::new(keep, self.is_in_a_call(), self.now.at);
        self.volume.change(volume.min(100), until, self.config.audio.volume);
        self.fact(Fact::Volume { volume: volume.min(100), by: by.clone() });
        self.volume.lasting()
    }

    /// The microphone off, or on, for a while; gives for how long, `None` where it is as configured.
    pub(super) fn change_mute(&mut self, muted: bool, keep: bool, by: &By) -> Option<Lasting> {
        let until = Until::new(keep, self.is_in_a_call(), self.now.at);
        self.muted.change(muted, until, false);
        self.fact(Fact::Mute { muted, by: by.clone() });
        self.muted.lasting()
    }

    /// What a hand or an edge at the door asked for was not done, and somebody may want to know why.
    pub(super) fn tell_no_call(&mut self, source: Source, reason: String) {
        let fact = match source {
            Source::Button(index) => {
                let button = self.config.buttons.get(index).map(|button| button.name.clone()).unwrap_or_default();
                Fact::PressRefused { button, reason }
            }
            Source::Sensor(index) => {
                let sensor = self.config.sensors.get(index).map(|sensor| sensor.name.clone()).unwrap_or_default();
                Fact::SensorRefused { sensor, reason }
            }
            Source::Station | Source::FarEnd => return,
        };
        self.fact(fact);
    }

    /// Hangs one line up; the rest of its list is not tried.
    pub(super) fn hang_up_line(&mut self, line: usize, words: &str) {
        if let Some(id) = self.lines.call(line).and_then(|call| call.hunt) {
            for hunt in self.hunts.iter_mut().filter(|hunt| hunt.id == id) {
                hunt.cancelled = true;
            }
        }
        self.hang_up(line, Cause::new(200, words));
    }

    /// The line of a call that somebody here may answer.
    pub(super) fn ringing_line(&self) -> Option<usize> {
        self.lines.calls().find(|(_, call)| matches!(call.phase, Phase::Incoming { .. })).map(|(line, _)| line)
    }

    /// Tells that an output was not driven, and why.
    fn output_refused(&mut self, pin: &OutputPin, refusal: Refusal, by: &By) -> Refusal {
        self.fact(Fact::OutputRefused { output: pin.name.clone(), reason: refusal.to_string(), by: by.clone() });
        refusal
    }

    /// Drives an output. A strike that opens is heard on both sides; one that excludes another does not go on while
    /// that is on, whoever asks.
    pub(super) fn change_output(
        &mut self,
        OutputIndex(index): OutputIndex,
        change: OutputChange,
        by: &By,
    ) -> Result<(), Refusal> {
        let config = Arc::clone(&self.config);
        let Some(pin) = config.outputs.get(index) else { return Ok(()) };
        if self.shutting_down && change != OutputChange::Off {
            return Err(Refusal::ShuttingDown);
        }
        let mut others = config.outputs.iter().zip(&self.outputs).enumerate().filter(|(other, _)| *other != index);
        if change != OutputChange::Off
            && let Some((_, (other, _))) = others.find(|(_, (other, state))| state.is_on() && pin.excludes(other))
        {
            let refusal = Refusal::Excluded { output: pin.name.clone(), other: other.name.clone() };
            return Err(self.output_refused(pin, refusal, by));
        }
        let Some(output) = self.outputs.get_mut(index) else { return Ok(()) };
        let was_on = output.is_on();
        if let Err(rest) = output.change(&pin.kind, change, self.now.at, by) {
            let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
            return Err(self.output_refused(pin, Refusal::Rests { output: pin.name.clone(), rest_ms }, by));
        }
        let opened = !was_on && output.is_on() && matches!(pin.kind, OutputKind::Relay { .. });
        if opened {
            self.play(Sound::DoorOpen, true);
        }
        Ok(())
    }
}

/// Whether the steps behind an action run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
    /// A call waits for the session, for so long at most.
    Waits(Duration),
}
