//! What only io_uring has: buffers that all connections share, submissions that hold a socket, and kernels that refuse.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io::Read;
use std::process::Command;
use std::thread;
use tests::bounded::Watchdog;
use tests::modes::Mode;
use tests::net::{Client, pattern, tcp};
use tests::process::{Folder, Program, program};
use tests::server::{anywhere, memory, serve, server, turn_until};
use tidegate::backend::{Kind, Uring};
use tidegate::{Config, Conn, Handler, Memory, Server, Trigger};

const URING: Mode = Mode {
    backend: Kind::Uring,
    trigger: Trigger::Level,
};

/// Echoes; but a client whose first byte is `h` is backpressured while `holds` is set, and then only counted.
struct Holds<'a> {
    holds: &'a AtomicBool,
    counted: usize,
}

impl Handler for Holds<'_> {
    type State = Option<u8>;

    fn readable(&mut self, conn: &mut Conn<'_>, first: &mut Option<u8>) {
        let data = conn.data();
        *first = first.or(data.first().copied());
        if *first != Some(b'h') {
            let n = data.len().min(conn.capacity());
            if conn.send(&data[..n]).is_ok() {
                conn.consume(n);
            }
        } else if self.holds.load(Ordering::Relaxed) {
            // Not at the first byte: the kernel is to receive on.
            if data.len() > 1 {
                conn.pause();
            }
        } else {
            assert!(data.iter().all(|byte| *byte == b'h'), "bytes of another");
            self.counted += data.len();
            conn.consume(data.len());
        }
    }
}

/// Far more than all buffers hold is sent to connections that take none of it.
#[test]
fn a_connection_that_takes_nothing_takes_no_buffer_from_others() {
    const HELD: usize = 150;
    const EACH: usize = 50_000;
    let _bound = Watchdog::new();
    let holds: &AtomicBool = Box::leak(Box::new(AtomicBool::new(true)));
    let handler = Holds { holds, counted: 0 };
    let config = Config {
        request: None,
        ..Config::default()
    };
    let (mut server, address) = server::<160, 1024, 4096, _>(URING, memory(), &config, handler);
    let mut held: Vec<_> = (0..HELD).map(|_| tcp(address)).collect();
    for client in &mut held {
        client.say(b"h");
    }
    turn_until(&mut server, "all are received from", |stats| {
        stats.bytes_in == HELD as u64
    });
    let full: Vec<_> = (held.into_iter())
        .map(|mut client| {
            thread::spawn(move || {
                client.say(&vec![b'h'; EACH]);
                client
            })
        })
        .collect();
    turn_until(&mut server, "all send", |stats| {
        stats.bytes_in >= 1000 * HELD as u64
    });
    serve(&mut server, || {
        let mut clients = [(); 4].map(|()| tcp(address));
        for client in &mut clients {
            client.echo(b"echo");
        }
        for round in 0..50 {
            for (n, client) in (0..).zip(&mut clients) {
                client.echo(&pattern(round * 4 + n, 3000));
            }
        }
    });
    assert_eq!(server.session().handler().counted, 0, "they are held");

    holds.store(false, Ordering::Relaxed);
    let machine = server.session().machine();
    let tokens: Vec<_> = machine.connections().collect();
    for token in tokens {
        server.session_mut().with(token, |_, conn, _| conn.resume());
    }
    turn_until(&mut server, "everything came", |stats| {
        stats.bytes_in >= (HELD * (1 + EACH)) as u64 + 4 * (4 + 50 * 3000)
    });
    assert_eq!(server.session().handler().counted, HELD * (1 + EACH));
    for client in full {
        let client = client.join().expect("all of it was sent");
        client.finish();
    }
    turn_until(&mut server, "all are gone", |stats| stats.open == 0);
}

/// A submission that is under way holds its socket: it must not outlive the server.
#[test]
fn a_server_that_is_dropped_leaves_nothing_under_way() {
    let _bound = Watchdog::new();
    if let Err(error) = Uring::new(1) {
        eprintln!("not tested here: {error}");
        return;
    }
    let mut memory = Box::new(Memory::<4, 64, 64>::new());
    for _ in 0..3 {
        let ring =
            Uring::new(Memory::<4, 64, 64>::ENTRIES.try_into().expect("few")).expect("a ring");
        let config = Config::default();
        let mut server = Server::with_backend(&mut memory, &config, tests::server::Echo, ring)
            .expect("a server");
        let (_, address) = server.listen(&anywhere()).expect("listening");
        let address = address.expect("an address");
        let mut clients = [(); 4].map(|()| tcp(address));
        serve(&mut server, || {
            for client in &mut clients {
                client.echo(b"hello");
            }
        });
        drop(server);
        for client in &mut clients {
            client.set_nonblocking(true).expect("set");
            let end = client.read(&mut [0]).expect("the end is there at once");
            assert_eq!(end, 0);
        }
    }
}

#[test]
#[ignore = "needs strace"]
fn where_it_is_refused_epoll_serves() {
    let _bound = Watchdog::new();
    let folder = Folder::new("refused");
    for (call, errno, says) in [
        ("io_uring_setup", "ENOSYS", "no io_uring"),
        ("io_uring_setup", "EPERM", "io_uring_disabled"),
        ("io_uring_setup", "EINVAL", "older than Linux 6.1"),
        ("io_uring_setup", "ENOMEM", "RLIMIT_MEMLOCK is "),
        ("io_uring_register", "ENOMEM", "RLIMIT_MEMLOCK is "),
        ("io_uring_register", "EACCES", "io_uring_register failed"),
        ("io_uring_enter", "EPERM", "io_uring_enter failed"),
    ] {
        let mut command = Command::new("strace");
        // Not a parent: signals are for the program.
        command.args(["-D", "-q", "-o", &folder.path("log")]);
        command.args(["-e", "signal=none"]);
        command.args(["-e", &format!("inject={call}:error={errno}"), "--"]);
        command.arg(program());
        command.args(["--service", "echo", "--backend", "uring"]);
        command.args(["--listen", "127.0.0.1:0"]);
        let mut program = Program::spawn(&mut command);
        program.wait_for("listening on ");
        tcp(program.address()).echo(b"hello");
        let told = program.stop();
        for part in ["--backend uring", says, "serving by epoll"] {
            assert!(told.errors.contains(part), "{call}, {errno}: {told:?}");
        }
    }
}
