//! Clients, benchmarks and attackers that others wrote.

use super::start;
use core::net::Ipv4Addr;
use std::fs;
use std::process::Command;
use std::thread;
use tests::bounded::Watchdog;
use tests::http::Response;
use tests::net::{Client, connect_from, pattern};
use tests::process::{Ended, run_with};

fn run(command: &str, arguments: &[&str]) -> Ended {
    let ended = run_with(Command::new(command).args(arguments), b"");
    assert_eq!(
        ended.code,
        Some(0),
        "{command}: {}{}",
        ended.output,
        ended.errors
    );
    ended
}

#[test]
#[ignore = "needs curl"]
fn curl() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let (url, file) = (&site.url, site.folder.path("got"));
    let page = run("curl", &["-sS", url]).output;
    assert!(page.contains("<tr><td>requests<td>1\n"), "{page}");
    let heads = run("curl", &["-sSI", url, &format!("{url}big.bin")]).output;
    assert!(heads.contains("Content-Length: 1000000\r\n"), "{heads}");
    let code = ["-sS", "-o", &file, "-w", "%{http_code} %{num_connects}\n"];
    let with = |more: &[&str]| run("curl", &[&code[..], more].concat()).output;
    assert_eq!(with(&[&format!("{url}big.bin")]), "200 1\n");
    assert!(fs::read(&file).expect("a file") == pattern(7, 1_000_000));
    assert_eq!(with(&[&format!("{url}none")]), "404 1\n");
    assert_eq!(
        with(&["--path-as-is", &format!("{url}../secret.txt")]),
        "404 1\n"
    );
    assert_eq!(with(&["-d", "x=1", url]), "405 1\n");
    let upload = site.folder.path("root/big.bin");
    for how in [
        &["-T", &upload][..],
        &["--data-binary", &format!("@{upload}")],
        &["-H", "Expect:", "-T", &upload],
    ] {
        assert_eq!(with(&[how, &[url]].concat()), "405 1\n", "{how:?}");
    }
    assert_eq!(with(&["-X", "OPTIONS", url]), "204 1\n");
    assert_eq!(with(&[&format!("{url}sub/b%20c?x=../y")]), "404 1\n");
    // A download that was cut goes on, and is whole.
    let big = format!("{url}big.bin");
    fs::write(&file, &pattern(7, 1_000_000)[..123_456]).expect("a part");
    assert_eq!(with(&["-C", "-", &big]), "206 1\n");
    assert!(fs::read(&file).expect("a file") == pattern(7, 1_000_000));
    // One that the client has is not sent again.
    let (tag, got) = (site.folder.path("tag"), site.folder.path("again"));
    assert_eq!(with(&["--etag-save", &tag, &big]), "200 1\n");
    let again = [
        "-sS",
        "-o",
        &got,
        "-w",
        "%{http_code} %{size_download}",
        &big,
    ];
    for how in [["--etag-compare", &tag], ["-z", &file]] {
        assert_eq!(
            run("curl", &[&how[..], &again].concat()).output,
            "304 0",
            "{how:?}"
        );
    }
    let twice = with(&[url, "-o", &file, url]);
    assert_eq!(twice, "200 1\n200 0\n", "one connection for both");
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
#[ignore = "needs wrk"]
fn wrk() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let big = format!("{}big.bin", site.url);
    for url in [&site.url, &big] {
        let said = run("wrk", &["-t1", "-c50", "-d2s", url]).output;
        assert!(
            said.contains("Requests/sec:") && !said.contains("Non-2xx"),
            "{said}"
        );
        assert!(!said.contains("Socket errors"), "{said}");
    }
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
#[ignore = "needs ab"]
fn ab() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let file = format!("{}sub/a.txt", site.url);
    for how in [&["-q"][..], &["-q", "-k"]] {
        let said = run("ab", &[how, &["-n", "2000", "-c", "50", &file]].concat()).output;
        assert!(said.contains("Failed requests:        0\n"), "{said}");
        assert!(!said.contains("Non-2xx"), "{said}");
        let kept = said.contains("Keep-Alive requests:    2000\n");
        assert_eq!(kept, how.contains(&"-k"), "{said}");
    }
    assert_eq!(site.program.stop().code, Some(0));
}

/// More attackers than one source may have connections, from one address; another client is served all the time.
fn attack(arguments: &[&str]) {
    let site = start(&["--per-source", "64"]);
    let url = format!("{}big.bin", site.url);
    let all = [
        &["-c", "200", "-r", "100", "-l", "8", "-u", &url],
        arguments,
    ]
    .concat();
    let address = site.program.address();
    thread::scope(|scope| {
        let attack = scope.spawn(|| run_with(Command::new("slowhttptest").args(&all), b""));
        let mut served = 0;
        while !attack.is_finished() || served == 0 {
            let from = Ipv4Addr::new(127, 0, 0, 77);
            let mut client = connect_from(from, address).expect("connected");
            client.say(b"GET /sub/a.txt HTTP/1.0\r\n\r\n");
            assert_eq!(Response::read(&mut client, false).text(), "small\n");
            served += 1;
            thread::sleep(core::time::Duration::from_millis(20));
        }
        let ended = attack.join().expect("an end");
        assert!(served > 1, "{}", ended.output);
    });
    let ended = site.program.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let refused = ended
        .output
        .split("accepted, ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    assert!(
        refused.is_some_and(|n| n != "0"),
        "the attack came: {}",
        ended.output
    );
}

#[test]
#[ignore = "needs slowhttptest"]
fn slow_headers_delay_no_other() {
    let _bound = Watchdog::new();
    attack(&["-H", "-i", "2"]);
}

#[test]
#[ignore = "needs slowhttptest"]
fn slow_reading_delays_no_other() {
    let _bound = Watchdog::new();
    attack(&[
        "-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "3",
    ]);
}

/// With the head that it really sends, the parts of a page are loaded and run: a module script with the type it must
/// have, after a query, and text in UTF-8 without a declaration.
#[test]
#[ignore = "needs chromium"]
fn a_browser_runs_a_page_of_modules() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let write = |name: &str, text: &str| fs::write(site.folder.path(name), text).expect("a file");
    write(
        "root/page.htm",
        "<!doctype html><title>é</title><p id=p>no</p><script type=module src='m%20odule.mjs?v=1'></script>",
    );
    write(
        "root/m odule.mjs",
        "document.getElementById('p').textContent = 'módule has run';",
    );
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ]);
    browser.args(["--virtual-time-budget=5000", "--dump-dom"]);
    browser.arg(format!("--user-data-dir={}", site.folder.path("profile")));
    browser.arg(format!("{}./sub/../page.htm?x#y", site.url));
    let ended = run_with(&mut browser, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(
        ended.output.contains("<title>é</title>"),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("módule has run"), "{}", ended.output);
    assert_eq!(site.program.stop().code, Some(0));
}
