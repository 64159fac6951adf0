//! The contenders, and how they are started.

use super::peers::{ONE_AT_A_TIME, PEERS, THREADS};
use super::surroundings::pin;
use crate::net::tcp;
use crate::process::{Program, program};
use core::net::SocketAddr;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A server that takes part.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    /// As it is called in tables and pictures.
    pub(super) name: String,
    /// Its kind.
    pub(super) kind: Kind,
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// The kinds of contenders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Our program; on epoll, or on another backend.
    Ours { epoll: bool },
    /// Another library, or the plain loop.
    Peer,
    /// One of the blocking models.
    Blocking,
}

/// The name of the base of all ratios, if there is a C compiler.
pub(super) const PLAIN: &str = "plain C loop";

/// Our program as it is without an option.
pub(super) const DEFAULT: &str = "tidegate level";

/// The connections of our program: all that the usual limit of 20,000 descriptors leaves.
const CONNECTIONS: &str = "19900";

/// All that can take part here, the base first; and why others do not.
pub(super) fn all() -> (Vec<Contender>, Vec<String>) {
    let (mut all, mut left_out) = (Vec::new(), Vec::new());
    for (name, source, library) in [
        (PLAIN, EPOLL, ""),
        ("libevent", LIBEVENT, "-levent"),
        ("libuv", LIBUV, "-luv"),
    ] {
        match compiled(name, source, library) {
            Ok(program) => all.push(Contender {
                name: name.into(),
                kind: Kind::Peer,
                program,
                arguments: Vec::new(),
            }),
            Err(why) => left_out.push(format!("{name}: {why}")),
        }
    }
    for (name, _) in PEERS {
        let blocking = [ONE_AT_A_TIME, THREADS].contains(&name);
        all.push(Contender {
            name: name.into(),
            kind: if blocking { Kind::Blocking } else { Kind::Peer },
            program: env::current_exe().expect("a path"),
            arguments: ["peer", name].map(OsString::from).into(),
        });
    }
    all.extend(ours());
    all.retain(|contender| match contender.probe() {
        Ok(()) => true,
        Err(why) => {
            left_out.push(format!("{}: {why}", contender.name));
            false
        }
    });
    (all, left_out)
}

/// Our program with each trigger on epoll, and with each other backend that its help offers.
pub(super) fn ours() -> Vec<Contender> {
    let help = crate::process::run(&["--help"]).output;
    let of = |name: &str, epoll, option: &str, value: &str| Contender {
        name: format!("tidegate {name}"),
        kind: Kind::Ours { epoll },
        program: program().into(),
        arguments: [
            "--listen",
            "127.0.0.1:0",
            "--service",
            "echo",
            "--connections",
            CONNECTIONS,
            option,
            value,
        ]
        .map(OsString::from)
        .into(),
    };
    let triggers = offered(&help, "--trigger").into_iter();
    let backends = offered(&help, "--backend").into_iter();
    triggers
        .map(|value| of(&value, true, "--trigger", &value))
        .chain(
            backends
                .filter(|value| value != "epoll")
                .map(|value| of(&value, false, "--backend", &value)),
        )
        .collect()
}

/// The values that a help text offers for an option: `--option a|b|c`.
fn offered(help: &str, option: &str) -> Vec<String> {
    let line = help
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(option)?.strip_prefix(' '));
    let values = line.and_then(|rest| rest.split_whitespace().next());
    values.map_or(Vec::new(), |values| {
        values.split('|').map(str::to_owned).collect()
    })
}

impl Contender {
    /// Whether it is a loop like any other: none of the models that only the connections are about.
    pub(super) fn is_loop(&self) -> bool {
        match self.kind {
            Kind::Ours { epoll } => epoll || self.name.ends_with("uring"),
            Kind::Peer => true,
            Kind::Blocking => false,
        }
    }

    /// The same of our program, but forwarding what a client sends to the others.
    pub(super) fn chatting(&self) -> Self {
        let mut one = self.clone();
        for argument in &mut one.arguments {
            if argument == "echo" {
                *argument = "chat".into();
            }
        }
        // Silent listeners are waited for at a stop.
        one.arguments.extend(["--drain", "1s"].map(OsString::from));
        one
    }

    /// The same under another name: its ratio to itself is what rounds cannot distinguish.
    pub(super) fn again(&self) -> Self {
        let name = format!("{}, again", self.name);
        Self {
            name,
            ..self.clone()
        }
    }

    /// Starts it, on this CPU if one is named, and waits until it listens.
    pub(super) fn start(&self, cpu: Option<usize>) -> (Program, SocketAddr) {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if let Some(cpu) = cpu {
            // SAFETY: one system call, between fork and exec.
            unsafe { command.pre_exec(move || pin(cpu)) };
        }
        let mut process = Program::spawn(&mut command);
        process.wait_for("listening on ");
        let address = process.address();
        (process, address)
    }

    /// Whether it serves here, as what it is called: one that falls back to something else reports it.
    fn probe(&self) -> Result<(), String> {
        let (process, address) = self.start(None);
        let mut client = tcp(address);
        let mut heard = [0; 5];
        let served = client
            .write_all(b"probe")
            .and_then(|()| client.read_exact(&mut heard));
        served.map_err(|error| error.to_string())?;
        match process.errors().lines().next() {
            Some(complaint) => Err(complaint.into()),
            None => Ok(()),
        }
    }
}

const SHARED: &str = include_str!("c/echo.h");
const EPOLL: &str = include_str!("c/epoll.c");
const LIBEVENT: &str = include_str!("c/libevent.c");
const LIBUV: &str = include_str!("c/libuv.c");

/// Compiles a server in C into a folder next to ours, and returns its path.
fn compiled(name: &str, source: &str, library: &str) -> Result<PathBuf, String> {
    let us = env::current_exe().map_err(|error| error.to_string())?;
    let folder = us.parent().unwrap_or(Path::new(".")).join("peers");
    let program = folder.join(name.replace(' ', "-"));
    let code = program.with_extension("c");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("echo.h"), SHARED))
        .and_then(|()| fs::write(&code, source))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut command = Command::new(&compiler);
    command.args(["-O2", "-o"]).arg(&program).arg(&code);
    command.args(Some(library).filter(|library| !library.is_empty()));
    let output = command
        .output()
        .map_err(|error| format!("{compiler}: {error}; install a C compiler"))?;
    if output.status.success() {
        return Ok(program);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let error = said
        .lines()
        .find(|line| line.contains("error") || line.contains("cannot"));
    Err(error.unwrap_or("it does not compile").trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_off_the_help() {
        let help =
            "Usage: x [OPTION]...\n  --service a|b  what\n  --trigger level|edge|oneshot   how\n";
        assert_eq!(offered(help, "--trigger"), ["level", "edge", "oneshot"]);
        assert!(offered(help, "--backend").is_empty());
        assert!(offered(help, "--serv").is_empty());
    }
}
