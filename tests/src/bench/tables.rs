//! Markdown.

use super::statistics::Spread;
use std::{fs, path::Path};

/// A table: the first column is text, the others are numbers.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|---|{}\n", "---:|".repeat(head.len().saturating_sub(1)));
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{rule}{rows}", line(&head))
}

/// A ratio with its range: `0.98 (0.95–1.02)`.
pub(super) fn ratio(spread: Option<Spread>) -> String {
    spread.map_or("–".into(), |Spread { median, min, max }| {
        format!("{median:.2} ({min:.2}–{max:.2})")
    })
}

/// A figure without its range, three digits of it.
pub(super) fn figure(spread: Option<Spread>) -> String {
    spread.map_or("–".into(), |spread| digits(spread.median))
}

/// Three digits of a number, at least.
pub(super) fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Puts `text` between the markers of a section, `<!-- bench:NAME -->` and `<!-- bench:end -->`.
///
/// # Errors
///
/// If the markers are not there.
pub fn replace(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- bench:{name} -->"), "<!-- bench:end -->");
    let missing = |what: &str| format!("there is no line {what:?}");
    let (before, rest) = page.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| missing(end))?;
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        text.trim()
    ))
}

/// The same, in a file.
///
/// # Errors
///
/// If it is not there, or the markers are not.
pub fn replace_in(path: &Path, name: &str, text: &str) -> Result<(), String> {
    let said = |error| format!("{}: {error}", path.display());
    let page = fs::read_to_string(path).map_err(|error| said(error.to_string()))?;
    let page = replace(&page, name, text).map_err(said)?;
    fs::write(path, page).map_err(|error| said(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_markdown() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        assert_eq!(
            table(&["x", "y"], &rows),
            "| x | y |\n|---|---:|\n| a | 1 |\n"
        );
        let spread = Spread::of([1.0, 0.5, 2.0]);
        assert_eq!(ratio(spread), "1.00 (0.50–2.00)");
        assert_eq!(ratio(None), "–");
        assert_eq!([1234.5, 45.67, 1.234].map(digits), ["1234", "45.7", "1.23"]);
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = "a\n<!-- bench:one -->\nold\n<!-- bench:end -->\nb\n<!-- bench:two -->\nkept\n<!-- bench:end -->\n";
        let new = replace(page, "one", "new\n").expect("markers");
        assert_eq!(
            new,
            "a\n<!-- bench:one -->\n\nnew\n\n<!-- bench:end -->\nb\n<!-- bench:two -->\nkept\n<!-- bench:end -->\n"
        );
        assert_eq!(replace(&new, "one", "new"), Ok(new.clone()));
        assert!(replace(page, "three", "").is_err_and(|why| why.contains("bench:three")));
    }
}
