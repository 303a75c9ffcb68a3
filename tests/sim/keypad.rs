//! No code opens anything while its reader is locked out, half a code is none, and wrong codes do lock.

use callbox::core::{Fact, Input, ReaderKey};

/// The code of the keypad.
pub const RIGHT: &str = "4711";
/// `[access]`: so many wrong codes within this time lock.
const WRONG_CODES: usize = 5;
const WINDOW_MS: u64 = 600_000;

/// The keypad, over all processes.
#[derive(Debug, Clone, Default)]
pub struct Keypad {
    /// What was typed since it was plugged in, cleared or entered.
    typed: String,
    /// The entry that is being checked.
    entered: Option<String>,
    locked_until: u64,
    /// The wrong codes that count.
    wrong: Vec<u64>,
    /// The code that has just been found right.
    right_now: bool,
}

impl Keypad {
    pub fn died(&mut self) {
        self.typed.clear();
        self.entered = None;
    }

    pub fn input(&mut self, input: &Input) {
        self.right_now = false;
        match input {
            Input::Key { key: ReaderKey::Symbol(symbol), .. } => self.typed.push(symbol.0),
            Input::Key { key: ReaderKey::Clear, .. } | Input::Reader { .. } => self.typed.clear(),
            Input::Key { key: ReaderKey::Enter, .. } => self.entered = Some(std::mem::take(&mut self.typed)),
            Input::CodeChecked { matched, .. } => self.right_now = !matched.is_empty(),
            _ => {}
        }
    }

    /// The station asks whose code this is.
    pub fn asks(&self, typed: &str) -> Result<(), String> {
        match &self.entered {
            Some(entered) if entered == typed => Ok(()),
            _ => Err(format!("{typed} is checked, and {:?} was typed", self.entered)),
        }
    }

    /// Whether the strike may go on now because of a code.
    pub fn may_open(&self, now: u64) -> bool {
        self.right_now && now >= self.locked_until
    }

    pub fn fact(&mut self, now: u64, fact: &Fact) -> Result<(), String> {
        let Fact::Code { accepted: false, code: None, locked_s, .. } = fact else { return Ok(()) };
        if now < self.locked_until {
            return Ok(());
        }
        self.wrong.retain(|at| now - at < WINDOW_MS);
        self.wrong.push(now);
        if let Some(seconds) = locked_s {
            self.locked_until = now + seconds * 1000;
            self.wrong.clear();
        } else if self.wrong.len() > WRONG_CODES {
            return Err(format!("{} wrong codes in {} s do not lock", self.wrong.len(), WINDOW_MS / 1000));
        }
        Ok(())
    }
}
