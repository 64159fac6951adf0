//! The program as a process: built if need be, always reaped.

use crate::bounded::until;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use rustix::process::{PTracer, Pid, Signal, kill_process, set_ptracer};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs, thread};

/// The processes that run now, for the watchdog.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Kills every process that was started here and still runs.
pub fn kill_all() {
    for pid in RUNNING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
    {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The program, built the first time that a test needs it: a test of another package has no path to it. Cargo reports
/// where it lies, so that any target folder, profile and runner will do.
///
/// # Panics
///
/// If it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("--bin", "tidegate"))
}

/// An example of the library, built the first time that a test needs it.
///
/// # Panics
///
/// If it cannot be built.
pub fn example(name: &str) -> PathBuf {
    static EXAMPLES: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = EXAMPLES.lock().unwrap_or_else(PoisonError::into_inner);
    let path = built.entry(name.to_owned());
    path.or_insert_with(|| build("--example", name)).clone()
}

/// How many builds go on.
static BUILDS: AtomicU32 = AtomicU32::new(0);

/// Whether something is being built, which takes as long as it takes.
pub(crate) fn builds() -> bool {
    BUILDS.load(Ordering::Relaxed) > 0
}

fn build(kind: &str, name: &str) -> PathBuf {
    BUILDS.fetch_add(1, Ordering::Relaxed);
    let path = built(kind, name);
    BUILDS.fetch_sub(1, Ordering::Relaxed);
    path
}

fn built(kind: &str, name: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut build = Command::new(cargo);
    build.args(["build", "--package", "linux", kind, name, "--quiet"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // Where we are built for another machine, so is what we start. Our own folders do not show it: cargo marks its
    // target folder only if it made it.
    let (target, host) = (env!("TARGET"), env!("HOST"));
    if target != host {
        build.args(["--target", target]);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let built = build.current_dir(root).output().expect("cargo");
    let said = String::from_utf8_lossy(&built.stdout);
    let path = said
        .split(r#""executable":""#)
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let errors = String::from_utf8_lossy(&built.stderr);
    runnable(path.unwrap_or_else(|| panic!("{name} was not built: {errors}")))
}

/// What runs a program that was built with the tests, such as `env!("CARGO_BIN_EXE_replay")`: it itself, or `PROGRAM_RUNNER`
/// with it.
#[must_use]
pub fn runnable(path: &str) -> PathBuf {
    match env::var("PROGRAM_RUNNER") {
        Ok(runner) => wrapper(Path::new(path), &runner),
        Err(_) => path.into(),
    }
}

/// A script next to the program that runs it by `runner`, an emulator with its options: for a machine whose kernel
/// cannot run the program.
fn wrapper(program: &Path, runner: &str) -> PathBuf {
    let script = program.with_extension("sh");
    let text = format!("#!/bin/sh\nexec {runner} {} \"$@\"\n", program.display());
    // Tests in other processes write the same; a script that is being run must not be touched.
    if fs::read_to_string(&script).is_ok_and(|known| known == text) {
        return script;
    }
    let fresh = program.with_extension(std::process::id().to_string());
    fs::write(&fresh, text).expect("a script");
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).expect("its permissions");
    fs::rename(&fresh, &script).expect("its name");
    script
}

/// The output of a process until it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

/// Runs the program to its end.
#[must_use]
pub fn run(arguments: &[&str]) -> Ended {
    Program::spawn(Command::new(program()).args(arguments)).end()
}

/// Runs any command to its end, with `input` as its standard input.
///
/// # Panics
///
/// If there is no such command.
#[must_use]
pub fn run_with(command: &mut Command, input: &[u8]) -> Ended {
    let mut process = Program::spawn(command.stdin(Stdio::piped()));
    let mut to = process.child.stdin.take().expect("a pipe");
    to.write_all(input).expect("input taken");
    drop(to);
    process.end()
}

type Text = Arc<Mutex<String>>;

/// A process; killed and reaped when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    pid: Pid,
    output: Text,
    errors: Text,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Program {
    /// Starts the program on a port that the kernel chooses, and waits until it listens.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(&[&["--listen", "127.0.0.1:0"], arguments].concat())
    }

    /// Starts an example on a port that the kernel chooses, and waits until it listens.
    #[must_use]
    pub fn example(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(example(name));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut process = Self::spawn(&mut command);
        process.wait_for("listening on ");
        process
    }

    /// Starts the program with these arguments alone, and waits until it listens.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut process = Self::spawn(Command::new(program()).args(arguments));
        process.wait_for("listening on ");
        process
    }

    /// Starts the program on a port that the kernel chooses so that a tracer which is not its parent may attach later,
    /// and waits until it listens.
    #[must_use]
    pub fn traceable(arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        // SAFETY: one system call, between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // A kernel without this restriction does not know the call.
                let _ = set_ptracer(PTracer::Any);
                Ok(())
            });
        }
        let mut process = Self::spawn(&mut command);
        process.wait_for("listening on ");
        process
    }

    /// Starts the program under strace, which is not its parent, on a port that the kernel chooses.
    #[must_use]
    pub fn traced(strace: &[&str], trace: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("strace");
        command
            .args(["-D", "-f", "-q", "-e", "signal=none", "-o"])
            .arg(trace)
            .args(strace);
        command
            .arg("--")
            .arg(program())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments);
        let mut process = Self::spawn(&mut command);
        process.wait_for("listening on ");
        process
    }

    /// Stops a traced program, waits for its end, and returns the calls that `trace` recorded of its threads, each as
    /// `(thread, call)`: the first thread is the loop's.
    ///
    /// # Panics
    ///
    /// If it does not end well.
    #[must_use]
    pub fn calls(self, trace: &Path) -> Vec<(i32, String)> {
        let first = self.pid().as_raw_pid();
        let ended = self.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        let read = || fs::read_to_string(trace).unwrap_or_default();
        until("the trace is written", || {
            let text = read();
            let over = |line: &str| {
                line.starts_with(&first.to_string()) && line.ends_with("+++ exited with 0 +++")
            };
            text.lines().any(over)
        });
        let mut calls = Vec::new();
        let mut begun: HashMap<i32, String> = HashMap::new();
        for line in read().lines() {
            let Some((thread, call)) = line.split_once(' ') else {
                continue;
            };
            let thread = thread.parse().expect("a number");
            let call = call.trim();
            if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
                begun.insert(thread, beginning.to_owned());
            } else if let Some((_, end)) = call.split_once(" resumed>") {
                let mut whole = begun.remove(&thread).unwrap_or_default();
                if end.starts_with(')') {
                    // strace has put a blank before its mark.
                    whole.truncate(whole.trim_end().len());
                }
                calls.push((thread, whole + end));
            } else if !call.starts_with(['+', '-']) {
                calls.push((thread, call.to_owned()));
            }
        }
        calls
    }

    /// Starts any command, and collects its output.
    ///
    /// # Panics
    ///
    /// If there is no such command.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let (mut process, output) = Self::spawn_unread(command);
        let reader = collect(output, &process.output);
        process.readers.push(reader);
        process
    }

    /// Starts any command; its standard output is left to the caller.
    ///
    /// # Panics
    ///
    /// If there is no such command.
    #[must_use]
    pub fn spawn_unread(command: &mut Command) -> (Self, ChildStdout) {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = Pid::from_child(&child);
        RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pid);
        let output = child.stdout.take().expect("a pipe");
        let errors = Text::default();
        let readers = vec![collect(child.stderr.take().expect("a pipe"), &errors)];
        let process = Self {
            child,
            pid,
            output: Text::default(),
            errors,
            readers,
        };
        (process, output)
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its output so far.
    #[must_use]
    pub fn output(&self) -> String {
        read(&self.output)
    }

    /// What it has complained of so far.
    #[must_use]
    pub fn errors(&self) -> String {
        read(&self.errors)
    }

    /// Waits until a line contains `part`, and returns the first such line.
    ///
    /// # Panics
    ///
    /// If none comes soon, or it ends before.
    pub fn wait_for(&mut self, part: &str) -> String {
        let mut found = None;
        let mut ended = false;
        until(&format!("a line with {part:?}"), || {
            let over = ended;
            ended = self.has_ended() && self.readers.iter().all(thread::JoinHandle::is_finished);
            let output = self.output();
            let mut whole = output
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            found = whole
                .find(|line| line.contains(part))
                .map(|line| line.trim_end().to_owned());
            assert!(
                found.is_some() || !over,
                "it ended: {output}{}",
                self.errors()
            );
            found.is_some()
        });
        found.expect("found")
    }

    /// Where it listens, of the listeners on the internet the first.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let output = self.output();
        let mut addresses = output
            .lines()
            .filter_map(|line| line.strip_prefix("listening on "));
        addresses
            .find_map(|address| address.parse().ok())
            .expect("an address")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("a process");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Requests its statistics.
    ///
    /// # Panics
    ///
    /// If it does not respond.
    #[must_use]
    pub fn statistics(&mut self) -> HashMap<String, u64> {
        const LAST: &str = "stats: log_lines_dropped ";
        let before = self.output().matches(LAST).count();
        self.signal(Signal::USR1);
        let count = |output: &str| {
            output
                .split_inclusive('\n')
                .filter(|l| l.starts_with(LAST) && l.ends_with('\n'))
                .count()
        };
        until("the statistics", || count(&self.output()) > before);
        // The latest value of each name.
        let output = self.output();
        let lines = output
            .lines()
            .filter_map(|line| line.strip_prefix("stats: "));
        let pairs = lines.filter_map(|line| line.split_once(' '));
        pairs
            .filter_map(|(name, n)| Some((name.to_owned(), n.parse().ok()?)))
            .collect()
    }

    /// Waits until the statistic `name` is at least `least`, and returns all of them.
    pub fn statistics_when(&mut self, name: &str, least: u64) -> HashMap<String, u64> {
        let mut statistics = HashMap::new();
        until(&format!("{name} of at least {least}"), || {
            statistics = self.statistics();
            statistics[name] >= least
        });
        statistics
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If that does not come soon.
    #[must_use]
    pub fn end(mut self) -> Ended {
        until("the process ends", || self.has_ended());
        let code = self.child.wait().expect("a child").code();
        for reader in self.readers.drain(..) {
            until("its output ends", || reader.is_finished());
        }
        Ended {
            code,
            output: self.output(),
            errors: self.errors(),
        }
    }

    /// Stops it, and waits for its end.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|pid| *pid != self.pid);
    }
}

fn collect(from: impl Read + Send + 'static, into: &Text) -> thread::JoinHandle<()> {
    let into = Arc::clone(into);
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            into.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
            line.clear();
        }
    })
}

fn read(text: &Text) -> String {
    text.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A folder of its own for one test, removed when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it.
    ///
    /// # Panics
    ///
    /// If it cannot.
    #[must_use]
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(format!("tidegate-{process}-{number}-{name}"));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// A path in it.
    ///
    /// # Panics
    ///
    /// If the folder for temporary files has no name in UTF-8.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
