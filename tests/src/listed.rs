//! The system calls that `docs/system-calls.md` lists.

use std::fs;
use std::path::Path;

/// What is between backquotes in the first column of the tables of the page, without the section that has this title.
///
/// # Panics
///
/// If the page is not as it should be, or has a call twice.
#[must_use]
pub fn system_calls(without: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let page = root.expect("a workspace").join("docs/system-calls.md");
    let page = fs::read_to_string(page).expect("the page");
    let sections = page.split("\n## ");
    let lines = sections
        .filter(|section| without.is_empty() || !section.starts_with(without))
        .flat_map(str::lines);
    let cells = lines.filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let mut calls: Vec<_> = cells
        .flat_map(|cell| cell.split(['`', ' ']))
        .filter(|call| !call.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    let all = calls.len();
    assert!(all > 60, "{calls:?}");
    calls.sort();
    calls.dedup();
    assert_eq!(calls.len(), all, "each is listed once");
    calls
}
