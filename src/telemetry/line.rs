//! Formats an event as one line, text or JSON.
//!
//! Every field's text stays on one line and is escaped and cut as on a terminal
//! ([`hotshelf_terminal::text`]), whatever its source.

use hotshelf_terminal::text::one_line;
use serde_json::{Map, Value};
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events; spans are not shown.
pub(super) struct LineFormat {
    pub(super) is_json: bool,
}

impl<S, N> FormatEvent<S, N> for LineFormat
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
        self.put(field, one_line(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, one_line(format_args!("{value:?}")).into());
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

#[cfg(test)]
mod tests {
    use super::*;
    use hotshelf_terminal::text::{TEXT_CHARS_MAX, is_unsafe};
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Memory {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(is_json: bool, log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let logs = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(memory.clone())
            .event_format(LineFormat { is_json })
            .finish();
        tracing::subscriber::with_default(logs, log);
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    const EVIL: &str = "a\nb\r\x1b[31mred\u{9b}1m\u{202e}\0 é";
    const SAFE: &str = r"a\nb\r\u{1b}[31mred\u{9b}1m\u{202e}\u{0} é";

    #[test]
    fn control_characters_are_escaped_and_a_line_is_one_line() {
        let log = || tracing::info!(shown = %EVIL, debugged = ?[EVIL], plain = EVIL, "{EVIL}");
        let text = logged(false, log);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !is_unsafe(c)), "{text}");
        assert!(text.contains(&format!("plain=\"{SAFE}\"")), "{text}");
        let json = logged(true, log);
        let line: Value = serde_json::from_str(&json).unwrap();
        for field in ["message", "shown", "plain"] {
            assert_eq!(line[field], SAFE, "{field}");
        }
        assert!(json.trim_end().chars().all(|c| !is_unsafe(c)), "{json}");
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
