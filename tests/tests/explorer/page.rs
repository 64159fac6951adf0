//! What people see: tables in a terminal, and the page.

use super::{ENDS, explorer};
use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{Folder, run_with};

#[test]
fn a_terminal_shows_tables() {
    let _bound = Watchdog::new();
    let output = explorer(&["--lesson", "five-bytes", "--under", "edge"]);
    for part in [
        "The text's program: five bytes for each report",
        "script: client: send 6; server: serve 5; serve 5; client: send 5; server: serve 5; serve 5\n",
        "on the simulated and the real kernel alike\n",
        " the program ",
        " with tidegate ",
        " LOSES: left: 1; no wait reports it ",
        " FINE: nothing is left; ",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let widest = output
        .lines()
        .filter(|line| line.starts_with('│'))
        .map(|line| line.chars().count());
    assert!(widest.max().is_some_and(|widest| widest <= 120), "{output}");
    let one = explorer(&["--lesson", "level", "--kernel", "simulated"]);
    assert!(one.contains(", on the simulated kernel\n"), "{one}");
    assert!(explorer(&["--help"]).contains("server: serve N"));
}

/// A page with every lesson, and one script.
fn page(folder: &Folder) -> (String, String) {
    let path = folder.path("page.html");
    let said = explorer(&[
        "--lesson",
        "all",
        "client: send 1;\n server: serve 5",
        "--html",
        &path,
    ]);
    assert_eq!(said, "");
    let page = std::fs::read_to_string(&path).expect("a page");
    (path, page)
}

#[test]
fn the_page_needs_nothing_else() {
    let _bound = Watchdog::new();
    let folder = Folder::new("explorer-page");
    let (_, page) = page(&folder);
    for absent in ["://", "src=", "<script", "<link", "<img", "url(", "@import"] {
        assert!(!page.contains(absent), "{absent}");
    }
    for (lesson, _, _) in ENDS {
        assert!(
            page.contains(&format!("<section id=\"{lesson}\">")),
            "{lesson}"
        );
    }
    // One for each lesson and way, where the kernels agree, and three for the script.
    assert_eq!(page.matches("<table>").count(), ENDS.len() + 3);
    assert!(page.contains("&quot;abcde&quot;"), "letters are escaped");
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_shows_the_page() {
    let _bound = Watchdog::new();
    let folder = Folder::new("explorer-browser");
    let (path, page) = page(&folder);
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ]);
    browser.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom"]);
    browser.arg(format!("--user-data-dir={}", folder.path("profile")));
    browser.arg(format!("file://{path}"));
    let ended = run_with(&mut browser, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    // Its page has every table, row and cell: nothing is dropped or moved.
    for part in [
        "<table>",
        "<tr",
        "<td",
        "<h3>",
        "class=\"verdict bad\"",
        "<li><a href=\"#five-bytes\">",
    ] {
        let (written, shown) = (
            page.matches(part).count(),
            ended.output.matches(part).count(),
        );
        assert!(
            written > 0 && written == shown,
            "{part}: {written} written, {shown} shown"
        );
    }
    assert!(ended.output.contains("<h1>Level and edge, seen</h1>"));
    assert!(ended.output.contains("left: 1; no wait reports it"));
}
