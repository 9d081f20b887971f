//! Aligned columns.

use std::io::Write;

/// Writes rows of cells, each column as wide as its widest cell, two spaces between. What people wrote may
/// have line breaks; a row is one line all the same.
pub(super) fn write(out: &mut dyn Write, rows: &[Vec<String>]) -> std::io::Result<()> {
    let cells = |row: &Vec<String>| row.iter().map(|cell| one_line(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A text without the line breaks and tabs that it may have.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}
