//! Tables for people, in one house style: no borders, two blanks between columns, aligned by what a
//! terminal shows and not by bytes or characters.

use crate::text::one_line;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Widest cell of a [`Column::Left`] or [`Column::Right`]; longer texts end in an ellipsis.
const CELL_WIDTH_MAX: usize = 48;

/// A column under its heading, which may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// Names and words.
    Left(&'a str),
    /// Numbers.
    Right(&'a str),
    /// Reasons, errors and digests: as long as they are.
    Text(&'a str),
}

impl<'a> Column<'a> {
    fn heading(self) -> &'a str {
        match self {
            Self::Left(heading) | Self::Right(heading) | Self::Text(heading) => heading,
        }
    }
}

/// Rows of cells. Whatever a cell holds, it stays on one line and commands no terminal.
#[derive(Debug)]
pub struct TextTable<'a> {
    columns: Vec<Column<'a>>,
    rows: Vec<Vec<String>>,
}

impl<'a> TextTable<'a> {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column<'a>>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut cells = cells.into_iter();
        let cell = |column: &Column<'_>| {
            let text = one_line(cells.next().map_or_else(String::new, Into::into));
            match column {
                Column::Text(_) => text,
                Column::Left(_) | Column::Right(_) => shortened(text),
            }
        };
        self.rows.push(self.columns.iter().map(cell).collect());
    }

    /// The table, each line indented by `indent` blanks and ended by a newline.
    pub fn render(&self, indent: usize) -> String {
        let headings: Vec<&str> = self.columns.iter().map(|column| column.heading()).collect();
        let mut builder = Builder::new();
        if headings.iter().any(|heading| !heading.is_empty()) {
            builder.push_record(headings);
        }
        for row in &self.rows {
            builder.push_record(row);
        }
        if builder.count_records() == 0 {
            return String::new();
        }
        let mut table = builder.build();
        table.with((Style::empty(), Padding::new(0, 2, 0, 0)));
        for (at, column) in self.columns.iter().enumerate() {
            if let Column::Right(_) = column {
                table.modify(Columns::one(at), Alignment::right());
            }
        }
        let margin = " ".repeat(indent);
        let line = |line: &str| format!("{}\n", format!("{margin}{line}").trim_end());
        table.to_string().lines().map(line).collect()
    }
}

/// At most [`CELL_WIDTH_MAX`] columns of a terminal.
fn shortened(line: String) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_long_and_hostile_texts_stay_aligned() {
        let mut table = TextTable::new([Column::Left("name"), Column::Right("n")]);
        table.row(["灯", "1"]);
        table.row(["a\u{1b}[2J\nb", "22"]);
        table.row(["x".repeat(90).as_str(), "333"]);
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
    fn numbers_are_right_words_left_and_no_line_ends_in_blanks() {
        let columns = [Column::Left("who"), Column::Right("n"), Column::Text("why")];
        let mut table = TextTable::new(columns);
        table.row(["ab", "7", "because"]);
        table.row(["abcdef", "1000", ""]);
        table.row(["", "", ""]);
        assert_eq!(
            table.render(0),
            "who        n  why\nab         7  because\nabcdef  1000\n\n"
        );
    }

    #[test]
    fn texts_keep_their_length_and_missing_cells_are_empty() {
        let mut table = TextTable::new([Column::Text(""), Column::Text("")]);
        table.row(["f".repeat(64)]);
        assert_eq!(table.render(2), format!("  {}\n", "f".repeat(64)));
    }

    #[test]
    fn table_of_nothing_is_empty() {
        assert_eq!(TextTable::new([Column::Left("")]).render(2), "");
    }
}
