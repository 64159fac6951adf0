//! The command line: options, their defaults, and what is wrong with them.

use super::Failure;
use super::endpoints::Endpoint;
use super::lines::LogTo;
use super::privileges::{Identity, Owner};
use super::recording::{self, Record};
use super::reserved::{CONNECTIONS, SHARE, THREADS};
use super::services::ServiceName;
use super::syslog::LOG_SOCKET;
use super::values::{self, Bind};
use core::time::Duration;
use lexopt::{Arg, Parser};
use log::LevelFilter;
use std::ffi::{OsStr, OsString};
use tidegate::backend::Kind;
use tidegate::{Address, Config, Listen, PerSource, Sources, Trigger};

/// The default address.
pub(crate) const LISTEN: &str = "127.0.0.1:8080";

/// Permissions of a socket file: whatever may enter its folder may connect, as over loopback (systemd's `SocketMode=`).
pub(crate) const SOCKET_MODE: u16 = 0o666;

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Serve(Options),
    /// Print the memory that serving with these options takes.
    Memory(Options),
    Help,
    Version,
}

/// How to do it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) service: ServiceName,
    /// Empty: at [`LISTEN`], unless the service manager has opened something.
    pub(crate) listen: Vec<Endpoint>,
    pub(crate) connections: u32,
    /// Loops, each in a thread of its own.
    pub(crate) threads: u32,
    pub(crate) per_source: PerSource,
    /// Of the kernel, for each connection, in bytes; `None`: it tunes them.
    pub(crate) receive_buffer: Option<u32>,
    pub(crate) send_buffer: Option<u32>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) metrics: Option<Endpoint>,
    pub(crate) control: Option<Endpoint>,
    pub(crate) user: Option<Identity>,
    /// Permissions of the files of Unix sockets, but that of `control`; `None`: what the umask leaves.
    pub(crate) socket_mode: Option<u16>,
    pub(crate) socket_owner: Option<Owner>,
    pub(crate) bind: Bind,
    /// The recording; off while there is no path.
    pub(crate) record: Record,
    /// An option for the recording.
    pub(crate) of_record: Option<&'static str>,
    pub(crate) log: LevelFilter,
    pub(crate) log_to: LogTo,
    pub(crate) backend: Kind,
    /// The library's configuration; it has the connections of one thread, too.
    pub(crate) config: Config,
}

impl Default for Options {
    fn default() -> Self {
        let listen = Listen::on(Address::Unix(""));
        Self {
            service: ServiceName::Print,
            listen: Vec::new(),
            connections: 1024,
            threads: 1,
            per_source: listen.per_source,
            // A path of 100 ms at 5 MB/s needs half a MiB in flight, and the size for a small device is not ours to
            // choose. A peer that does not read gets less than 64 KiB of it from the kernel.
            receive_buffer: None,
            send_buffer: None,
            user_timeout: listen.user_timeout,
            metrics: None,
            control: None,
            user: None,
            socket_mode: Some(SOCKET_MODE),
            socket_owner: None,
            bind: Bind::Wait,
            record: Record {
                path: String::new(),
                payload: usize::MAX,
                size: 64 * MIB,
            },
            of_record: None,
            log: LevelFilter::Warn,
            log_to: LogTo::Stderr,
            backend: Kind::Epoll,
            config: Config::default(),
        }
    }
}

/// Bytes of a mebibyte.
pub(crate) const MIB: u64 = 1024 * 1024;

/// A size, as a number of the kind that options have.
pub(crate) fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Reads the command line, the name of the program first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut parser = Parser::from_iter(arguments);
    let mut options = Options::default();
    let mut memory = false;
    while let Some(argument) = parser.next().map_err(usage)? {
        let name = match argument {
            Arg::Short('h') => return Ok(Command::Help),
            Arg::Short('V') => return Ok(Command::Version),
            Arg::Long(name) => name.to_owned(),
            Arg::Short(_) | Arg::Value(_) => return Err(usage(argument.unexpected())),
        };
        match name.as_str() {
            "help" => return alone(parser, Command::Help),
            "version" => return alone(parser, Command::Version),
            "memory" => memory = true,
            "listen" => {
                let endpoint = value(&mut parser, &name, Endpoint::parse)?;
                options.listen.push(endpoint);
            }
            _ => options.set(&mut parser, &name)?,
        }
    }
    options.check()?;
    options.share()?;
    Ok(if memory {
        Command::Memory(options)
    } else {
        Command::Serve(options)
    })
}

/// The rest of the line does not matter, but `--help=x` is a mistake.
fn alone(mut parser: Parser, command: Command) -> Result<Command, Failure> {
    match parser.optional_value() {
        None => Ok(command),
        Some(value) => Err(usage(lexopt::Error::UnexpectedValue {
            option: match command {
                Command::Help => "--help".into(),
                Command::Version | Command::Serve(_) | Command::Memory(_) => "--version".into(),
            },
            value,
        })),
    }
}

impl Options {
    /// Where to listen in addition to the sockets that were passed to the program, if there are any.
    pub(crate) fn endpoints(&self, passed: bool) -> Vec<Endpoint> {
        if self.listen.is_empty() && !passed {
            return Endpoint::parse(LISTEN).into_iter().collect();
        }
        self.listen.clone()
    }

    /// Connections that there can be in all threads together.
    pub(crate) fn all_connections(&self) -> u32 {
        self.config.connections.unwrap_or(self.connections) * self.threads
    }

    /// Listeners for operators: metrics and control.
    pub(crate) fn listeners_beside(&self) -> u32 {
        u32::from(self.metrics.is_some()) + u32::from(self.control.is_some())
    }

    /// What does not go together.
    fn check(&self) -> Result<(), Failure> {
        if let (Some(option), true) = (self.of_record, self.record.path.is_empty()) {
            return Err(Failure::Usage(format!(
                "{option}: nothing is recorded; ask for --record FILE, too"
            )));
        }
        let (backend, trigger) = (self.backend, self.config.trigger);
        if backend.has(trigger) {
            return Ok(());
        }
        let asked = TRIGGERS.iter().find(|(_, known)| *known == trigger);
        let asked = asked.map_or("", |(name, _)| name);
        Err(Failure::Usage(format!(
            "--trigger {asked}: --backend {} reports by level only; ask for --trigger level, or --backend epoll",
            backend.name()
        )))
    }

    /// Divides what there is among the threads.
    fn share(&mut self) -> Result<(), Failure> {
        let threads = self.threads;
        let each = self.connections.div_ceil(threads);
        self.config.connections = Some(each);
        if threads == 1 {
            return Ok(());
        }
        let wrong = |why: String| Err(Failure::Usage(format!("--threads {threads}: {why}")));
        if each > number(SHARE) {
            let most = number(SHARE) * threads;
            return wrong(format!(
                "at most {most} connections, {SHARE} in each; ask for fewer"
            ));
        }
        if self.service == ServiceName::Chat {
            return wrong("the chat has one thread, which all its connections share".into());
        }
        if !self.record.path.is_empty() {
            let path = one_line(&self.record.path);
            return wrong(format!(
                "--record {path} works with one thread; ask for one"
            ));
        }
        if let Some(endpoint) = &self.control {
            return wrong(format!(
                "--control {endpoint} works with one thread; ask for one"
            ));
        }
        if let Some(endpoint) = self
            .listen
            .iter()
            .find(|endpoint| matches!(endpoint, Endpoint::Unix(_) | Endpoint::Abstract(_)))
        {
            return wrong(format!(
                "{endpoint} cannot be shared by threads; ask for one thread"
            ));
        }
        Ok(())
    }

    /// Sets an option that has one value; the last of several counts.
    fn set(&mut self, parser: &mut Parser, name: &str) -> Result<(), Failure> {
        let config = &mut self.config;
        match name {
            "service" => self.service = choice(parser, name, &ServiceName::ALL)?,
            "backend" => {
                let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
                self.backend = choice(parser, name, &kinds)?;
            }
            "trigger" => config.trigger = choice(parser, name, &TRIGGERS)?,
            "full" => config.full = value(parser, name, values::full)?,
            "metrics" => self.metrics = Some(value(parser, name, Endpoint::parse)?),
            "control" => self.control = Some(value(parser, name, control)?),
            "user" => self.user = Some(value(parser, name, Identity::parse)?),
            "bind" => self.bind = value(parser, name, values::bind)?,
            "socket-mode" => self.socket_mode = value(parser, name, values::mode)?,
            "socket-owner" => self.socket_owner = Some(value(parser, name, Owner::parse)?),
            "record" => self.record.path = value(parser, name, record)?,
            "record-payload" => {
                self.record.payload = value(parser, name, recording::payload)?;
                self.of_record = Some("--record-payload");
            }
            "record-size" => {
                self.of_record = Some("--record-size");
                let size = value(parser, name, |text| values::number(text, 1024 * 1024))?;
                self.record.size = u64::from(size) * MIB;
            }
            "log" => self.log = choice(parser, name, &LEVELS)?,
            "log-to" => self.log_to = value(parser, name, log_to)?,
            "connections" => self.connections = value(parser, name, connections)?,
            "threads" => self.threads = value(parser, name, threads)?,
            "per-source" => self.per_source = value(parser, name, values::per_source)?,
            "receive-buffer" => self.receive_buffer = value(parser, name, values::buffer)?,
            "send-buffer" => self.send_buffer = value(parser, name, values::buffer)?,
            "source-bits" => {
                config.sources = Sources {
                    block: config.sources.block,
                    ..value(parser, name, values::source_bits)?
                };
            }
            "per-block" => config.sources.block = value(parser, name, values::per_block)?,
            "half-close" => config.half_closed = value(parser, name, values::duration)?,
            "user-timeout" => self.user_timeout = value(parser, name, values::duration)?,
            "first-byte" => config.first_byte = value(parser, name, values::duration)?,
            "request" => config.request = value(parser, name, values::duration)?,
            "idle" => config.idle = value(parser, name, values::duration)?,
            "write-stall" => config.write_stall = value(parser, name, values::duration)?,
            "linger" => config.linger = value(parser, name, values::duration)?,
            "spin" => config.spin = value(parser, name, values::duration)?,
            "drain" => {
                // Without a limit, only a second signal ends it.
                config.drain = value(parser, name, values::duration)?.unwrap_or(Duration::MAX);
            }
            _ => return Err(usage(lexopt::Error::UnexpectedOption(format!("--{name}")))),
        }
        Ok(())
    }
}

const TRIGGERS: [(&str, Trigger); 3] = [
    ("level", Trigger::Level),
    ("edge", Trigger::Edge),
    ("oneshot", Trigger::Oneshot),
];

pub(crate) const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

fn connections(text: &str) -> Result<u32, String> {
    values::number(text, number(CONNECTIONS))
        .map_err(|why| format!("{why}, which this program was compiled for"))
}

fn threads(text: &str) -> Result<u32, String> {
    values::number(text, number(THREADS))
}

fn control(text: &str) -> Result<Endpoint, String> {
    match Endpoint::parse(text)? {
        endpoint @ Endpoint::Unix(_) => Ok(endpoint),
        Endpoint::Host(..) | Endpoint::Abstract(_) => {
            Err("must be unix:/path: permission to connect is permission to command".into())
        }
    }
}

fn record(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must be the path of a file".into()),
        _ => Ok(text.into()),
    }
}

fn log_to(text: &str) -> Result<LogTo, String> {
    match (text, text.strip_prefix("syslog:")) {
        ("stderr", _) => Ok(LogTo::Stderr),
        ("syslog", _) => Ok(LogTo::Syslog(LOG_SOCKET.into())),
        (_, Some(path)) if path.starts_with('/') => Ok(LogTo::Syslog(path.into())),
        _ => Err("must be stderr, syslog or syslog:/path".into()),
    }
}

fn choice<T: Copy>(parser: &mut Parser, name: &str, choices: &[(&str, T)]) -> Result<T, Failure> {
    let value = parser.value().map_err(usage)?;
    let found = choices.iter().find(|(name, _)| value == *name);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        wrong(
            name,
            &value,
            &format!("must be one of {}", names.join(", ")),
        )
    })
}

fn value<T>(
    parser: &mut Parser,
    name: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let value = parser.value().map_err(usage)?;
    match value.to_str().map(read) {
        Some(read) => read.map_err(|why| wrong(name, &value, &why)),
        None => Err(wrong(name, &value, "must be UTF-8")),
    }
}

fn wrong(name: &str, value: &OsStr, why: &str) -> Failure {
    let shown = value.to_string_lossy();
    Failure::Usage(format!("--{name} {}: {why}", one_line(&shown)))
}

fn usage(error: lexopt::Error) -> Failure {
    let text = error.to_string();
    Failure::Usage(format!("{}; --help lists the options", one_line(&text)))
}

/// What was typed, without what would end the line or move the cursor.
fn one_line(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
