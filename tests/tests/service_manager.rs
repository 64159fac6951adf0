//! A service manager is notified that the program serves, how many, that it lives, and that it stops; it passes
//! sockets.

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::Signal;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{fs, io};
use tests::bounded::{SOON, Watchdog, until};
use tests::net::{Client, pattern, tcp, unix};
use tests::process::{Folder, Program, program};
use tests::strace::{Strace, thread_named};

/// What stands in for the service manager.
struct Manager {
    hears: UnixDatagram,
    path: String,
}

impl Manager {
    fn new(folder: &Folder) -> Self {
        let path = folder.path("notify");
        let hears = UnixDatagram::bind(&path).expect("bound");
        hears.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        Self { hears, path }
    }

    fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0", "--service", "echo"]);
        command.args(arguments).env("NOTIFY_SOCKET", &self.path);
        let mut program = Program::spawn(command.envs(environment.iter().copied()));
        program.wait_for("listening on ");
        program
    }

    /// The next message, whatever it is.
    fn next(&self) -> String {
        let mut message = [0; 1024];
        let n = self.hears.recv(&mut message).expect("a message");
        String::from_utf8(message[..n].to_vec()).expect("UTF-8")
    }

    /// The next message that has this line.
    fn hear(&self, line: &str) -> String {
        loop {
            let message = self.next();
            if message.lines().any(|told| told == line) {
                return message;
            }
        }
    }

    /// How many messages wait, and how many of them feed the watchdog.
    fn waiting(&self) -> (usize, usize) {
        self.hears.set_nonblocking(true).expect("non-blocking");
        let mut messages = Vec::new();
        let mut message = [0; 1024];
        while let Ok(n) = self.hears.recv(&mut message) {
            messages.push(message[..n].to_vec());
        }
        self.hears.set_nonblocking(false).expect("blocking");
        let fed = messages.iter().filter(|told| *told == b"WATCHDOG=1");
        (messages.len(), fed.count())
    }
}

#[test]
fn it_is_notified_of_service_counts_and_the_end() {
    let _bound = Watchdog::new();
    let folder = Folder::new("told");
    let manager = Manager::new(&folder);
    let program = manager.start(&["--connections", "10"], &[]);
    assert_eq!(
        manager.next(),
        "READY=1\nSTATUS=serving 0 of 10 connections; 0 accepted, 0 refused"
    );
    let mut clients = [(); 3].map(|()| tcp(program.address()));
    for client in &mut clients {
        client.echo(b"hello");
    }
    manager.hear("STATUS=serving 3 of 10 connections; 3 accepted, 0 refused");
    drop(clients);
    manager.hear("STATUS=serving 0 of 10 connections; 3 accepted, 0 refused");
    assert_eq!(manager.waiting(), (0, 0), "nothing new, nothing told");
    let ended = program.stop();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert_eq!(
        manager.next(),
        "STOPPING=1\nSTATUS=draining 0 of 10 connections; 3 accepted, 0 refused"
    );
}

#[test]
fn the_watchdog_is_fed_when_idle_and_under_load_by_every_thread() {
    let _bound = Watchdog::new();
    for arguments in [
        &["--backend", "epoll"][..],
        &["--threads", "2"],
        &["--backend", "poll", "--full", "refuse"],
    ] {
        let folder = Folder::new("fed");
        let manager = Manager::new(&folder);
        let program = manager.start(arguments, &[("WATCHDOG_USEC", "300000")]);
        for _ in 0..4 {
            manager.hear("WATCHDOG=1");
        }
        let address = program.address();
        let stop = core::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let stop = &stop;
                scope.spawn(move || {
                    let mut client = tcp(address);
                    while !stop.load(core::sync::atomic::Ordering::Relaxed) {
                        client.echo(&pattern(n, 60_000));
                    }
                });
            }
            for _ in 0..4 {
                manager.hear("WATCHDOG=1");
            }
            stop.store(true, core::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(program.stop().code, Some(0));
    }
}

#[test]
fn a_watchdog_of_another_process_is_left_alone() {
    let _bound = Watchdog::new();
    let folder = Folder::new("another");
    let manager = Manager::new(&folder);
    let environment = [("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let program = manager.start(&[], &environment);
    tcp(program.address()).echo(b"hello");
    manager.hear("STATUS=serving 0 of 1024 connections; 1 accepted, 0 refused");
    assert_eq!(program.stop().code, Some(0));
    assert_eq!(manager.waiting(), (1, 0), "the end");
}

#[test]
#[ignore = "needs strace"]
fn a_thread_that_hangs_starves_the_watchdog() {
    let _bound = Watchdog::new();
    let folder = Folder::new("hangs");
    let manager = Manager::new(&folder);
    let environment = [("WATCHDOG_USEC", "60000")];
    let program = manager.start(&["--threads", "2"], &environment);
    manager.hear("WATCHDOG=1");
    let thread = thread_named(program.pid(), "loop 1");
    let hang = ["trace=all", "inject=all:delay_enter=30000000"];
    let strace = Strace::attach(thread, &hang, folder.path("trace").into());
    // One may have been due; the other thread goes on with its iterations, fifty of them in this wait.
    let mut silent = 0;
    until("it is fed no more", || {
        std::thread::sleep(core::time::Duration::from_millis(100));
        silent = if manager.waiting().1 == 0 {
            silent + 1
        } else {
            0
        };
        silent == 10
    });
    let _ = strace.detach();
    manager.hear("WATCHDOG=1");
}

#[test]
fn a_manager_that_cannot_be_notified_is_named_and_delays_nothing() {
    let _bound = Watchdog::new();
    for (variable, value, part) in [
        (
            "NOTIFY_SOCKET",
            "run/notify",
            "run/notify: must be an absolute path",
        ),
        (
            "NOTIFY_SOCKET",
            "vsock:2:1234",
            "vsock:2:1234: must be an absolute path",
        ),
        ("NOTIFY_SOCKET", "", "NOTIFY_SOCKET : must be"),
        ("NOTIFY_SOCKET", "/nowhere/at/all", "/nowhere/at/all"),
        (
            "NOTIFY_SOCKET",
            "@tidegate-nobody-here",
            "tidegate-nobody-here",
        ),
        ("WATCHDOG_USEC", "soon", "WATCHDOG_USEC soon must be"),
    ] {
        let folder = Folder::new("named");
        let manager = Manager::new(&folder);
        let program = manager.start(&[], &[(variable, value)]);
        tcp(program.address()).echo(b"hello");
        let ended = program.stop();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
        assert_eq!(ended.errors.matches('\n').count(), 1, "{}", ended.errors);
    }
}

#[test]
fn a_manager_that_comes_later_is_notified_then() {
    let _bound = Watchdog::new();
    for arguments in [&[][..], &["--threads", "2"]] {
        let folder = Folder::new("later");
        let manager = Manager::new(&folder);
        let gone = folder.path("gone");
        let program = manager.start(arguments, &[("NOTIFY_SOCKET", &gone)]);
        let hears = UnixDatagram::bind(&gone).expect("bound");
        hears.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        let late = Manager { hears, path: gone };
        late.hear("READY=1");
        // It is ready: SIGHUP is a reload to it.
        program.signal(Signal::HUP);
        let told = late.hear("RELOADING=1");
        assert!(told.contains("\nMONOTONIC_USEC="), "{told}");
        late.hear("READY=1");
        assert_eq!(program.stop().code, Some(0));
    }
}

/// The program with these descriptors from 3 on, and a note that so many were passed to it.
fn passing(sockets: Vec<OwnedFd>, count: &str, pid: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("LISTEN_PID={pid} LISTEN_FDS={count} exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(program()).args(arguments);
    // Out of the way of where they shall be.
    let high = sockets.iter().map(|socket| fcntl_dupfd_cloexec(socket, 30));
    let high: Vec<_> = high.map(|copy| copy.expect("a copy")).collect();
    // SAFETY: nothing but system calls, between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for (socket, number) in high.iter().zip(3..) {
                if libc::dup2(socket.as_raw_fd(), number) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command
}

const ECHO: [&str; 2] = ["--service", "echo"];

#[test]
fn sockets_that_are_passed_are_served() {
    let _bound = Watchdog::new();
    let folder = Folder::new("passed");
    let path = folder.path("s");
    let inet = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = inet.local_addr().expect("an address");
    let sockets = vec![
        inet.into(),
        UnixListener::bind(&path).expect("bound").into(),
    ];
    let mut program = Program::spawn(&mut passing(sockets, "2", "$$", &ECHO));
    program.wait_for(&format!("listening on unix:{path}"));
    assert_eq!(program.address(), address);
    assert_eq!(
        program.output().matches("listening on").count(),
        2,
        "no default"
    );
    tcp(address).echo(b"hello");
    unix(&path).echo(b"hello");
    for number in [3, 4] {
        let info = format!("/proc/{}/fdinfo/{number}", program.pid().as_raw_pid());
        let info = fs::read_to_string(info).expect("a descriptor");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
        // On another Linux than x86 and Arm these may be other bits; the program's own tests use the names.
        assert_eq!(flags & 0o2_004_000, 0o2_004_000, "O_CLOEXEC, O_NONBLOCK");
    }
    assert_eq!(program.stop().code, Some(0));
    assert!(fs::exists(&path).is_ok_and(|there| there), "it is not ours");
}

#[test]
fn they_are_served_beside_those_that_are_asked_for() {
    let _bound = Watchdog::new();
    let inet = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = inet.local_addr().expect("an address");
    let arguments = ["--service", "echo", "--listen", "127.0.0.1:0"];
    let mut program = Program::spawn(&mut passing(vec![inet.into()], "1", "$$", &arguments));
    program.wait_for(&format!("listening on {address}"));
    let own = program.address();
    assert_ne!(own, address);
    tcp(own).echo(b"hello");
    tcp(address).echo(b"hello");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn what_is_passed_to_another_process_is_left_alone() {
    let _bound = Watchdog::new();
    let inet = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = inet.local_addr().expect("an address");
    let arguments = ["--service", "echo", "--listen", "127.0.0.1:0"];
    let mut program = Program::spawn(&mut passing(vec![inet.into()], "1", "1", &arguments));
    program.wait_for("listening on ");
    assert_ne!(program.address(), address);
    assert_eq!(program.output().matches("listening on").count(), 1);
}

#[test]
fn what_cannot_be_served_is_named() {
    let _bound = Watchdog::new();
    let tcp = || TcpListener::bind("127.0.0.1:0").expect("bound").into();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let (connected, _other) = UnixStream::pair().expect("a pair");
    let null = fs::File::open("/dev/null").expect("a file");
    let two_threads = ["--threads", "2"];
    for (sockets, count, arguments, parts) in [
        (
            vec![tcp(), udp.into()],
            "2",
            &ECHO[..],
            ["descriptor 4", "SOCK_STREAM"],
        ),
        (
            vec![connected.into()],
            "1",
            &ECHO,
            ["descriptor 3", "listen()"],
        ),
        (
            vec![null.into()],
            "1",
            &ECHO,
            ["descriptor 3", "not a socket"],
        ),
        (vec![tcp()], "2", &ECHO, ["LISTEN_FDS 2", "descriptor 4"]),
        (vec![tcp()], "-1", &ECHO, ["LISTEN_FDS -1", "unset"]),
        (
            vec![tcp()],
            "1",
            &two_threads,
            ["--threads 2", "descriptor 3"],
        ),
    ] {
        let ended = Program::spawn(&mut passing(sockets, count, "$$", arguments)).end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for part in parts {
            assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
        }
        assert_eq!(ended.errors.matches('\n').count(), 1, "{}", ended.errors);
    }
}

#[test]
#[ignore = "needs systemd-socket-activate"]
fn systemd_passes_a_socket() {
    let _bound = Watchdog::new();
    let folder = Folder::new("systemd");
    let path = folder.path("s");
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &path, "--fdname", "front"]);
    let mut activated = Program::spawn(command.arg(program()).args(ECHO));
    until("systemd listens", || {
        fs::exists(&path).is_ok_and(|there| there)
    });
    unix(&path).echo(b"hello");
    activated.wait_for(&format!("listening on unix:{path}"));
    unix(&path).echo(b"again");
    assert_eq!(activated.stop().code, Some(0));
}
