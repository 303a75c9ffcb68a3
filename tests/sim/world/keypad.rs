//! Somebody at the keypad, and the adapter that knows the code.

use callbox::config::{CodeIndex, ReaderIndex};
use callbox::core::{Input, ReaderKey};
use callbox::secret::DtmfDigit;

use super::World;
use crate::keypad::RIGHT;
use crate::plan::between;

const KEYPAD: ReaderIndex = ReaderIndex(0);

impl World {
    /// Somebody types so many wrong codes, and perhaps the right one.
    pub(super) fn type_codes(&mut self, wrong: u64, right: bool, unplugged: bool) {
        let mut at = 0;
        for _ in 0..wrong {
            at = self.type_code(at, "9999", None);
        }
        if right {
            // The first half before the reader is unplugged, and the second one after it.
            let unplugged_at = unplugged.then_some(RIGHT.len() / 2);
            self.type_code(at, RIGHT, unplugged_at);
        }
    }

    fn type_code(&mut self, from_ms: u64, code: &str, unplugged_at: Option<usize>) -> u64 {
        let mut at = from_ms;
        for (index, symbol) in code.chars().enumerate() {
            if unplugged_at == Some(index) {
                self.input_after(at, Input::Reader { reader: KEYPAD, fault: Some("unplugged".into()) });
                at += between(&mut self.random, 100, 5_000);
                self.input_after(at, Input::Reader { reader: KEYPAD, fault: None });
            }
            self.input_after(at, Input::Key { reader: KEYPAD, key: ReaderKey::Symbol(DtmfDigit(symbol)) });
            at += between(&mut self.random, 80, 900);
        }
        self.input_after(at, Input::Key { reader: KEYPAD, key: ReaderKey::Enter });
        at + between(&mut self.random, 400, 4_000)
    }

    /// The adapter finds out whose code it is.
    pub(super) fn check_code(&mut self, check: u32, typed: &str) {
        let matched = if typed == RIGHT { vec![CodeIndex(0)] } else { Vec::new() };
        let ms = between(&mut self.random, 20, 300);
        self.input_after(ms, Input::CodeChecked { check, matched });
    }
}
