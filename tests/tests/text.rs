//! What the pages of the project point to exists: every file, every heading, every name in it; and `docs/text.md` leaves no lesson out.

extern crate alloc;

use alloc::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{Program, example};

/// The pages of the project, each with the folder that its links start from.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.expect("a workspace");
    let folders = ["", "docs", "linux/tidegate", "core", "core/sim"];
    let folders = folders.map(|folder| root.join(folder));
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let paths = files.map(|file| file.expect("a file").path());
    let pages = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages = pages.map(|path| {
        let page = fs::read_to_string(&path).expect("a page");
        (path.parent().expect("a folder").to_owned(), page)
    });
    pages.collect()
}

/// The page that goes through the text.
fn page() -> String {
    let pages = pages();
    let page = pages.into_iter().map(|(_, page)| page);
    let mut page = page.filter(|page| page.starts_with("# The text, word for word"));
    page.next().expect("docs/text.md")
}

/// The links of the page: their texts, and their targets.
fn links(page: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (at, _) in page.match_indices("](") {
        let begin = page[..at].rfind('[').expect("a beginning");
        let rest = &page[at + 2..];
        let end = rest.find(')').expect("an end");
        links.push((&page[begin + 1..at], &rest[..end]));
    }
    links
}

/// What is between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The heading of a page that `#such-a-name` leads to.
fn has_heading(page: &str, name: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let mut names = headings.map(|heading| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    });
    names.any(|heading| heading == name)
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for (folder, page) in pages() {
        for (text, to) in links(&page) {
            if to.starts_with("https://") {
                continue;
            }
            checked += 1;
            let (file, heading) = to.split_once('#').unwrap_or((to, ""));
            let path = folder.join(file);
            assert!(path.exists(), "[{text}]({to}): there is no such file");
            let Ok(content) = fs::read_to_string(&path) else {
                continue; // A picture.
            };
            assert!(
                heading.is_empty() || has_heading(&content, heading),
                "[{text}]({to}): no such heading is in that page"
            );
            for name in quoted(text) {
                // A test, an example or a fuzz target is named by its file; anything else is in the file.
                let named = to.contains(&format!("/{name}.rs"))
                    || to.contains(&format!("/{name}/"))
                    || to.ends_with(&format!("/{name}"));
                let word = |part: &str| part == name;
                let mut words =
                    content.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
                assert!(
                    named || words.any(word),
                    "[{text}]({to}): no `{name}` is in that file"
                );
            }
        }
    }
    assert!(checked > 120, "{checked} links");
}

#[test]
fn every_lesson_is_there_and_none_is_left_out() {
    let _bound = Watchdog::new();
    let page = page();
    let pointed = quoted_lessons(&page);
    let listed = Program::spawn(Command::new(example("explorer")).arg("--list")).end();
    let names = listed
        .output
        .lines()
        .filter_map(|line| line.split(' ').next());
    let listed: BTreeSet<_> = names.map(ToOwned::to_owned).collect();
    assert_eq!(pointed, listed);
}

fn quoted_lessons(page: &str) -> BTreeSet<String> {
    let spans = quoted(page).filter_map(|span| span.strip_prefix("--lesson "));
    spans.map(ToOwned::to_owned).collect()
}

#[test]
fn the_words_come_in_the_order_of_the_text() {
    let page = page();
    let titles: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(
        titles,
        [
            "1. Blocking",
            "2. Non-blocking",
            "3. I/O multiplexing",
            "4. Polling",
            "5. Event bits",
            "6. The epoll model",
            "7. The program",
        ]
    );
}
