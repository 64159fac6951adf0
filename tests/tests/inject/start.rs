//! Faults at the start: it fails at once, with one line that names the cause, or it serves all the same.

use std::fs;
use std::process::Command;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, tcp};
use tests::process::{Folder, Program, program};

/// What the n-th call of a kind returns, and what the program then prints; `None`: it serves.
struct Start {
    call: &'static str,
    does: &'static [&'static str],
    nth: &'static [u32],
    says: Option<&'static str>,
}

const STARTS: &[Start] = &[
    Start {
        call: "epoll_create1",
        does: &["EMFILE", "ENFILE", "ENOMEM"],
        nth: &[1],
        says: Some("cannot start: epoll_create1 failed: errno "),
    },
    Start {
        call: "eventfd2",
        does: &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"],
        nth: &[1],
        says: Some("cannot start: eventfd failed: errno "),
    },
    Start {
        call: "epoll_ctl",
        does: &["ENOMEM", "ENOSPC"],
        nth: &[1],
        says: Some("cannot start: epoll_ctl failed: errno "),
    },
    // The listener: it is tried again.
    Start {
        call: "epoll_ctl",
        does: &["ENOMEM", "ENOSPC"],
        nth: &[2],
        says: None,
    },
    Start {
        call: "fcntl",
        does: &["EMFILE", "EINVAL"],
        nth: &[1, 2],
        says: Some("cannot write to standard output and error: "),
    },
    Start {
        call: "fcntl",
        does: &["EMFILE"],
        nth: &[3],
        says: Some("cannot start: fcntl failed: errno "),
    },
    Start {
        call: "?clone3,?clone",
        does: &["EAGAIN"],
        nth: &[1],
        says: Some("cannot watch for signals: "),
    },
    Start {
        call: "?clone3,?clone",
        does: &["EAGAIN", "ENOMEM"],
        nth: &[2, 3],
        says: Some("cannot write to standard output and error: "),
    },
    Start {
        call: "socketpair",
        does: &["EMFILE", "ENFILE", "ENOMEM"],
        nth: &[1],
        says: Some("cannot watch for signals: "),
    },
    Start {
        call: "socket",
        does: &[
            "EACCES",
            "EAFNOSUPPORT",
            "EINVAL",
            "EMFILE",
            "ENFILE",
            "ENOBUFS",
            "ENOMEM",
            "EPROTONOSUPPORT",
        ],
        nth: &[1],
        says: Some("(socket: errno |socket failed: errno "),
    },
    Start {
        call: "setsockopt",
        does: &["ENOPROTOOPT", "ENOMEM"],
        nth: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        says: Some("(SO_|(TCP_|SO_|TCP_"),
    },
    Start {
        call: "bind",
        does: &["EACCES", "EADDRINUSE", "EBADF", "EINVAL", "ENOTSOCK"],
        nth: &[1],
        says: Some("(bind: errno |bind failed: errno "),
    },
    // The address may come: it is tried again.
    Start {
        call: "bind",
        does: &["EADDRNOTAVAIL"],
        nth: &[1],
        says: None,
    },
    Start {
        call: "listen",
        does: &["EADDRINUSE", "EBADF", "ENOTSOCK", "EOPNOTSUPP"],
        nth: &[1],
        says: Some("(listen: errno |listen failed: errno "),
    },
    Start {
        call: "getrandom",
        does: &["EAGAIN", "EINTR", "ENOSYS", "retval=4"],
        nth: &[2],
        says: None,
    },
];

/// Plays all of them.
pub(crate) fn all() {
    let mut count = 0;
    for start in STARTS {
        for does in start.does {
            for nth in start.nth {
                let _bound = Watchdog::new();
                println!("{} {does} Nth({nth}) at the start", start.call);
                play(start, does, *nth);
                count += 1;
            }
        }
    }
    println!("{count} scenarios");
}

fn play(start: &Start, does: &str, nth: u32) {
    let folder = Folder::new("start");
    let what = if does.starts_with('E') {
        format!("error={does}")
    } else {
        does.to_owned()
    };
    let inject = format!("inject={}:{what}:when={nth}", start.call);
    let log = folder.path("log");
    let mut command = Command::new("strace");
    // Not a parent: what kills the program kills no more than it.
    command.args([
        "-D",
        "-q",
        "-e",
        "signal=none",
        "-o",
        &log,
        "-e",
        &inject,
        "--",
    ]);
    command
        .arg(program())
        .args(["--service", "echo", "--listen", "127.0.0.1:0"])
        // Three options more to set.
        .args(["--receive-buffer", "65536", "--send-buffer", "65536"])
        .args(["--user-timeout", "1m"]);
    let mut process = Program::spawn(&mut command);
    let Some(says) = start.says else {
        process.wait_for("listening on ");
        tcp(process.address()).echo(b"hello");
        assert_eq!(process.stop().code, Some(0));
        until("it was struck", || {
            fs::read_to_string(&log).is_ok_and(|text| text.contains("(INJECTED"))
        });
        return;
    };
    let ended = process.end();
    assert_eq!(
        (ended.code, ended.output.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    let line = ended.errors.strip_suffix('\n').unwrap_or_default();
    assert!(
        line.starts_with("tidegate: ") && !line.contains('\n'),
        "one line: {ended:?}"
    );
    assert!(says.split('|').any(|says| line.contains(says)), "{line}");
}
