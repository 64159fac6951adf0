//! What every example needs around its handler: options, listeners, the end on SIGTERM or SIGINT, a summary.

use core::error::Error;
use core::fmt::Display;
use lexopt::{Arg, Parser, ValueExt};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Write};
use std::{fs, process, thread};
use tidegate::{Address, CallError, Config, Handler, Listen, PerSource, Server, Sources};

// The same values as the program's.
#[path = "../../src/program/values.rs"]
pub(crate) mod values;

/// A failure, told by `main`.
pub(crate) type Failure = Box<dyn Error>;

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
    /// What a client is told before it is refused because the table is full. No option: the protocol says it.
    pub(crate) refusal: &'static [u8],
    /// `--receive-buffer`, in bytes; `None`: the kernel tunes it.
    pub(crate) receive_buffer: Option<u32>,
    /// `--send-buffer`, likewise.
    pub(crate) send_buffer: Option<u32>,
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
            ..Listen::on(address)
        }
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
        format!(
            "
  --idle TIME|off              end a connection without a byte in either direction for so long: 30s, 10m [{idle}]
  --half-close TIME|off        the same once one side has ended and the other has not [{half_closed}]
  --full wait|refuse|evict|evict-half-closed
                               when all are taken: leave peers queued, refuse new ones, or end the one half-closed or
                               idle longest; the last, half-closed ones only [{full}]
  --per-source N|off           connections from one address, or from one /64 of global IPv6 [{per_source}]
  --source-bits N,N,N          bits of an IPv4, a global and a local IPv6 address that make one address [32,64,128]
  --per-block N/BITS|off       connections from one block of global IPv6 addresses, such as 16/56 [off]
  --receive-buffer BYTES|auto  what the kernel may hold of received bytes for each; auto lets it tune that [{receive}]
  --send-buffer BYTES|auto     the same of bytes to send [{send}]
  --help, -h                   print this, and end
",
            idle = values::shown(self.config.idle),
            half_closed = values::shown(self.config.half_closed),
            full = full.map_or("", |(name, _)| name),
            receive = values::buffer_shown(self.receive_buffer),
            send = values::buffer_shown(self.send_buffer),
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
                Arg::Short(_) | Arg::Value(_) => return Err(argument.unexpected()),
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
        if let Err(why) = Address::parse(text) {
            wrong(format_args!("--listen {why}"));
        }
    }
    common
}

/// Listens at each of `common.listen`, says so, and serves until SIGTERM or SIGINT; a second one ends at once.
pub(crate) fn serve<H: Handler>(
    server: &mut Server<'_, H>,
    common: &Common,
) -> Result<(), Failure> {
    serve_by(server, common, |server| server.turn(None))
}

/// The same for an example that does something of its own in each turn of the loop, which `turn` is.
pub(crate) fn serve_by<H: Handler>(
    server: &mut Server<'_, H>,
    common: &Common,
    turn: impl Fn(&mut Server<'_, H>) -> Result<(), CallError>,
) -> Result<(), Failure> {
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    let (stop, mut signals) = (server.stop_handle()?, Signals::new([SIGTERM, SIGINT])?);
    thread::spawn(move || signals.forever().for_each(|_| stop.stop()));
    for text in &common.listen {
        let address = Address::parse(text)?;
        let listener = common.listener(address);
        let opened = server.listen(&listener);
        let (_, chosen) = opened.map_err(|why| format!("cannot listen on {text}: {why}"))?;
        println!("listening on {}", chosen.map_or(address, Address::Inet));
        // Loopback has no such limit: whoever has tried it there does not know of it.
        if let (PerSource::Auto, Some(limit)) = (common.per_source, server.limit(&listener)) {
            eprintln!("at most {limit} connections from one address: --per-source");
        }
    }
    while !server.is_stopped() {
        turn(server)?;
    }
    let paths = (common.listen.iter()).filter_map(|text| text.strip_prefix("unix:"));
    paths.for_each(|path| drop(fs::remove_file(path)));
    let stats = server.stats();
    println!(
        "stopped: {} connections accepted, {} refused; {} bytes in, {} bytes out",
        stats.accepted,
        stats.refused_full.saturating_add(stats.refused_source),
        stats.bytes_in,
        stats.bytes_out,
    );
    Ok(())
}

/// Shows the warnings of the library: that a limit bites, at most once a second.
struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // If none hears it, the service goes on all the same.
        let _ = writeln!(io::stderr(), "{}", record.args());
    }

    fn flush(&self) {}
}

/// Says what is wrong with the command line, and ends.
fn wrong(why: impl Display) -> ! {
    eprintln!("{why}");
    process::exit(2)
}
