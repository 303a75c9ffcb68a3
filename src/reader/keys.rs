//! From the kernel's key codes (linux/input-event-codes.h) to what a reader types. Key codes are positions on a keyboard:
//! no keymap changes them.

use evdev::{EventSummary, InputEvent, KeyCode};

use crate::core::ReaderKey;
use crate::secret::DtmfDigit;

/// The keys that are held.
#[derive(Debug, Default)]
pub(super) struct Keys {
    shift: bool,
}

/// What an event says of its key.
const RELEASED: i32 = 0;
const PRESSED: i32 = 1;

impl Keys {
    /// The key that an event has typed; `None` if it is another event, a repetition, or a key without a meaning.
    pub(super) fn event(&mut self, event: InputEvent) -> Option<ReaderKey> {
        let EventSummary::Key(_, key, value) = event.destructure() else { return None };
        match (key, value) {
            (KeyCode::KEY_LEFTSHIFT | KeyCode::KEY_RIGHTSHIFT, PRESSED | RELEASED) => {
                self.shift = value == PRESSED;
                None
            }
            (key, PRESSED) => meaning(key, self.shift),
            _ => None,
        }
    }
}

fn meaning(key: KeyCode, shift: bool) -> Option<ReaderKey> {
    match key {
        KeyCode::KEY_ENTER | KeyCode::KEY_KPENTER | KeyCode::KEY_NUMERIC_POUND | KeyCode::KEY_OK => {
            return Some(ReaderKey::Enter);
        }
        KeyCode::KEY_NUMERIC_STAR
        | KeyCode::KEY_KPASTERISK
        | KeyCode::KEY_BACKSPACE
        | KeyCode::KEY_DELETE
        | KeyCode::KEY_ESC
        | KeyCode::KEY_CLEAR
        | KeyCode::KEY_CANCEL => return Some(ReaderKey::Clear),
        // A device that types `#` and `*` as on a keyboard.
        KeyCode::KEY_3 if shift => return Some(ReaderKey::Enter),
        KeyCode::KEY_8 if shift => return Some(ReaderKey::Clear),
        _ => {}
    }
    let symbol = SYMBOLS.iter().find(|(codes, _)| codes.contains(&key)).map(|(_, symbol)| *symbol);
    symbol.map(DtmfDigit).map(ReaderKey::Symbol)
}

/// The keys of the digits on the three kinds of pads, and those of letters.
const SYMBOLS: [(&[KeyCode], char); 36] = [
    (&[KeyCode::KEY_0, KeyCode::KEY_KP0, KeyCode::KEY_NUMERIC_0], '0'),
    (&[KeyCode::KEY_1, KeyCode::KEY_KP1, KeyCode::KEY_NUMERIC_1], '1'),
    (&[KeyCode::KEY_2, KeyCode::KEY_KP2, KeyCode::KEY_NUMERIC_2], '2'),
    (&[KeyCode::KEY_3, KeyCode::KEY_KP3, KeyCode::KEY_NUMERIC_3], '3'),
    (&[KeyCode::KEY_4, KeyCode::KEY_KP4, KeyCode::KEY_NUMERIC_4], '4'),
    (&[KeyCode::KEY_5, KeyCode::KEY_KP5, KeyCode::KEY_NUMERIC_5], '5'),
    (&[KeyCode::KEY_6, KeyCode::KEY_KP6, KeyCode::KEY_NUMERIC_6], '6'),
    (&[KeyCode::KEY_7, KeyCode::KEY_KP7, KeyCode::KEY_NUMERIC_7], '7'),
    (&[KeyCode::KEY_8, KeyCode::KEY_KP8, KeyCode::KEY_NUMERIC_8], '8'),
    (&[KeyCode::KEY_9, KeyCode::KEY_KP9, KeyCode::KEY_NUMERIC_9], '9'),
    (&[KeyCode::KEY_A, KeyCode::KEY_NUMERIC_A], 'A'),
    (&[KeyCode::KEY_B, KeyCode::KEY_NUMERIC_B], 'B'),
    (&[KeyCode::KEY_C, KeyCode::KEY_NUMERIC_C], 'C'),
    (&[KeyCode::KEY_D, KeyCode::KEY_NUMERIC_D], 'D'),
    (&[KeyCode::KEY_E], 'E'),
    (&[KeyCode::KEY_F], 'F'),
    (&[KeyCode::KEY_G], 'G'),
    (&[KeyCode::KEY_H], 'H'),
    (&[KeyCode::KEY_I], 'I'),
    (&[KeyCode::KEY_J], 'J'),
    (&[KeyCode::KEY_K], 'K'),
    (&[KeyCode::KEY_L], 'L'),
    (&[KeyCode::KEY_M], 'M'),
    (&[KeyCode::KEY_N], 'N'),
    (&[KeyCode::KEY_O], 'O'),
    (&[KeyCode::KEY_P], 'P'),
    (&[KeyCode::KEY_Q], 'Q'),
    (&[KeyCode::KEY_R], 'R'),
    (&[KeyCode::KEY_S], 'S'),
    (&[KeyCode::KEY_T], 'T'),
    (&[KeyCode::KEY_U], 'U'),
    (&[KeyCode::KEY_V], 'V'),
    (&[KeyCode::KEY_W], 'W'),
    (&[KeyCode::KEY_X], 'X'),
    (&[KeyCode::KEY_Y], 'Y'),
    (&[KeyCode::KEY_Z], 'Z'),
];

#[cfg(test)]
mod tests {
    use super::*;
    use evdev::EventType;

    fn typed(keys: &[(KeyCode, i32)]) -> Vec<ReaderKey> {
        let mut state = Keys::default();
        let event = |(key, value): &(KeyCode, i32)| InputEvent::new(EventType::KEY.0, key.0, *value);
        keys.iter().filter_map(|key| state.event(event(key))).collect()
    }

    fn symbol(symbol: char) -> ReaderKey {
        ReaderKey::Symbol(DtmfDigit(symbol))
    }

    #[test]
    fn digits_of_every_kind_of_pad_are_the_same() {
        for key in [KeyCode::KEY_7, KeyCode::KEY_KP7, KeyCode::KEY_NUMERIC_7] {
            assert_eq!(typed(&[(key, 1), (key, 0)]), [symbol('7')]);
        }
        assert_eq!(typed(&[(KeyCode::KEY_A, 1)]), [symbol('A')]);
    }

    #[test]
    fn enter_and_pound_end_an_entry_and_a_star_clears_it() {
        use KeyCode as Key;
        let shift = Key::KEY_LEFTSHIFT;
        assert_eq!(typed(&[(Key::KEY_KPENTER, 1), (Key::KEY_NUMERIC_POUND, 1)]), [ReaderKey::Enter; 2]);
        assert_eq!(typed(&[(shift, 1), (Key::KEY_3, 1), (Key::KEY_3, 0), (shift, 0)]), [ReaderKey::Enter]);
        assert_eq!(typed(&[(Key::KEY_KPASTERISK, 1), (Key::KEY_BACKSPACE, 1)]), [ReaderKey::Clear; 2]);
        assert_eq!(typed(&[(shift, 1), (shift, 0), (Key::KEY_3, 1)]), [symbol('3')]);
    }

    #[test]
    fn repetitions_releases_and_unknown_keys_type_nothing() {
        assert_eq!(
            typed(&[(KeyCode::KEY_1, 1), (KeyCode::KEY_1, 2), (KeyCode::KEY_1, 2), (KeyCode::KEY_1, 0)]).len(),
            1
        );
        assert_eq!(typed(&[(KeyCode::KEY_VOLUMEUP, 1), (KeyCode(9_999), 1), (KeyCode::KEY_SPACE, 1)]), []);
        assert_eq!(Keys::default().event(InputEvent::new(EventType::RELATIVE.0, 0, 1)), None);
    }
}
