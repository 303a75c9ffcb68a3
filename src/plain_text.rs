//! Cleans texts of a server or a far end as they come in: it removes characters that would move a terminal's cursor,
//! forge a line of the log, or turn the direction of writing. So code that shows, logs or forwards these texts need not
//! check them again.

/// Characters of a foreign text that [`shortened`] keeps.
const MAX_TEXT: usize = 200;

/// Whether a character is harmless: not a control character, not a line or paragraph separator, not a mark of direction
/// (Unicode, `Bidi_Control`), and not a character without width.
fn is_plain(character: char) -> bool {
    let unseen = matches!(
        character,
        '\u{061C}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    );
    !character.is_control() && !unseen
}

/// The whole text without harmful characters.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|character| is_plain(*character)).collect()
}

/// The whole text with a mark in place of each harmful character, so that it stays different from a text without them.
pub(crate) fn marked(text: &str) -> String {
    text.chars().map(|character| if is_plain(character) { character } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The text without harmful characters, cut to a length that a person reads.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().filter(|character| is_plain(*character)).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_stays_and_what_acts_unseen_goes() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc\u{0}\u{7f}\u{9b}d"), "a[2Jbcd");
        assert_eq!(plain("\u{202e}001\u{2066}x\u{2069}\u{200f}\u{feff}\u{2028}"), "001x");
        assert_eq!(plain("Jürgen 🚪 آنا"), "Jürgen 🚪 آنا");
        assert_eq!(shortened(&"\u{7}x".repeat(300)).len(), 200);
    }
}
