//! What every example needs around its handler: options, listeners, the end on SIGTERM or SIGINT, a summary.

use core::fmt::{self, Display};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use lexopt::{Arg, Parser, ValueExt};
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::process;
use tidegate::backend::Backend;
use tidegate::signals::{self, Signal};
use tidegate::{
    Address, AddressFault, Config, Datagrams, Error, Handler, Listen, Listening, PerSource, Retry,
    Server, SocketFile, Source, Sources,
};
use values::Bind;

// The same values as the program's.
#[path = "../../src/program/values.rs"]
pub(crate) mod values;

/// An error that `main` prints.
pub(crate) type Failure = Box<dyn core::error::Error>;

/// SIGHUP came: what is not there yet is tried at once.
static RELOAD: AtomicBool = AtomicBool::new(false);

/// The options that every example has. Those of the command line are put over the example's defaults.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// `--listen`, at least one; each was checked.
    pub(crate) listen: Vec<String>,
    /// `--idle`, `--half-close`, `--full`, `--source-bits` and `--per-block` set it.
    pub(crate) config: Config,
    /// `--per-source`.
    pub(crate) per_source: PerSource,
    /// The most connections of each listener at a time. No option: an example sets it where its protocol wants it.
    pub(crate) at_most: Option<u32>,
    /// What a client is sent before it is refused: the table is full, or its source address has reached its limit. No
    /// option: the protocol defines it.
    pub(crate) refusal: &'static [u8],
    /// `--receive-buffer`, in bytes; `None`: the kernel tunes it.
    pub(crate) receive_buffer: Option<u32>,
    /// `--send-buffer`, likewise.
    pub(crate) send_buffer: Option<u32>,
    /// `--socket-mode` and `--socket-owner`: the files of Unix sockets.
    pub(crate) file: SocketFile,
    /// `--bind`.
    pub(crate) bind: Bind,
    /// Sockets for datagrams, each with its address, which is put over that of the options.
    pub(crate) datagrams: Vec<(String, Datagrams<'static>)>,
    /// If set, each of them on the internet has a listener for TCP at the same port. The bits of these listeners'
    /// indices are set in it, so that a handler can distinguish their connections from others.
    pub(crate) streams: Option<&'static AtomicU32>,
}

impl Common {
    /// The defaults of an example: where it listens, and what else its protocol wants.
    pub(crate) fn new(listen: &str, config: Config) -> Self {
        let Listen {
            per_source,
            receive_buffer,
            send_buffer,
            ..
        } = Listen::on(Address::Unix(""));
        Self {
            listen: vec![listen.to_owned()],
            config,
            per_source,
            at_most: None,
            refusal: b"",
            receive_buffer,
            send_buffer,
            file: SocketFile {
                mode: Some(0o666),
                ..SocketFile::DEFAULT
            },
            bind: Bind::Wait,
            datagrams: Vec::new(),
            streams: None,
        }
    }

    /// A listener with these options.
    pub(crate) fn listener<'a>(&self, address: Address<'a>) -> Listen<'a> {
        Listen {
            per_source: self.per_source,
            at_most: self.at_most,
            refusal: self.refusal,
            receive_buffer: self.receive_buffer,
            send_buffer: self.send_buffer,
            file: self.file,
            freebind: self.bind == Bind::Free,
            ..Listen::on(address)
        }
    }

    /// Listens at `text` with these options and prints the address; with `--bind` set accordingly, a failure is left to
    /// `retry`.
    pub(crate) fn listen_at<'c, H: Handler, S: Source>(
        &self,
        server: &mut Server<'_, H>,
        retry: &mut Retry<'c, &'c str, S>,
        text: &'c str,
        source: S,
    ) -> Result<(), Failure> {
        let opened = match self.bind {
            Bind::Wait => retry.listen(server, text, source, text),
            Bind::Free | Bind::Now => Retry::<_, S, 0>::new().listen(server, text, source, text),
        };
        match opened.map_err(|why| format!("cannot listen on {text}: {why}"))? {
            Some(listening) => say_where(text, listening),
            None => complain(format_args!(
                "{text} is not there yet: tried again until it is (--bind wait)"
            )),
        }
        Ok(())
    }

    /// Reads an option other than `--listen`. Returns whether there is one of this name.
    fn set(&mut self, name: &str, parser: &mut Parser) -> Result<bool, lexopt::Error> {
        match name {
            "idle" => self.config.idle = parser.value()?.parse_with(values::duration)?,
            "half-close" => {
                self.config.half_closed = parser.value()?.parse_with(values::duration)?;
            }
            "full" => self.config.full = parser.value()?.parse_with(values::full)?,
            "per-source" => self.per_source = parser.value()?.parse_with(values::per_source)?,
            "source-bits" => {
                self.config.sources = Sources {
                    block: self.config.sources.block,
                    ..parser.value()?.parse_with(values::source_bits)?
                };
            }
            "per-block" => {
                self.config.sources.block = parser.value()?.parse_with(values::per_block)?;
            }
            "receive-buffer" => self.receive_buffer = parser.value()?.parse_with(values::buffer)?,
            "send-buffer" => self.send_buffer = parser.value()?.parse_with(values::buffer)?,
            "bind" => self.bind = parser.value()?.parse_with(values::bind)?,
            "socket-mode" => self.file.mode = parser.value()?.parse_with(values::mode)?,
            "socket-owner" => {
                (self.file.user, self.file.group) = parser.value()?.parse_with(owner)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The lines of the help for these options, with their defaults.
    fn help(&self) -> String {
        let per_source = match self.per_source {
            PerSource::Auto => "a quarter of all on networks, off on loopback and Unix sockets",
            PerSource::Unlimited => "off",
            PerSource::AtMost(limit) => &limit.to_string(),
        };
        let full = values::FULL
            .iter()
            .find(|(_, full)| *full == self.config.full);
        let bind = values::BIND.iter().find(|(_, bind)| *bind == self.bind);
        format!(
            "
  --idle TIME|off              end a connection that is idle in both directions for so long: 30s, 10m [{idle}]
  --half-close TIME|off        the same once one side has sent FIN and the other has not [{half_closed}]
  --full wait|refuse|evict|evict-half-closed
                               when all are taken: leave peers queued, refuse new ones, or end the one half-closed or
                               idle longest; the last, half-closed ones only [{full}]
  --per-source N|off           connections from one address, or from one /64 of global IPv6 [{per_source}]
  --source-bits N,N,N          bits of an IPv4, a global and a local IPv6 address that make one address [32,64,128]
  --per-block N/BITS|off       connections from one block of global IPv6 addresses, such as 16/56 [off]
  --receive-buffer BYTES|auto  what the kernel may hold of received bytes for each; auto lets it tune that [{receive}]
  --send-buffer BYTES|auto     the same of bytes to send [{send}]
  --bind wait|free|now         an address that does not exist yet: retry until it does, bind all the same, or give up [{bind}]
  --socket-mode MODE|umask     permissions of the files of Unix sockets, in octal digits [{mode}]
  --socket-owner UID[:GID]     their owner, by number [off]
  --help, -h                   print this, and end
",
            idle = values::shown(self.config.idle),
            half_closed = values::shown(self.config.half_closed),
            full = full.map_or("", |(name, _)| name),
            receive = values::buffer_shown(self.receive_buffer),
            send = values::buffer_shown(self.send_buffer),
            bind = bind.map_or("", |(name, _)| name),
            mode = values::mode_shown(self.file.mode),
        )
    }
}

/// Reads the command line over the `defaults`. `--help` prints `help`, in which the line `{common}` stands for the options
/// of [`Common`] but `--listen`, which may be given several times. Any other option is for `other`, which returns whether
/// it knows the name. What is wrong ends the program with code 2.
pub(crate) fn arguments(
    help: &str,
    defaults: Common,
    mut other: impl FnMut(&str, &mut Parser) -> Result<bool, lexopt::Error>,
) -> Common {
    let help = help.replace("{common}\n", &defaults.help());
    let (mut parser, mut common, mut listen) = (Parser::from_env(), defaults, Vec::new());
    let mut read = || {
        while let Some(argument) = parser.next()? {
            let name = match argument {
                Arg::Short('h') => "help".to_owned(),
                Arg::Long(name) => name.to_owned(),
                Arg::Value(value) => {
                    // To `other` it is the value of an option without a name.
                    let mut alone = Parser::from_args(["--value".into(), value.clone()]);
                    let _ = alone.next();
                    match other("", &mut alone)? {
                        true => continue,
                        false => return Err(lexopt::Error::UnexpectedArgument(value)),
                    }
                }
                Arg::Short(_) => return Err(argument.unexpected()),
            };
            match name.as_str() {
                "help" => {
                    print!("{help}");
                    process::exit(0);
                }
                "listen" => listen.push(parser.value()?.string()?),
                _ if other(&name, &mut parser)? || common.set(&name, &mut parser)? => {}
                _ => return Err(lexopt::Error::UnexpectedOption(format!("--{name}"))),
            }
        }
        Ok(())
    };
    if let Err(error) = read() {
        wrong(format_args!("{error}; --help lists the options"));
    }
    if !listen.is_empty() {
        common.listen = listen;
    }
    for text in &common.listen {
        match Address::parse(text) {
            // It may come later: that is for `--bind`.
            Err(why) if why.fault() == AddressFault::NoInterface => {}
            Err(why) => wrong(format_args!("--listen {why}")),
            Ok(_) => {}
        }
    }
    common
}

/// Opens `common.datagrams`, listens at each of `common.listen`, prints the addresses, and serves until SIGTERM or
/// SIGINT; a second one ends at once. SIGHUP does not end it.
pub(crate) fn serve<H: Handler>(
    server: &mut Server<'_, H>,
    common: &Common,
) -> Result<(), Failure> {
    serve_by(server, common, |server, longest| server.turn(longest))
}

/// The same for an example that does something of its own in each iteration of the loop: `iterate`, which waits no longer
/// than the time it is passed.
pub(crate) fn serve_by<H: Handler>(
    server: &mut Server<'_, H>,
    common: &Common,
    iterate: impl Fn(&mut Server<'_, H>, Option<Duration>) -> Result<(), Error>,
) -> Result<(), Failure> {
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    take_signals(server)?;
    let (mut sockets, mut retry) = (Retry::new(), Retry::new());
    for (text, options) in &common.datagrams {
        let socket = Socket {
            datagrams: Datagrams {
                file: common.file,
                freebind: common.bind == Bind::Free,
                ..options.clone()
            },
            listener: common.listener(Address::Unix("")),
            streams: common.streams,
        };
        common.listen_at(server, &mut sockets, text, socket)?;
    }
    for text in &common.listen {
        common.listen_at(server, &mut retry, text, common.listener(Address::Unix("")))?;
        // Loopback has no such limit, so a test on loopback does not show it.
        let at = Address::parse(text).map(|address| common.listener(address));
        let limit = at.ok().and_then(|listener| server.limit(&listener));
        if let (PerSource::Auto, Some(limit)) = (common.per_source, limit) {
            complain(format_args!(
                "at most {limit} connections from one address: --per-source"
            ));
        }
    }
    while !server.is_stopped() {
        let longest = [sockets.longest(), retry.longest()];
        iterate(server, longest.into_iter().flatten().min())?;
        if RELOAD.swap(false, Ordering::Acquire) {
            sockets.retry_now();
            retry.retry_now();
        }
        sockets.turn(server, |_, text, opened| say_later(text, opened));
        retry.turn(server, |_, text, opened| say_later(text, opened));
    }
    let stats = server.stats();
    say(format_args!(
        "stopped: {} connections accepted, {} refused; {} bytes in, {} bytes out",
        stats.accepted,
        stats.refused_full.saturating_add(stats.refused_source),
        stats.bytes_in,
        stats.bytes_out,
    ));
    Ok(())
}

/// Stops the server at SIGTERM or SIGINT, and at SIGHUP retries at once what is not available yet. [`serve`] calls it;
/// an example that listens before that, or handles signals of its own, calls it earlier: a signal may arrive as soon as
/// the address has been printed. A second call does nothing; otherwise a signal would count twice.
pub(crate) fn take_signals<H: Handler>(server: &mut Server<'_, H>) -> Result<(), Failure> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let stop = server.stop_handle()?;
    signals::watch(move |signal| match signal {
        Signal::Stop => stop.stop(),
        Signal::Reload => {
            RELOAD.store(true, Ordering::Release);
            stop.wake();
        }
        Signal::User1 | Signal::User2 => {}
    })?;
    Ok(())
}

/// A socket for datagrams and, on the internet and if there are to be streams, a listener at the same port.
struct Socket<'a> {
    datagrams: Datagrams<'static>,
    listener: Listen<'a>,
    streams: Option<&'static AtomicU32>,
}

impl Source for Socket<'_> {
    fn open_at<H: Handler, B: Backend>(
        &self,
        server: &mut Server<'_, H, B>,
        address: Address<'_>,
    ) -> Result<Listening, Error> {
        let (Address::Inet(address), Some(streams)) = (address, self.streams) else {
            return self.datagrams.open_at(server, address);
        };
        let address = Address::Inet(free(address));
        let (token, _) = self.listener.open_at(server, address)?;
        streams.fetch_or(1 << token.index(), Ordering::Relaxed);
        self.datagrams.open_at(server, address)
    }
}

/// This address; if it has no port, with one that is free over both TCP and UDP. An error in it is reported by the
/// listen call.
fn free(mut address: SocketAddr) -> SocketAddr {
    for _ in 0..16 {
        if address.port() == 0
            && let Ok(tcp) = TcpListener::bind(address)
            && let Ok(chosen) = tcp.local_addr()
            && UdpSocket::bind(chosen).is_ok()
        {
            address.set_port(chosen.port());
        }
    }
    address
}

/// Shows the warnings of the library: that a limit bites, at most once a second.
struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // If stderr is closed, the service goes on.
        let _ = writeln!(io::stderr(), "{}", record.args());
    }

    fn flush(&self) {}
}

/// What has become of one that was tried again.
fn say_later(text: &str, opened: Result<Listening, Error>) {
    match opened {
        Ok(listening) => say_where(text, listening),
        Err(why) => complain(format_args!("cannot listen on {text}: {why}")),
    }
}

fn say_where(text: &str, (_, address): Listening) {
    match address {
        Some(address) => say(format_args!("listening on {address}")),
        None => say(format_args!("listening on {text}")),
    }
}

/// The owner of a socket file by number: `UID`, `UID:GID` or `:GID`.
fn owner(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let id = |text: &str| match text {
        "" => Ok(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| ())
        }
        _ => Err(()),
    };
    match (id(user), id(group)) {
        (Ok(None), Ok(None)) | (Err(()), _) | (_, Err(())) => {
            Err("must be UID, UID:GID or :GID, in digits".into())
        }
        (Ok(user), Ok(group)) => Ok((user, group)),
    }
}

/// Writes a line to standard output. If none reads it, or it is a file that may not grow, the service goes on all the same.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The same on standard error.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints what is wrong with the command line, and ends.
fn wrong(why: impl Display) -> ! {
    complain(format_args!("{why}"));
    process::exit(2)
}
