//! The files of Unix sockets, of listeners and of datagram sockets: permissions and owner from the first moment, a stale one
//! replaced, another's kept, ours removed.

use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::{Signal, umask};
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use tests::bounded::Watchdog;
use tests::process::{Folder, Program};
use tests::server::{Echo, deaf, memory};
use tidegate::{
    Address, Config, DatagramMemory, Datagrams, Errno, Error, Listen, Server, SocketFile,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Listener,
    Datagrams,
}

const KINDS: [Kind; 2] = [Kind::Listener, Kind::Datagrams];

type Echoing = Server<'static, Echo>;

/// A server with memory for datagrams, and no listener.
fn fresh() -> Echoing {
    let memory = memory::<1, 64, 64, ()>();
    let mut server = Server::new(memory, &Config::default(), Echo).expect("a server");
    server.set_datagram_memory(Box::leak(Box::new(DatagramMemory::<4096, 4096>::new())));
    server
}

fn open(server: &mut Echoing, kind: Kind, path: &str, file: SocketFile) -> Result<(), Error> {
    let address = Address::Unix(path);
    match kind {
        Kind::Listener => {
            let listen = Listen {
                file,
                ..Listen::on(address)
            };
            server.listen(&listen).map(|_| ())
        }
        Kind::Datagrams => {
            let socket = Datagrams {
                file,
                receive: 64,
                send: 64,
                ..Datagrams::on(address)
            };
            server.datagrams(&socket).map(|_| ())
        }
    }
}

fn found(path: &str) -> Option<Metadata> {
    fs::symlink_metadata(path).ok()
}

/// Leaves a file behind, as one that crashed does; returns its inode.
fn leave(kind: Kind, path: &str) -> u64 {
    match kind {
        Kind::Listener => drop(UnixListener::bind(path).expect("bound")),
        Kind::Datagrams => drop(UnixDatagram::bind(path).expect("bound")),
    }
    found(path).expect("left").ino()
}

const PLAIN: SocketFile = SocketFile::DEFAULT;

#[test]
fn a_stale_file_is_replaced_and_removed_at_the_end() {
    let _bound = Watchdog::new();
    for kind in KINDS {
        for left_by in KINDS {
            let folder = Folder::new("stale");
            let path = folder.path("s");
            leave(left_by, &path);
            let mut server = fresh();
            open(&mut server, kind, &path, PLAIN)
                .unwrap_or_else(|e| panic!("{kind:?} {left_by:?}: {e}"));
            assert!(found(&path).is_some_and(|it| it.file_type().is_socket()));
            drop(server);
            assert!(found(&path).is_none(), "{kind:?}");

            let mut server = fresh();
            leave(left_by, &path);
            let refuse = SocketFile {
                replace: false,
                ..PLAIN
            };
            let error = open(&mut server, kind, &path, refuse).expect_err("it is there");
            assert_eq!(error.errno(), Some(Errno::ADDRINUSE), "{kind:?}");
            assert!(found(&path).is_some(), "{kind:?}");
        }
    }
}

/// One that another process or this one serves.
fn others(kind: Kind, path: &str) -> OwnedFd {
    let socket_type = match kind {
        Kind::Listener => SocketType::STREAM,
        Kind::Datagrams => SocketType::DGRAM,
    };
    let socket = socket_with(AddressFamily::UNIX, socket_type, SocketFlags::CLOEXEC, None);
    let socket = socket.expect("a socket");
    bind(&socket, &SocketAddrUnix::new(path).expect("a path")).expect("bound");
    if kind == Kind::Listener {
        // With a queue that is soon full.
        listen(&socket, 0).expect("listening");
    }
    socket
}

#[test]
fn what_another_serves_stays_and_the_error_names_it() {
    let _bound = Watchdog::new();
    for kind in KINDS {
        for its in KINDS {
            let folder = Folder::new("live");
            let path = folder.path("s");
            let theirs = others(its, &path);
            let inode = found(&path).expect("bound").ino();
            let mut server = fresh();
            // The first fills the queue.
            for _ in 0..4 {
                let error = open(&mut server, kind, &path, PLAIN).expect_err("in use");
                assert_eq!(
                    error.errno(),
                    Some(Errno::ADDRINUSE),
                    "{kind:?} {its:?}: {error}"
                );
                assert!(error.to_string().contains("address in use"), "{error}");
            }
            if (kind, its) == (Kind::Listener, Kind::Listener) {
                let fresh = folder.path("fresh");
                let _theirs = others(its, &fresh);
                let error = open(&mut server, kind, &fresh, PLAIN).expect_err("in use");
                let id = std::process::id();
                assert!(
                    matches!(error, Error::Open { holder: Some(holder), .. } if holder == id),
                    "{error}"
                );
                let said = format!("by process {}", std::process::id());
                assert!(error.to_string().contains(&said), "{error}");
            }
            drop(server);
            assert_eq!(
                found(&path).map(|it| it.ino()),
                Some(inode),
                "{kind:?} {its:?}"
            );
            drop(theirs);
        }
    }
}

#[test]
fn what_is_no_socket_stays() {
    let _bound = Watchdog::new();
    for kind in KINDS {
        let folder = Folder::new("files");
        let (file, link, dangling) = (folder.path("f"), folder.path("l"), folder.path("d"));
        fs::write(&file, "precious").expect("written");
        leave(kind, &folder.path("s"));
        symlink(folder.path("s"), &link).expect("linked");
        symlink(folder.path("nothing"), &dangling).expect("linked");
        for path in [&file, &link, &dangling] {
            let error = open(&mut fresh(), kind, path, PLAIN).expect_err("no socket");
            assert_eq!(error.errno(), Some(Errno::NOTSOCK), "{path}");
            assert!(
                error.to_string().contains("a file that is not a socket"),
                "{error}"
            );
            assert!(found(path).is_some(), "{path}");
        }
        assert!(found(&folder.path("s")).is_some());
        assert!(found(&folder.path("nothing")).is_none());
        let error = open(&mut fresh(), kind, &folder.path("f/s"), PLAIN).expect_err("no folder");
        assert_eq!(error.errno(), Some(Errno::NOTDIR));
    }
}

#[test]
fn only_our_own_file_is_removed() {
    let _bound = Watchdog::new();
    for kind in KINDS {
        let folder = Folder::new("own");
        let path = folder.path("s");
        let mut server = fresh();
        open(&mut server, kind, &path, PLAIN).expect("bound");
        fs::remove_file(&path).expect("removed");
        let _theirs = others(kind, &path);
        drop(server);
        assert!(found(&path).is_some(), "{kind:?}");

        // A socket that does not fit is closed at once.
        let mut full =
            deaf::<1, 64, 64, _>(tests::modes::MODES[0], memory(), &Config::default(), Echo);
        for n in 0..16 {
            full.listen(&Listen::on(Address::Unix(&folder.path(&format!("n{n}")))))
                .expect("a place");
        }
        let one_more = folder.path("more");
        full.listen(&Listen::on(Address::Unix(&one_more)))
            .expect_err("no place");
        assert!(found(&one_more).is_none());
    }
}

#[test]
fn a_listener_that_stops_takes_its_file_along() {
    let _bound = Watchdog::new();
    for mode in tests::modes::MODES {
        let folder = Folder::new("stop");
        let path = folder.path("s");
        let mut server = deaf::<1, 64, 64, _>(mode, memory(), &Config::default(), Echo);
        server
            .listen(&Listen::on(Address::Unix(&path)))
            .expect("bound");
        server.stop();
        while !server.is_stopped() {
            server.turn(None).expect("a turn");
        }
        assert!(found(&path).is_none(), "{mode}");
        // The path is another's now.
        let _theirs = others(Kind::Listener, &path);
        drop(server);
        assert!(found(&path).is_some(), "{mode}");
    }
}

/// The umask of this process, as the kernel reports it.
fn own_umask() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.expect("a umask").trim().to_owned()
}

#[test]
fn a_mode_is_had_whatever_the_umask_is() {
    let _bound = Watchdog::new();
    let _ = umask(Mode::from_raw_mode(0o022));
    for kind in KINDS {
        for (mode, had) in [
            (None, 0o755),
            (Some(0o600), 0o600),
            (Some(0o660), 0o660),
            (Some(0o666), 0o666),
            (Some(0o777), 0o777),
            (Some(0), 0),
        ] {
            let folder = Folder::new("mode");
            let path = folder.path("s");
            let mut server = fresh();
            open(&mut server, kind, &path, SocketFile { mode, ..PLAIN }).expect("bound");
            let found = found(&path).expect("there").mode() & 0o7777;
            assert_eq!(found, had, "{kind:?} {mode:?}");
            assert_eq!(own_umask(), "0022");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn an_owner_is_given_to_a_socket_alone() {
    let _bound = Watchdog::new();
    for kind in KINDS {
        let folder = Folder::new("owner");
        let path = folder.path("s");
        let mut server = fresh();
        let file = SocketFile {
            mode: Some(0o660),
            user: Some(65_533),
            group: Some(65_534),
            ..PLAIN
        };
        open(&mut server, kind, &path, file).expect("bound");
        let it = found(&path).expect("there");
        assert_eq!(
            (it.uid(), it.gid(), it.mode() & 0o7777),
            (65_533, 65_534, 0o660),
            "{kind:?}"
        );
        drop(server);
        assert!(found(&path).is_none());
    }
}

/// The program and the examples with Unix sockets of their own; the arguments, and the files that they make.
fn programs(folder: &Folder) -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let at = |name: &str| format!("unix:{}", folder.path(name));
    let listening = |name, more: &[&str]| {
        let more = more.iter().map(|&word| word.to_owned());
        let arguments = ["--listen".to_owned(), at(name)].into_iter().chain(more);
        (name, arguments.collect::<Vec<_>>(), vec![folder.path(name)])
    };
    let mut all = vec![
        listening("tidegate", &["--service", "echo"]),
        listening("http_status", &[]),
        listening("resp_kv", &[]),
        listening("modbus_tcp", &[]),
        listening("relay", &["--to", "127.0.0.1:9"]),
        listening("control_socket", &[]),
    ];
    let (mut sink, show) = (listening("syslog_sink", &[]), folder.path("show"));
    sink.1.extend(["--show".to_owned(), format!("unix:{show}")]);
    sink.2.push(show);
    all.push(sink);
    all
}

fn start(name: &str, arguments: &[String], files: &[String]) -> Program {
    let mut command = match name {
        "tidegate" => std::process::Command::new(tests::process::program()),
        name => std::process::Command::new(tests::process::example(name)),
    };
    let mut program = Program::spawn(command.args(arguments));
    for file in files {
        program.wait_for(&format!("listening on unix:{file}"));
    }
    program
}

#[test]
fn the_program_and_every_example_start_again_after_a_crash() {
    let _bound = Watchdog::new();
    let folder = Folder::new("crash");
    for (name, arguments, files) in programs(&folder) {
        let program = start(name, &arguments, &files);
        // Of a control socket alone the owner is master.
        let mode = if name == "control_socket" {
            0o600
        } else {
            0o666
        };
        for file in &files {
            assert_eq!(
                found(file).expect("there").mode() & 0o777,
                mode,
                "{name} {file}"
            );
        }
        program.signal(Signal::KILL);
        assert_eq!(program.end().code, None);
        for file in &files {
            assert!(found(file).is_some(), "{name}");
        }
        let program = start(name, &arguments, &files);
        assert_eq!(program.stop().code, Some(0), "{name}");
        for file in &files {
            assert!(found(file).is_none(), "{name} {file}");
        }
        let more = ["--socket-mode", "0640"].map(str::to_owned);
        let program = start(name, &[&arguments[..], &more].concat(), &files);
        for file in &files {
            assert_eq!(
                found(file).expect("there").mode() & 0o777,
                0o640,
                "{name} {file}"
            );
        }
        assert_eq!(program.stop().code, Some(0), "{name}");
    }
}

#[test]
fn orders_are_taken_from_the_own_user_only() {
    let _bound = Watchdog::new();
    let folder = Folder::new("orders");
    let path = folder.path("control");
    let control = format!("unix:{path}");
    let program = Program::start(&["--control", &control, "--socket-mode", "0666"]);
    assert_eq!(found(&path).expect("there").mode() & 0o777, 0o600);
    assert_eq!(program.stop().code, Some(0));
    assert!(found(&path).is_none());
}
