//! The example `relay`: bytes and EOF go through it both ways, however slow a side is, and others are not delayed.

use core::net::SocketAddr;
use rustix::process::Signal;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use tests::bounded::{Watchdog, until};
use tests::modes::MODES;
use tests::net::{Client, is_refused, pattern, resident, tcp, unix};
use tests::process::{Folder, Program, example, run_with};
use tests::server::{Echo, Running, memory, server};
use tidegate::{Config, Conn, Destination, Handler, Reason, Token};

fn relay(listen: &[&str], to: &str) -> Program {
    let mut command = Command::new(example("relay"));
    for place in listen {
        command.args(["--listen", place]);
    }
    let mut relay = Program::spawn(command.args(["--to", to]));
    relay.wait_for("listening on ");
    relay
}

fn echo() -> Running<Echo> {
    Running::start::<64, 4096, 16_384>(MODES[0], memory(), &Config::default(), Echo)
}

#[test]
fn bytes_and_ends_go_both_ways() {
    let _bound = Watchdog::new();
    let echo = echo();
    let relay = relay(&["127.0.0.1:0"], &echo.address().to_string());
    let clients: Vec<_> = (0..8)
        .map(|seed| {
            let address = relay.address();
            thread::spawn(move || {
                let said = pattern(seed, 300_000);
                let mut client = tcp(address);
                let mut sends = client.try_clone().expect("a copy");
                let sender = thread::spawn({
                    let said = said.clone();
                    move || {
                        sends.write_all(&said).expect("sent");
                        sends.finish();
                    }
                });
                // FIN is forwarded by itself: what is still in flight the other way still comes.
                assert!(client.rest() == said);
                sender.join().expect("sent");
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().expect("all of it"));
    let stats = echo.stop();
    assert_eq!(stats.accepted, 8);
}

#[test]
fn the_server_may_speak_first_and_finish_first() {
    let _bound = Watchdog::new();
    let folder = Folder::new("relay");
    let (place, path) = (format!("unix:{}", folder.path("r")), folder.path("r"));
    let server = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = server.local_addr().expect("an address").to_string();
    let _relay = relay(&[&place], &to);
    let mut client = unix(&path);
    let (mut far, _) = server.accept().expect("it connects");
    far.say(b"220 hello");
    client.hear(b"220 hello");
    far.finish();
    assert_eq!(client.rest(), b"", "the end of the server");
    client.say(b"still here");
    client.finish();
    assert_eq!(far.rest(), b"still here");
}

#[test]
fn a_slow_side_backpressures_the_other_and_no_third() {
    let _bound = Watchdog::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = server.local_addr().expect("an address").to_string();
    let relay = relay(&["127.0.0.1:0"], &to);
    let slow = tcp(relay.address());
    let (mut far, _) = server.accept().expect("it connects");
    let before = resident(relay.pid());
    // The far end reads nothing: sooner or later no more is taken.
    slow.set_nonblocking(true).expect("non-blocking");
    let mut sent = 0u64;
    let said = pattern(1, 64 * 1024);
    let mut quiet = 0;
    while quiet < 50 {
        let at = usize::try_from(sent % said.len() as u64).expect("small");
        match (&slow).write(&said[at..]) {
            Ok(n) => (sent, quiet) = (sent + n as u64, 0),
            Err(_) => {
                quiet += 1;
                thread::sleep(core::time::Duration::from_millis(2));
            }
        }
    }
    assert!(
        resident(relay.pid()) < before + 1024 * 1024,
        "it is not buffered here"
    );
    // Another client, and the other direction, go on.
    let mut other = tcp(relay.address());
    let (mut its, _) = server.accept().expect("it connects");
    other.echo_through(&mut its);
    far.say(b"the other way");
    slow.set_nonblocking(false).expect("blocking");
    let mut slow: TcpStream = slow;
    slow.hear(b"the other way");
    slow.finish();
    let all = far.rest();
    assert_eq!(all.len() as u64, sent);
    assert!(all.chunks(said.len()).all(|chunk| said.starts_with(chunk)));
}

/// One sends something to the other.
trait EchoThrough {
    fn echo_through(&mut self, far: &mut Self);
}

impl<C: Client> EchoThrough for C {
    fn echo_through(&mut self, far: &mut Self) {
        self.say(b"question");
        far.hear(b"question");
        far.say(b"answer");
        self.hear(b"answer");
    }
}

#[test]
fn whom_it_cannot_serve_it_resets_and_goes_on() {
    let _bound = Watchdog::new();
    let folder = Folder::new("relay");
    let path = folder.path("nobody");
    let mut relay = relay(&["127.0.0.1:0"], &format!("unix:{path}"));
    for _ in 0..3 {
        assert!(is_refused(relay.address()));
    }
    assert!(!relay.has_ended());
    until("it says why", || {
        relay.errors().matches("connection refused").count() == 3
    });
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
    let mut client = tcp(relay.address());
    let (mut far, _) = listener.accept().expect("it connects");
    client.say(b"abc");
    far.hear(b"abc");
    tests::net::reset(client);
    assert!(
        far.is_reset() || far.rest().is_empty(),
        "the end of one is the end of both"
    );
}

#[test]
#[ignore = "needs socat"]
fn socat() {
    let _bound = Watchdog::new();
    let echo = echo();
    let relay = relay(&["127.0.0.1:0"], &echo.address().to_string());
    let said = "a line of text\n".repeat(50_000);
    let mut command = Command::new("socat");
    command.args(["-t", "10", "-", &format!("TCP:{}", relay.address())]);
    let ended = run_with(&mut command, said.as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.output == said, "{} bytes", ended.output.len());
}

#[test]
#[ignore = "needs curl and python3"]
fn curl() {
    let _bound = Watchdog::new();
    let folder = Folder::new("relay");
    let page = "0123456789\n".repeat(100_000);
    std::fs::write(folder.path("page"), &page).expect("a file");
    let mut python = Command::new("python3");
    python.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]);
    let mut server = Program::spawn(python.current_dir(folder.path(".")));
    let line = server.wait_for("Serving HTTP on ");
    let port = line.split_whitespace().nth(5).expect("a port").to_owned();
    let relay = relay(&["127.0.0.1:0"], &format!("127.0.0.1:{port}"));
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "--parallel"]);
    for _ in 0..8 {
        command.arg(format!("http://{}/page", relay.address()));
    }
    let ended = run_with(&mut command, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!(ended.output.len(), 8 * page.len());
}

#[test]
#[ignore = "needs iperf3"]
fn iperf3() {
    let _bound = Watchdog::new();
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").port().to_string()
    };
    let mut server = Command::new("iperf3");
    server.args(["-s", "-B", "127.0.0.1", "-p", &port, "--forceflush"]);
    let mut server = Program::spawn(&mut server);
    server.wait_for("Server listening");
    let relay = relay(&["127.0.0.1:0"], &format!("127.0.0.1:{port}"));
    for way in [&["-P", "4"][..], &["-P", "4", "-R"]] {
        let mut client = Command::new("iperf3");
        let at = relay.address().port().to_string();
        client
            .args(["-c", "127.0.0.1", "-p", &at, "-n", "64M"])
            .args(way);
        let ended = run_with(&mut client, b"");
        assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
        assert!(ended.output.contains("iperf Done."), "{}", ended.output);
    }
}

/// Clients that keep a connection whose server has ended (every pool does) do not lock others out, and one in use
/// stays.
#[test]
fn half_closed_pairs_are_evicted() {
    let _bound = Watchdog::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let relay = relay(
        &["127.0.0.1:0"],
        &server.local_addr().expect("its address").to_string(),
    );
    let mut used = tcp(relay.address());
    let (mut far, _) = server.accept().expect("it connects");
    used.echo_through(&mut far);
    let mut kept = Vec::new();
    for n in 0..40 {
        let mut client = tcp(relay.address());
        let (mut far, _) = server.accept().expect("it connects");
        far.write_all(b"all there is").expect("sent");
        drop(far);
        assert_eq!(client.rest(), b"all there is", "client {n}");
        kept.push(client);
    }
    used.echo_through(&mut far);
}

/// A client that has just connected when the relay is stopped gets its reply through it, from a real server, all of it:
/// accepted by then, or still in the queue.
#[test]
fn a_new_client_gets_its_reply_through_it_at_a_stop() {
    let _bound = Watchdog::new();
    let echo = echo();
    let relay = relay(&["127.0.0.1:0"], &echo.address().to_string());
    let mut idle = tcp(relay.address());
    idle.echo(b"hello");
    let mut accepted = tcp(relay.address());
    echo.stats_when("it is connected", |stats| stats.accepted == 2);
    relay.signal(Signal::STOP);
    let mut queued = tcp(relay.address());
    relay.signal(Signal::TERM);
    relay.signal(Signal::CONT);
    // It sees EOF, so the stop was handled.
    assert_eq!(idle.rest(), b"");
    drop(idle);
    for client in [&mut accepted, &mut queued] {
        client.echo(&pattern(1, 3000));
        let said = pattern(2, 300_000);
        let mut sends = client.try_clone().expect("a copy");
        let sender = thread::spawn({
            let said = said.clone();
            move || {
                sends.write_all(&said).expect("sent");
                sends.finish();
            }
        });
        assert!(client.rest() == said);
        sender.join().expect("sent");
    }
    let ended = relay.end();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
}

/// Forwards what comes, with an outbound connection for each: for all modes, which the example has not.
struct Relays(SocketAddr);

impl Handler for Relays {
    type State = Option<Token>;

    fn opened(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        *other = match conn.origin() {
            Some(origin) => {
                conn.with(origin, |origin| origin.resume());
                Some(origin)
            }
            None => {
                conn.pause();
                conn.connect(Destination::Inet(self.0)).ok()
            }
        };
    }

    fn readable(&mut self, conn: &mut Conn<'_>, other: &mut Self::State) {
        let data = conn.data();
        conn.consume(data.len());
        let sent = conn.send_to(other.expect("a pair"), data);
        sent.expect("there is room");
    }

    fn closed(&mut self, conn: &mut Conn<'_>, other: &mut Self::State, _: Reason) {
        if let Some(other) = *other {
            conn.with(other, |other| other.finish());
        }
    }
}

#[test]
fn a_stop_spares_the_first_exchange_of_a_pair_in_every_mode() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let echo = echo();
        let relays = Relays(echo.address());
        let config = Config::default();
        let (mut server, address) = server::<8, 4096, 16_384, _>(mode, memory(), &config, relays);
        let handle = server.stop_handle().expect("a handle");
        let clients = thread::spawn(move || {
            let mut idle = tcp(address);
            idle.echo(b"hello");
            let mut fresh = tcp(address);
            echo.stats_when("it is connected", |stats| stats.accepted == 2);
            handle.stop();
            assert_eq!(idle.rest(), b"", "{mode}");
            drop(idle);
            for n in 0..5 {
                fresh.echo(&pattern(n, 3000));
            }
            fresh.finish();
            assert_eq!(fresh.rest(), b"", "{mode}");
        });
        server.run().expect("a wait");
        clients.join().expect("clients");
    }
}
