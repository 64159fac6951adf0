//! A trace is drawn: a row for each connection, as JSON for Perfetto, and as a page that works in a browser.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{Folder, run_with};
use tests::replay::{Picture, Tape};

fn picture() -> Picture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/echo.trace");
    let tape = Tape::read(&[fs::read(path).expect("a trace")]).expect("entries");
    Picture::of(&tape)
}

#[test]
fn a_row_shows_what_a_connection_was_and_did() {
    let picture = picture();
    let row = picture.rows.iter().find(|row| row.name == "#0");
    let row = row.expect("the first connection");
    let of = |kind: &'static str| row.slices.iter().filter(move |slice| slice.kind == kind);
    let states: Vec<_> = of("state").map(|slice| slice.name).collect();
    assert_eq!(states, ["open", "peer finished", "finishing", "closing"]);
    assert!(of("operation").any(|slice| slice.name == "accept"));
    assert!(of("wait").count() > 3 && of("call").count() > 3);
    // One state after the other, and nothing before the first.
    let mut time = 0;
    for state in of("state") {
        assert!(state.start >= time);
        time = state.start + state.length;
    }
    assert!(row.slices.is_sorted_by_key(|slice| slice.start));
}

#[test]
fn the_json_is_what_perfetto_reads() {
    let picture = picture();
    let json: Value = serde_json::from_str(&picture.chrome()).expect("JSON");
    let events = json["traceEvents"].as_array().expect("a list");
    let slices: usize = picture.rows.iter().map(|row| row.slices.len()).sum();
    assert_eq!(events.len(), picture.rows.len() + slices);
    for event in events {
        let named = event["name"].is_string() && event["tid"].is_u64() && event["pid"] == 1;
        let timed = event["ts"].is_f64() && event["dur"].is_f64();
        assert!(
            named && (event["ph"] == "M" || (event["ph"] == "X" && timed)),
            "{event}"
        );
    }
}

/// Does with the page what a person does, and writes what is seen into its title.
const PERSON: &str = "<script>
const seen = [];
const look = () => document.getElementById('span').textContent;
const mouse = (type, x, y, more) => canvas.dispatchEvent(
  new MouseEvent(type, { clientX: x, clientY: y + canvas.getBoundingClientRect().top, bubbles: true, ...more }));
seen.push(look());
filter.value = '#1';
filter.dispatchEvent(new Event('input'));
seen.push(look());
mouse('mousemove', 500, TOP + 5);
seen.push(tip.style.display + ' ' + tip.textContent);
canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: -1, clientX: LEFT, cancelable: true }));
seen.push(look());
mouse('mousedown', 600, 30);
mouse('mousemove', 500, 30);
window.dispatchEvent(new MouseEvent('mouseup'));
seen.push(look());
mouse('dblclick', 500, 30);
seen.push(look());
document.title = seen.join(' | ');
</script></html>";

#[test]
#[ignore = "needs chromium"]
fn a_browser_zooms_moves_filters_and_explains() {
    let _bound = Watchdog::new();
    let folder = Folder::new("picture");
    let path = folder.path("trace.html");
    let page = picture().page();
    for absent in ["://", "src=", "<link", "<img", "url(", "@import"] {
        assert!(!page.contains(absent), "it needs nothing else: {absent}");
    }
    fs::write(&path, page.replace("</html>", PERSON)).expect("a file");
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1000,600",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--dump-dom",
    ]);
    browser.arg(format!("--user-data-dir={}", folder.path("profile")));
    browser.arg(format!("file://{path}"));
    let ended = run_with(&mut browser, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let title = ended.output.split_once("<title>").expect("a title").1;
    let title = title.split_once("</title>").expect("its end").0;
    let seen: Vec<_> = title.split(" | ").collect();
    let [all, filtered, tip, zoomed, moved, back] = seen[..] else {
        panic!("{title}");
    };
    let rows = picture().rows.len();
    assert!(
        all.starts_with("0 ns to ") && all.ends_with(&format!("{rows} of {rows} rows")),
        "{all}"
    );
    assert!(
        filtered.ends_with(&format!(" 1 of {rows} rows")),
        "{filtered}"
    );
    assert!(tip.starts_with("block open, "), "{tip}");
    let span = |text: &str| text.split(',').next().expect("a span").to_owned();
    assert!(
        zoomed.starts_with("0 ns to ") && span(zoomed) != span(all),
        "{zoomed}"
    );
    assert!(!moved.starts_with("0 ns to "), "{moved}");
    assert_eq!(span(back), span(all));
}
