//! Text that somebody else wrote, made safe to print on one line of a terminal or a log.
//!
//! Names, reasons, headers and error messages come from callers, files and stores. Printed raw, an
//! escape sequence rewrites the screen, a line break forges a line, and a bidi override reverses the
//! rest of it. Every output that shows such text passes it through here.

use std::fmt::{self, Display, Write};
use std::io;

/// Characters of one text that are printed (chosen: any error of ours with its causes fits).
pub const TEXT_CHARS_MAX: usize = 1_000;

/// `text` on one line: control characters escaped, at most [`TEXT_CHARS_MAX`] characters of it.
///
/// ```
/// use hotshelf_terminal::text::one_line;
///
/// assert_eq!(one_line("red\u{1b}[31m\nshop"), r"red\u{1b}[31m\nshop");
/// ```
pub fn one_line(text: impl Display) -> String {
    let mut line = OneLine::default();
    // Neither a String nor a Display of ours fails; a foreign one that does has said what it could.
    let _ = write!(line, "{text}");
    line.finish()
}

/// The same for a text that is allowed its line breaks, such as a list of problems.
pub fn lines(text: impl Display) -> String {
    let text = text.to_string();
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}

/// JSON that holds the same values and no character that a terminal acts on.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        // Outside of strings JSON has no other unsafe character than its line breaks.
        if character == '\n' || !is_unsafe(character) {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

/// Passes text on with everything escaped that a terminal acts on, but for line breaks: the last resort
/// below the outputs, which put each foreign text on one line.
#[derive(Debug)]
pub struct SafeWriter<W>(pub W);

impl<W: io::Write> io::Write for SafeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut safe = String::with_capacity(bytes.len());
        for character in String::from_utf8_lossy(bytes).chars() {
            match character == '\n' || !is_unsafe(character) {
                true => safe.push(character),
                false => safe.extend(character.escape_default()),
            }
        }
        self.0.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Collects a text piece by piece, escaped and cut.
#[derive(Debug, Default)]
pub struct OneLine {
    text: String,
    chars: usize,
    omitted: usize,
}

impl OneLine {
    /// The text; where it was cut, it says how much is missing.
    pub fn finish(mut self) -> String {
        if self.omitted > 0 {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "… ({} characters more)", self.omitted);
        }
        self.text
    }
}

impl Write for OneLine {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for character in more.chars() {
            if self.chars == TEXT_CHARS_MAX {
                self.omitted += 1;
                continue;
            }
            self.chars += 1;
            if is_unsafe(character) {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        Ok(())
    }
}

/// Whether a terminal or a reader of lines may act on it: controls, line and paragraph separators,
/// characters that turn the direction of what follows, and those that are never seen.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_escaped() {
        let evil = "a\nb\r\x1b[31mred\u{9b}1m\u{202e}\0 é\u{2066}\u{200b}\u{e0041}\u{7f}";
        let safe = r"a\nb\r\u{1b}[31mred\u{9b}1m\u{202e}\u{0} é\u{2066}\u{200b}\u{e0041}\u{7f}";
        assert_eq!(one_line(evil), safe);
        assert!(!one_line(evil).contains(is_unsafe));
    }

    #[test]
    fn json_keeps_its_values_without_unsafe_characters() {
        let value = "a\u{202e}\u{9b}\u{e0041}é";
        let safe = json(&format!("{{\n  \"k\": \"{value}\"\n}}"));
        assert_eq!(safe, "{\n  \"k\": \"a\\u202e\\u009b\\udb40\\udc41é\"\n}");
    }

    #[test]
    fn writer_passes_line_breaks_and_nothing_else_unsafe() {
        let mut writer = SafeWriter(Vec::new());
        io::Write::write_all(&mut writer, "a\u{1b}[2J\r\nb\u{202e}\n".as_bytes()).unwrap();
        let text = String::from_utf8(writer.0).unwrap();
        assert_eq!(text, "a\\u{1b}[2J\\r\nb\\u{202e}\n");
    }

    #[test]
    fn long_text_is_cut_and_says_by_how_much() {
        let cut = one_line("é".repeat(100_000));
        assert!(cut.ends_with("é… (99000 characters more)"), "{cut}");
        assert_eq!(one_line("é".repeat(TEXT_CHARS_MAX)).chars().count(), 1_000);
    }

    #[test]
    fn scripts_of_the_world_stay_as_they_are() {
        for text in ["Größe 灯", "नमस्ते", "مرحبا", "👩\u{200d}🚀"] {
            assert_eq!(one_line(text), text);
        }
    }

    #[test]
    fn list_keeps_its_line_breaks_and_nothing_else() {
        assert_eq!(lines("two:\n  a\x07\n  b\r\n"), "two:\n  a\\u{7}\n  b");
    }
}
