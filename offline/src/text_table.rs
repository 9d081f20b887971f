//! Tables for people: columns aligned by what a terminal shows, not by bytes or characters.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Widest cell; longer texts end in an ellipsis.
const CELL_WIDTH_MAX: usize = 48;

/// Which side of a column its texts touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells under headings, which may be empty.
pub(crate) struct TextTable {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns
            .iter()
            .map(|(name, align)| ((*name).to_owned(), *align));
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| shortened(&cell)).collect());
    }

    /// The table, each line indented by `indent` blanks and ended by a newline.
    pub(crate) fn render(&self, indent: usize) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let headed = headings.iter().any(|heading| !heading.is_empty());
        let lines = headed.then_some(&headings).into_iter().chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                lines
                    .clone()
                    .map(|cells| cell(cells, at).width())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for cells in lines {
            let mut line = " ".repeat(indent);
            for (at, (_, align)) in self.columns.iter().enumerate() {
                let content = cell(cells, at);
                let blanks = " ".repeat(widths[at].saturating_sub(content.width()));
                let gap = if at == 0 { "" } else { "  " };
                match align {
                    Align::Left => line.extend([gap, content, &blanks]),
                    Align::Right => line.extend([gap, &blanks, content]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn cell(cells: &[String], at: usize) -> &str {
    cells.get(at).map_or("", String::as_str)
}

/// One line of at most [`CELL_WIDTH_MAX`] columns; control characters become blanks, so that a
/// product name can neither break a table nor command a terminal.
fn shortened(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.width() <= CELL_WIDTH_MAX {
        return line;
    }
    let mut width = 0;
    let fitting = line.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width < CELL_WIDTH_MAX
    });
    let mut short: String = fitting.collect();
    short.push('…');
    short
}

/// A count with thousands set apart: 397,884.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_long_and_hostile_texts_stay_aligned() {
        let mut table = TextTable::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(["灯".to_owned(), "1".to_owned()]);
        table.row(["a\u{1b}[2J\nb".to_owned(), "22".to_owned()]);
        table.row(["x".repeat(90), "333".to_owned()]);
        let text = table.render(1);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines
                .iter()
                .all(|line| line.width() == 1 + CELL_WIDTH_MAX + 2 + 3),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1000, 397_884, 1_000_000].map(grouped).join(" "),
            "0 999 1,000 397,884 1,000,000"
        );
    }
}
