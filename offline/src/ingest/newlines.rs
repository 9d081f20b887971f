//! Normalises line ends and limits the length of a record.
//!
//! The CSV reader counts `\n` bytes as it consumes them. In `\r\n` files it stops between the two
//! and reports wrong lines. So every line end becomes `\n` first, a missing last one is added, and
//! line numbers in messages are those of an editor. (A `\r\n` inside quotes becomes `\n`, too.) An
//! unclosed quote would read the rest of the file into one record; the reader stops it.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, Error, Read, Result};
use std::rc::Rc;

use super::quotes::QuoteTracker;

/// Longest record (chosen: a hundred times the longest seen in a shop); a longer one has an
/// unclosed quote.
pub(super) const RECORD_BYTES_MAX: u64 = 1 << 20;

/// Bytes read since the current record started; the loop over records resets it.
pub(super) type RecordBytes = Rc<Cell<u64>>;

/// What follows the quotes of the text, if quotes mean anything.
pub(super) type Quotes = Option<Rc<RefCell<QuoteTracker>>>;

pub(super) struct UniversalNewlines<R> {
    inner: R,
    after_return: bool,
    last: u8,
    record_bytes: RecordBytes,
    quotes: Quotes,
}

impl<R: BufRead> UniversalNewlines<R> {
    pub(super) fn new(inner: R, record_bytes: RecordBytes, quotes: Quotes) -> Self {
        Self {
            inner,
            after_return: false,
            last: b'\n',
            record_bytes,
            quotes,
        }
    }

    fn too_long(&self) -> Error {
        let open = self.quotes.as_ref();
        let open = open.and_then(|quotes| quotes.borrow().open_quote());
        let quote = open.map(|line| format!("; a quote opens on line {line} and is not closed"));
        let quote = quote.unwrap_or_default();
        Error::other(format!(
            "one row is longer than {RECORD_BYTES_MAX} bytes{quote}"
        ))
    }
}

impl<R: BufRead> Read for UniversalNewlines<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let pending = self.record_bytes.get();
        if pending > RECORD_BYTES_MAX {
            return Err(self.too_long());
        }
        loop {
            let input = self.inner.fill_buf()?;
            if input.is_empty() {
                if let Some(quotes) = &self.quotes {
                    quotes.borrow_mut().finish();
                }
                if self.last == b'\n' {
                    return Ok(0);
                }
                self.last = b'\n';
                out[0] = b'\n';
                return Ok(1);
            }
            let taken = input.len().min(out.len());
            let mut written = 0;
            for &byte in &input[..taken] {
                let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
                if byte == b'\n' && follows_return {
                    continue;
                }
                out[written] = if byte == b'\r' { b'\n' } else { byte };
                written += 1;
            }
            self.inner.consume(taken);
            if written > 0 {
                self.last = out[written - 1];
                if let Some(quotes) = &self.quotes {
                    quotes.borrow_mut().follow(&out[..written]);
                }
                self.record_bytes.set(pending + written as u64);
                return Ok(written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(input: &[u8], chunk: usize) -> String {
        let inner = std::io::BufReader::with_capacity(chunk, input);
        let mut text = String::new();
        UniversalNewlines::new(inner, RecordBytes::default(), None)
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn every_line_end_becomes_one_byte_wherever_the_buffer_ends() {
        for chunk in 1..8 {
            assert_eq!(
                read(b"a\r\nb\n\r\n\rc\r", chunk),
                "a\nb\n\n\nc\n",
                "{chunk}"
            );
            assert_eq!(read(b"a", chunk), "a\n");
            assert_eq!(read(b"", chunk), "");
        }
    }

    #[test]
    fn record_over_the_limit_is_refused() {
        let long = vec![b'x'; RECORD_BYTES_MAX as usize * 2];
        let inner = std::io::BufReader::new(long.as_slice());
        let mut newlines = UniversalNewlines::new(inner, RecordBytes::default(), None);
        let error = newlines.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("one row is longer than"));
    }
}
