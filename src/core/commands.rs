//! Commands of people and programs (`interface.md`, "Commands").

use std::time::Duration;

use crate::config::{CallAction, LineChoice, Order, OutputChange, OutputIndex, OutputKind};

use super::by::By;
use super::call::{Origin, Source};
use super::command::{Command, Done, Refusal};
use super::effect::{Effect, MediaCommand};
use super::fact::Fact;
use super::station::Station;

impl Station {
    pub(super) fn command(&mut self, by: By, command: Command) -> Result<Done, Refusal> {
        if self.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        let asked = match &command {
            Command::Hangup { .. } => Some("hangup"),
            Command::Answer { .. } => Some("answer"),
            Command::Hold => Some("hold"),
            Command::Unhold => Some("unhold"),
            // The digits themselves may be a code of somebody else's.
            Command::Dtmf(_) => Some("dtmf"),
            _ => None,
        };
        if let Some(command) = asked {
            self.fact(Fact::Command { command: command.to_owned(), by: by.clone() });
        }
        match command {
            Command::Press { button, gesture } => self.gesture(button, gesture, by),
            Command::Call { number, line } => self.call_command(number, line, by),
            Command::Hangup { line } => self.hangup_command(line).map(|()| Done::Now),
            Command::Answer { line } => self.answer_command(line).map(|()| Done::Now),
            Command::Hold => self.hold_command().map(|()| Done::Now),
            Command::Unhold => self.unhold_command().map(|()| Done::Now),
            Command::Dtmf(digits) => self.dtmf_command(digits).map(|()| Done::Now),
            Command::Mute { muted, keep } => Ok(self.change_mute(muted, keep, &by).map_or(Done::Now, Done::For)),
            Command::Volume { volume, keep } => Ok(self.change_volume(volume, keep, &by).map_or(Done::Now, Done::For)),
            Command::Output { output, change } => self.output_command(output, change, &by),
        }
    }

    /// A pulse that is longer than the output may be on is cut, and that is told.
    fn output_command(&mut self, output: OutputIndex, change: OutputChange, by: &By) -> Result<Done, Refusal> {
        self.change_output(output, change, by)?;
        let kind = self.config.outputs.get(output.0).map(|pin| &pin.kind);
        Ok(match (kind, change) {
            (Some(OutputKind::Relay { max_on }), OutputChange::Pulse(length)) if length > *max_on => {
                Done::OnFor(*max_on)
            }
            _ => Done::Now,
        })
    }

    fn check_line(&self, line: u32) -> Result<usize, Refusal> {
        let last = u32::try_from(self.lines.len().saturating_sub(1)).unwrap_or(u32::MAX);
        usize::try_from(line).ok().filter(|index| *index < self.lines.len()).ok_or(Refusal::NoSuchLine { line, last })
    }

    fn call_command(&mut self, number: String, line: Option<u32>, by: By) -> Result<Done, Refusal> {
        let choice = match line {
            Some(line) => {
                self.check_line(line)?;
                LineChoice::Number(line)
            }
            None => LineChoice::Any,
        };
        let action = CallAction { numbers: vec![number], line: choice, ring: None::<Duration>, order: Order::Serial };
        self.start_hunt(&Origin { source: Source::Station, by }, &action)
    }

    fn hangup_command(&mut self, line: Option<u32>) -> Result<(), Refusal> {
        let Some(line) = line else {
            if self.lines.active().next().is_none() && self.hunts.is_empty() {
                return Err(Refusal::NoCall("to hang up"));
            }
            self.hang_up_all("hung up by command");
            return Ok(());
        };
        let line = self.check_line(line)?;
        if self.lines.call(line).is_none() {
            return Err(Refusal::NoCall("on that line"));
        }
        self.hang_up_line(line, "hung up by command");
        Ok(())
    }

    fn answer_command(&mut self, line: Option<u32>) -> Result<(), Refusal> {
        let line = match line {
            Some(line) => Some(self.check_line(line)?),
            None => self.ringing_line(),
        };
        let rings = line
            .filter(|line| self.lines.call(*line).is_some_and(|call| call.state() == super::call::CallState::Incoming));
        let Some(line) = rings else { return Err(Refusal::NoCall("rings")) };
        self.answer(line);
        Ok(())
    }

    fn hold_command(&mut self) -> Result<(), Refusal> {
        let line = self
            .lines
            .active()
            .find(|(_, call)| call.is_established() && !call.held)
            .map(|(line, _)| line)
            .ok_or(Refusal::NoCall("is up"))?;
        self.hold(line, false);
        Ok(())
    }

    fn unhold_command(&mut self) -> Result<(), Refusal> {
        let line =
            self.lines.active().find(|(_, call)| call.held).map(|(line, _)| line).ok_or(Refusal::NoCall("is held"))?;
        self.unhold(line);
        Ok(())
    }

    fn dtmf_command(&mut self, digits: String) -> Result<(), Refusal> {
        let digits = digits.to_ascii_uppercase();
        if digits.is_empty() || digits.len() > 32 || !digits.chars().all(|digit| "0123456789*#ABCD".contains(digit)) {
            return Err(Refusal::BadDigits(digits));
        }
        let media = self
            .lines
            .active()
            .find(|(_, call)| call.is_established() && !call.held)
            .and_then(|(_, call)| call.media)
            .ok_or(Refusal::NoCall("is up"))?;
        self.push(Effect::Media(media, MediaCommand::SendDigits(digits)));
        Ok(())
    }
}
