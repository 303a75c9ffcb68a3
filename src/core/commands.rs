//! Commands of people and programs (`interface.md`, "Commands").

use std::time::Duration;

use crate::config::{CallAction, LineChoice, Order};

use super::call::Origin;
use super::command::{Command, Refusal};
use super::output::{MediaCommand, Output};
use super::station::Station;

impl Station {
    pub(super) fn command(&mut self, command: Command) -> Result<(), Refusal> {
        if self.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        match command {
            Command::Press { button, gesture } => {
                self.gesture(button, gesture);
                Ok(())
            }
            Command::Call { number, line } => self.call_command(number, line),
            Command::Hangup { line } => self.hangup_command(line),
            Command::Answer { line } => self.answer_command(line),
            Command::Hold => self.hold_command(),
            Command::Unhold => self.unhold_command(),
            Command::Dtmf(digits) => self.dtmf_command(digits),
            Command::Mute(muted) => {
                self.muted = muted;
                Ok(())
            }
            Command::Volume(volume) => {
                self.volume = volume.min(100);
                Ok(())
            }
            Command::Output { output, change } => {
                self.change_output(output, change);
                Ok(())
            }
        }
    }

    fn check_line(&self, line: u32) -> Result<usize, Refusal> {
        let last = u32::try_from(self.lines.len().saturating_sub(1)).unwrap_or(u32::MAX);
        usize::try_from(line).ok().filter(|index| *index < self.lines.len()).ok_or(Refusal::NoSuchLine { line, last })
    }

    fn call_command(&mut self, number: String, line: Option<u32>) -> Result<(), Refusal> {
        let choice = match line {
            Some(line) => {
                self.check_line(line)?;
                LineChoice::Number(line)
            }
            None => LineChoice::Any,
        };
        let action = CallAction { numbers: vec![number], line: choice, ring: None::<Duration>, order: Order::Serial };
        self.start_hunt(Origin::Station, &action)
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
        self.push(Output::Media(media, MediaCommand::SendDigits(digits)));
        Ok(())
    }
}
