//! Finds quotes that swallow rows.
//!
//! The CSV parser accepts any text: a quote that is never closed makes one field of the rest of the
//! file, and a quote that the next stray one closes makes one field of all rows between. Nothing is
//! bad then, and rows are missing. [`QuoteTracker`] follows the quotes beside the parser and notes
//! what no well-formed file has; [`swallowed_rows`] lists the lines within a record, which may be
//! rows.

use csv::ByteRecord;

/// Where a quoted field goes wrong; lines count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QuoteProblem {
    /// Line where the quote opens.
    pub(super) opened: u64,
    pub(super) why: &'static str,
}

pub(super) const NEVER_CLOSED: &str =
    "a quote opens here and is never closed; close it, or set quoting = \"none\"";
pub(super) const TEXT_BEHIND: &str = "a quote opens here and closes on a later line in the middle of \
     a field; close it here, or set quoting = \"none\"";
pub(super) const SWALLOWED: &str = "a quote opens here and a line of its field reads as a row; close \
     it, or set quoting = \"none\" or \"multiline\"";

/// The states of a CSV parser, and the line it is on.
#[derive(Debug)]
pub(super) struct QuoteTracker {
    delimiter: u8,
    state: State,
    line: u64,
    opened: u64,
    /// In the order of the file.
    problems: Vec<QuoteProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// With bytes of a byte-order mark that were seen.
    FileStart(usize),
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first half of an escaped quote.
    AfterQuote,
}

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl QuoteTracker {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            state: State::FileStart(0),
            line: 1,
            opened: 0,
            problems: Vec::new(),
        }
    }

    /// Follows the next bytes, whose lines end in LF alone.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = self.next(*byte);
            self.line += u64::from(*byte == b'\n');
        }
    }

    fn next(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::FileStart(seen), byte) if BYTE_ORDER_MARK.get(seen) == Some(&byte) => {
                State::FileStart(seen + 1)
            }
            (State::FileStart(_) | State::FieldStart, b'"') => {
                self.opened = self.line;
                State::Quoted
            }
            (State::Quoted, b'"') => State::AfterQuote,
            (State::Quoted, _) | (State::AfterQuote, b'"') => State::Quoted,
            (_, b'\n') => State::FieldStart,
            (_, byte) if byte == self.delimiter => State::FieldStart,
            (State::AfterQuote, _) => {
                // On one line no row is lost, and `5" pipe` is common.
                if self.opened != self.line {
                    self.note(TEXT_BEHIND);
                }
                State::Unquoted
            }
            _ => State::Unquoted,
        }
    }

    /// Ends the text.
    pub(super) fn finish(&mut self) {
        if self.state == State::Quoted {
            self.note(NEVER_CLOSED);
            self.state = State::FieldStart;
        }
    }

    /// The line where the quote opens that the text is in now.
    pub(super) fn open_quote(&self) -> Option<u64> {
        (self.state == State::Quoted).then_some(self.opened)
    }

    /// The first problem in the lines up to `line`.
    pub(super) fn problem(&self, line: u64) -> Option<QuoteProblem> {
        let first = self.problems.first();
        first.filter(|problem| problem.opened <= line).copied()
    }

    fn note(&mut self, why: &'static str) {
        // The first one ends the reading.
        if self.problems.is_empty() {
            self.problems.push(QuoteProblem {
                opened: self.opened,
                why,
            });
        }
    }
}

/// The lines behind line breaks in the fields of a record, as rows of their own: the last one goes
/// on with the fields behind its field.
pub(super) fn swallowed_rows(
    record: &ByteRecord,
    delimiter: u8,
) -> impl Iterator<Item = ByteRecord> {
    let fields = record.iter().enumerate();
    let broken = fields.filter(|(_, field)| field.contains(&b'\n'));
    broken.flat_map(move |(at, field)| {
        let lines: Vec<&[u8]> = field.split(|byte| *byte == b'\n').skip(1).collect();
        let last = lines.len() - 1;
        let rows = lines.into_iter().enumerate().map(move |(number, line)| {
            let mut row: ByteRecord = line.split(|byte| *byte == delimiter).collect();
            if number == last {
                row.extend(record.iter().skip(at + 1));
            }
            row
        });
        rows.collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<QuoteProblem> {
        let mut whole = QuoteTracker::new(b',');
        whole.follow(text.as_bytes());
        whole.finish();
        let mut pieces = QuoteTracker::new(b',');
        for byte in text.as_bytes() {
            pieces.follow(&[*byte]);
        }
        pieces.finish();
        assert_eq!(whole.problem(u64::MAX), pieces.problem(u64::MAX));
        whole.problem(u64::MAX)
    }

    #[test]
    fn well_formed_quotes_are_no_problem() {
        for text in [
            "a,b\n1,\"x, y\"\n2,\"two\nlines\"\n",
            "a\n\"he said \"\"hi\"\"\"\n",
            "\u{feff}\"a\",b\n1,2\n",
            "a,b\n1,5\" pipe\n2,\"5\" pipe\n",
            "a,b\n1, \"x\n2,\"\"\n3,\"\",",
        ] {
            assert_eq!(problem(text), None, "{text:?}");
        }
    }

    #[test]
    fn quote_that_goes_wrong_is_found_on_the_line_where_it_opens() {
        for (text, opened, why) in [
            ("a,b\n1,\"x\n2,y\n", 2, NEVER_CLOSED),
            ("a,b\n1,x\n2,\"y", 3, NEVER_CLOSED),
            ("a,\"b\n1,x\n", 1, NEVER_CLOSED),
            ("\"\n", 1, NEVER_CLOSED),
            ("a,b\n1,\"x\n2,\"y\"\n", 2, TEXT_BEHIND),
            ("a,b\n1,\"x\n2,y\" z\n", 2, TEXT_BEHIND),
        ] {
            assert_eq!(
                problem(text),
                Some(QuoteProblem { opened, why }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn lines_within_a_record_are_listed_as_rows() {
        let record = ByteRecord::from(vec!["u1", "p1\nu2,p2\nu3,p3", "d"]);
        let rows: Vec<ByteRecord> = swallowed_rows(&record, b',').collect();
        let expected = [
            ByteRecord::from(vec!["u2", "p2"]),
            ByteRecord::from(vec!["u3", "p3", "d"]),
        ];
        assert_eq!(rows, expected);
    }
}
