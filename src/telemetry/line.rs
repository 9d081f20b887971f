//! How an event becomes one line, as text or JSON.
//!
//! The text of a field stays on one line and cannot steer a terminal, whatever its source: control
//! characters are written as escapes, and what is long is cut with a mark. This is the one place
//! that does so.

use serde_json::{Map, Value};
use std::fmt::{self, Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Characters of one field's text (chosen: any error of ours with its causes fits).
const TEXT_CHARS_MAX: usize = 1_000;

/// Formats events; spans are not shown.
pub(super) struct Line {
    pub(super) is_json: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if self.is_json {
            fields.json(writer, &time, (level, target))
        } else {
            fields.text(writer, &time, (level, target))
        }
    }
}

/// One event's fields, ready to be written.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn json(self, mut to: Writer<'_>, time: &str, (level, target): (&Level, &str)) -> fmt::Result {
        let mut line: Map<String, Value> = Map::new();
        for (name, value) in self.others {
            line.insert(name.to_owned(), value);
        }
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), level.as_str().into());
        line.insert("target".to_owned(), target.into());
        line.insert("message".to_owned(), self.message.into());
        writeln!(to, "{}", Value::Object(line))
    }

    fn text(self, mut to: Writer<'_>, time: &str, (level, target): (&Level, &str)) -> fmt::Result {
        let (start, end) = match (to.has_ansi_escapes(), *level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[32m", "\x1b[0m"),
        };
        write!(
            to,
            "{time} {start}{level:>5}{end} {target}: {}",
            self.message
        )?;
        for (name, value) in self.others {
            match value {
                // Quoted where it would not be seen where it ends; escaped it is already.
                Value::String(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                    write!(to, " {name}=\"{}\"", text.replace('"', "\\\""))?;
                }
                Value::String(text) => write!(to, " {name}={text}")?,
                other => write!(to, " {name}={other}")?,
            }
        }
        writeln!(to)
    }

    fn put(&mut self, field: &Field, value: Value) {
        match value {
            Value::String(text) if field.name() == "message" => self.message = text,
            value => self.others.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Tamed::default();
        // It never fails.
        let _ = text.write_str(value);
        self.put(field, text.finished().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = Tamed::default();
        let _ = write!(text, "{value:?}");
        self.put(field, text.finished().into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

/// Text without control characters and of bounded length.
#[derive(Default)]
struct Tamed {
    text: String,
    taken: usize,
    left_out: usize,
}

impl Tamed {
    fn finished(mut self) -> String {
        if self.left_out > 0 {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "… ({} characters more)", self.left_out);
        }
        self.text
    }
}

impl fmt::Write for Tamed {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for character in more.chars() {
            if self.taken == TEXT_CHARS_MAX {
                self.left_out += 1;
                continue;
            }
            self.taken += 1;
            if is_wild(character) {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        Ok(())
    }
}

/// What a terminal or a reader of lines may act on: controls, line and paragraph separators, and
/// characters that turn the direction of what follows.
fn is_wild(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(is_json: bool, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let logs = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(kept.clone())
            .event_format(Line { is_json })
            .finish();
        tracing::subscriber::with_default(logs, log);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    const EVIL: &str = "a\nb\r\x1b[31mred\u{9b}1m\u{202e}\0 é";
    const TAMED: &str = r"a\nb\r\u{1b}[31mred\u{9b}1m\u{202e}\u{0} é";

    #[test]
    fn control_characters_are_escaped_and_a_line_is_one_line() {
        let log = || tracing::info!(shown = %EVIL, debugged = ?[EVIL], plain = EVIL, "{EVIL}");
        let text = logged(false, log);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !is_wild(c)), "{text}");
        assert!(text.contains(&format!("plain=\"{TAMED}\"")), "{text}");
        let json = logged(true, log);
        let line: Value = serde_json::from_str(&json).unwrap();
        for field in ["message", "shown", "plain"] {
            assert_eq!(line[field], TAMED, "{field}");
        }
        assert!(json.trim_end().chars().all(|c| !is_wild(c)), "{json}");
    }

    #[test]
    fn long_text_is_cut_and_says_by_how_much() {
        let long = "é".repeat(100_000);
        for is_json in [false, true] {
            let line = logged(is_json, || tracing::warn!(long, %long, ?long, "{long}"));
            assert!(line.len() < 5 * 2 * TEXT_CHARS_MAX, "{}", line.len());
            assert!(line.contains("… (99000 characters more)"), "{line}");
        }
    }

    #[test]
    fn fields_keep_their_types_and_names() {
        let log = || {
            tracing::info!(
                count = 3_u64,
                share = 0.5,
                is_new = true,
                empty = "",
                "done"
            );
        };
        let line: Value = serde_json::from_str(&logged(true, log)).unwrap();
        let expected = serde_json::json!({"count": 3, "share": 0.5, "is_new": true, "empty": ""});
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(line[key], *value, "{key}");
        }
        assert_eq!(
            (&line["level"], &line["message"]),
            (&"INFO".into(), &"done".into())
        );
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        let text = logged(false, log);
        let rest = " INFO hotshelf::telemetry::line::tests: done count=3 share=0.5 is_new=true empty=\"\"\n";
        assert!(text.ends_with(rest), "{text}");
    }
}
