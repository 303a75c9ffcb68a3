//! Commands of people and programs (docs/configuration.md, "Commands").

use super::actions::Actions;
use crate::config::{
    CallAction, Line, LineChoice, OutputChange, OutputIndex, OutputKind, PlayAction, PlayTo, Playable,
};
use crate::core::api::{By, Command, Done, Fact, Origin, Refusal, Source};
use crate::core::calls::Hold;
use crate::secret::{DoorCode, PhoneNumber};

/// The most digits that one command sends.
const MAX_DIGITS: usize = 32;

impl Actions<'_> {
    /// Carries out a command. A press is handled by the station, because it runs rules.
    pub(in crate::core) fn command(&mut self, by: By, command: Command) -> Result<Done, Refusal> {
        if self.cx().shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        if let Some(command) = reported(&command) {
            self.cx().fact(Fact::Command { command: command.to_owned(), by: by.clone() });
        }
        match command {
            Command::Press { .. } => Ok(Done::Now),
            Command::Call { number, line } => self.call_command(number, line, by),
            Command::Hangup { line } => self.hangup_command(line).map(|()| Done::Now),
            Command::Answer { line } => self.answer_command(line).map(|()| Done::Now),
            Command::Hold => self.hold_command().map(|()| Done::Now),
            Command::Unhold => self.unhold_command().map(|()| Done::Now),
            Command::Dtmf(digits) => self.dtmf_command(digits).map(|()| Done::Now),
            Command::Mute { muted, keep } => Ok(self.change_mute(muted, keep, &by).map_or(Done::Now, Done::For)),
            Command::Volume { volume, keep } => Ok(self.change_volume(volume, keep, &by).map_or(Done::Now, Done::For)),
            Command::Play { what, to } => self.play_command(what, to, &by).map(|()| Done::Now),
            Command::EndAlarms => {
                self.calls.end_alarms(&by);
                Ok(Done::Now)
            }
            Command::Mode { mode, change } => {
                self.cx().change_mode(mode, change, &by);
                Ok(Done::Now)
            }
            Command::Output { output, change } => self.output_command(output, change, &by),
        }
    }

    /// Drives an output. A pulse that is longer than `max_on_ms` is cut, and the reply says so.
    fn output_command(&mut self, output: OutputIndex, change: OutputChange, by: &By) -> Result<Done, Refusal> {
        self.change_output(output, change, by)?;
        let kind = self.cx().config.outputs.get(output.0).map(|pin| &pin.kind);
        Ok(match (kind, change) {
            (Some(OutputKind::Relay { max_on }), OutputChange::Pulse(length)) if length > *max_on => {
                Done::OnFor(*max_on)
            }
            _ => Done::Now,
        })
    }

    fn play_command(&mut self, what: Playable, to: PlayTo, by: &By) -> Result<(), Refusal> {
        if to == PlayTo::Far && !self.calls.has_far_end() {
            return Err(Refusal::NoCall("is up"));
        }
        if to.is_near() && !self.scene.card_is_ready() {
            return Err(Refusal::NoSoundCard);
        }
        self.announcements.play_now(PlayAction::once(what, to), by, self.calls.context());
        Ok(())
    }

    fn call_command(&mut self, number: PhoneNumber, line: Option<Line>, by: By) -> Result<Done, Refusal> {
        let line = match line {
            Some(line) => LineChoice::Number(self.calls.check_line(line)?),
            None => LineChoice::Any,
        };
        let action = CallAction::to(number, line, None);
        self.calls.start_hunt(&Origin { source: Source::Station, by }, &action)
    }

    fn hangup_command(&mut self, line: Option<Line>) -> Result<(), Refusal> {
        let Some(line) = line else {
            if !self.calls.any_active() {
                return Err(Refusal::NoCall("to hang up"));
            }
            self.calls.hang_up_all("hung up by command");
            return Ok(());
        };
        let line = self.calls.check_line(line)?;
        if !self.calls.has_call(line) {
            return Err(Refusal::NoCall("on that line"));
        }
        self.calls.hang_up_line(line, "hung up by command");
        Ok(())
    }

    fn answer_command(&mut self, line: Option<Line>) -> Result<(), Refusal> {
        let line = match line {
            Some(line) => Some(self.calls.check_line(line)?),
            None => self.calls.ringing_line(),
        };
        let line = line.filter(|line| self.calls.rings(*line)).ok_or(Refusal::NoCall("rings"))?;
        self.calls.answer(line);
        Ok(())
    }

    fn hold_command(&mut self) -> Result<(), Refusal> {
        let line = self.calls.foreground_line().ok_or(Refusal::NoCall("is up"))?;
        if self.calls.is_of_alarm(line) {
            return Err(Refusal::AlarmIsOn);
        }
        self.calls.hold(line, Hold::ByCommand);
        Ok(())
    }

    fn unhold_command(&mut self) -> Result<(), Refusal> {
        let line = self.calls.held_line().ok_or(Refusal::NoCall("is held"))?;
        self.calls.unhold(line);
        Ok(())
    }

    fn dtmf_command(&mut self, digits: DoorCode) -> Result<(), Refusal> {
        let digits = digits.to_ascii_uppercase();
        let is_digit = |digit: char| "0123456789*#ABCD".contains(digit);
        if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.chars().all(is_digit) {
            return Err(Refusal::BadDigits(digits));
        }
        let line = self.calls.foreground_line().ok_or(Refusal::NoCall("is up"))?;
        self.calls.send_digits(line, digits.into()).ok_or(Refusal::NoCall("is up"))
    }
}

/// The name of a command that causes no fact of its own, for a fact. The digits of `dtmf` are not reported, because
/// they may be a code for another system.
fn reported(command: &Command) -> Option<&'static str> {
    match command {
        Command::Hangup { .. } => Some("hangup"),
        Command::Answer { .. } => Some("answer"),
        Command::Hold => Some("hold"),
        Command::Unhold => Some("unhold"),
        Command::Dtmf(_) => Some("dtmf"),
        Command::Press { .. }
        | Command::Call { .. }
        | Command::Mute { .. }
        | Command::Volume { .. }
        | Command::Play { .. }
        | Command::EndAlarms
        | Command::Mode { .. }
        | Command::Output { .. } => None,
    }
}
