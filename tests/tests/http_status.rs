//! The example `http_status` answers browsers, benchmarks and attackers that others wrote; whoever is slow harms himself only.

use core::net::Ipv4Addr;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use tests::bounded::Watchdog;
use tests::net::{Client, connect_from, pattern, tcp};
use tests::process::{Ended, Folder, Program, example, run_with};

struct Site {
    program: Program,
    url: String,
    folder: Folder,
}

/// A site with a file of 1 MB and one in a folder; beside it one that is not to be had.
fn start(arguments: &[&str]) -> Site {
    let folder = Folder::new("site");
    fs::create_dir_all(folder.path("root/sub")).expect("a folder");
    fs::write(folder.path("root/big.bin"), pattern(7, 1_000_000)).expect("a file");
    fs::write(folder.path("root/sub/a.txt"), "small\n").expect("a file");
    fs::write(folder.path("root/empty.html"), "").expect("a file");
    fs::write(folder.path("root/.hidden"), "secret").expect("a file");
    fs::write(folder.path("secret.txt"), "secret").expect("a file");
    symlink(folder.path("secret.txt"), folder.path("root/link.txt")).expect("a link");
    symlink(folder.path(""), folder.path("root/up")).expect("a link");
    let root = folder.path("root");
    let program = Program::example("http_status", &[&["--root", &root], arguments].concat());
    let url = format!("http://{}/", program.address());
    Site {
        program,
        url,
        folder,
    }
}

fn head(status: &str, kind: &str, len: usize, connection: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nServer: tidegate\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Connection: {connection}\r\n\r\n"
    )
}

fn ask(client: &mut TcpStream, request: &str) -> String {
    client.say(request.as_bytes());
    String::from_utf8(client.rest()).expect("text")
}

#[test]
fn requests_are_answered_at_every_cut_and_in_pipelines() {
    let _bound = Watchdog::new();
    let site = start(&[]);
    let said =
        b"GET /sub/a.txt HTTP/1.1\r\nHost: x\r\n\r\nHEAD /sub/a.txt HTTP/1.1\r\nhost: x\r\n\r\n\
                 GET /none HTTP/1.1\r\nHost: x\r\n\r\nGET /empty.html HTTP/1.1\r\nHost: x\r\n\r\n";
    let small = head("200 OK", "text/plain", 6, "keep-alive");
    let heard = format!(
        "{small}small\n{small}{}404 Not Found{}",
        head("404 Not Found", "text/plain", 13, "keep-alive"),
        head("200 OK", "text/html", 0, "keep-alive"),
    );
    let mut client = tcp(site.program.address());
    for cut in 0..=said.len() {
        client.say(&said[..cut]);
        client.say(&said[cut..]);
        client.hear(heard.as_bytes());
    }
    for byte in said {
        client.say(&[*byte]);
    }
    client.hear(heard.as_bytes());
    client.say(&said.repeat(50));
    client.hear(heard.repeat(50).as_bytes());
    // What is asked behind a large file waits for it.
    let big = "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /sub/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.say(big.as_bytes());
    client.hear(
        head(
            "200 OK",
            "application/octet-stream",
            1_000_000,
            "keep-alive",
        )
        .as_bytes(),
    );
    client.hear(&pattern(7, 1_000_000));
    let last = head("200 OK", "text/plain", 6, "close") + "small\n";
    assert_eq!(String::from_utf8(client.rest()), Ok(last));
    assert_eq!(site.program.stop().code, Some(0));
}

#[test]
fn what_is_wrong_or_leads_out_is_refused() {
    let _bound = Watchdog::new();
    let mut nowhere = Command::new(example("http_status"));
    let ended = run_with(nowhere.args(["--root", "/nonexistent"]), b"");
    assert!(
        ended.errors.contains("--root /nonexistent: "),
        "{}",
        ended.errors
    );
    assert_eq!(ended.code, Some(1));
    let site = start(&[]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(2000)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(40));
    for (request, status) in [
        (get("/sub/a.txt"), "200 OK"),
        (get("/../secret.txt"), "404"),
        (get("/sub/../../secret.txt"), "404"),
        (get("/%2e%2e/secret.txt"), "404"),
        (get("/..%2fsecret.txt"), "404"),
        (get("//etc/passwd"), "404"),
        (get("/sub/"), "404"),
        (get("/sub"), "404"),
        (get("/.hidden"), "404"),
        (get("/link.txt"), "404"),
        (get("/up/secret.txt"), "404"),
        (get("/a\\..\\b"), "404"),
        ("GET /sub/a.txt HTTP/1.0\r\n\r\n".into(), "200 OK"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        ("nonsense\r\n\r\n".into(), "400"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".into(),
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".into(),
            "405",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            "400",
        ),
        (many, "400"),
        (long, "431"),
    ] {
        let answer = ask(&mut tcp(site.program.address()), &request);
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{request:?}: {answer}");
        assert!(!answer.contains("secret"), "{request:?}: {answer}");
    }
    assert_eq!(site.program.stop().code, Some(0));
    drop(site.folder);
}

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
    assert_eq!(with(&["-d", "x=1", url]), "400 1\n");
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

/// More attackers than one source may have connections, from one address; somebody else is served all the time.
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
            let answer = ask(&mut client, "GET /sub/a.txt HTTP/1.0\r\n\r\n");
            assert!(answer.ends_with("\r\n\r\nsmall\n"), "{answer}");
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
fn slow_headers_hold_up_nobody_else() {
    let _bound = Watchdog::new();
    attack(&["-H", "-i", "2"]);
}

#[test]
#[ignore = "needs slowhttptest"]
fn slow_reading_holds_up_nobody_else() {
    let _bound = Watchdog::new();
    attack(&[
        "-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "3",
    ]);
}
