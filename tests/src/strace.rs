//! Faults of the kernel on demand: `strace` attached to one thread of a program that already serves.
//!
//! What came before is as it always is; the fault begins with the first call after the attachment, and ends when strace
//! is taken away.

use crate::bounded::until;
use crate::process::Program;
use rustix::process::{Pid, Signal};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// One call as strace wrote it down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call(String);

impl Call {
    /// The name of the call.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split('(').next().unwrap_or_default()
    }

    /// The descriptor that it is about: its first argument, or what `epoll_ctl` has as its third.
    #[must_use]
    pub fn descriptor(&self) -> Option<i32> {
        let arguments = self.0.split_once('(')?.1;
        let place = if self.name() == "epoll_ctl" { 2 } else { 0 };
        let argument = arguments.split([',', ')']).nth(place)?;
        argument.trim().parse().ok()
    }

    /// Its result; `None` if it failed.
    #[must_use]
    pub fn answer(&self) -> Option<i32> {
        let answer = self.0.rsplit_once(" = ")?.1;
        let number = answer.split(' ').next()?.parse().ok()?;
        (number >= 0).then_some(number)
    }

    /// Whether the kernel never saw it: strace injected the result.
    #[must_use]
    pub fn is_injected(&self) -> bool {
        self.0.contains(" (INJECTED")
    }

    /// Whether the text contains it.
    #[must_use]
    pub fn says(&self, part: &str) -> bool {
        self.0.contains(part)
    }
}

/// strace at one thread. Dropped, it is killed, and the thread goes on without it.
#[derive(Debug)]
pub struct Strace {
    process: Program,
    log: PathBuf,
}

impl Strace {
    /// Attaches to `thread` of a program that was started to be traced, with these expressions (`-e`), and waits until
    /// every further call of it is seen.
    ///
    /// # Panics
    ///
    /// If there is no strace, or it is not permitted.
    #[must_use]
    pub fn attach(thread: Pid, expressions: &[&str], log: PathBuf) -> Self {
        let mut command = Command::new("strace");
        command.arg("-p").arg(thread.as_raw_pid().to_string());
        command.args(["-e", "signal=none", "-o"]).arg(&log);
        for expression in expressions {
            command.args(["-e", expression]);
        }
        let mut process = Program::spawn(&mut command);
        until("strace is attached", || {
            let said = process.errors();
            assert!(!process.has_ended(), "{command:?}: {said}");
            said.contains(" attached")
        });
        Self { process, log }
    }

    /// The calls so far, the oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        whole_calls(&fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// The calls so far whose result strace injected.
    #[must_use]
    pub fn injected(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(Call::is_injected);
        calls
    }

    /// Detaches: from now on all calls are the kernel's again. Returns every call that was seen.
    #[must_use]
    pub fn detach(self) -> Vec<Call> {
        self.process.signal(Signal::TERM);
        let log = self.log;
        let _ = self.process.end();
        whole_calls(&fs::read_to_string(log).unwrap_or_default())
    }
}

/// The lines of a log that are a whole call.
fn whole_calls(text: &str) -> Vec<Call> {
    let lines = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    let calls = lines.map(str::trim_end).filter(|l| l.contains(" = "));
    calls.map(|line| Call(line.to_owned())).collect()
}

/// The thread of a process that has this name; of several the one that was started first.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn thread_named(process: Pid, name: &str) -> Pid {
    let folder = format!("/proc/{}/task", process.as_raw_pid());
    let tasks = fs::read_dir(&folder).expect("a process");
    let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let named = numbers.filter(|number: &i32| {
        fs::read_to_string(format!("{folder}/{number}/comm")).is_ok_and(|comm| comm.trim() == name)
    });
    let first = named.min().expect("a thread of this name");
    Pid::from_raw(first).expect("a thread")
}
