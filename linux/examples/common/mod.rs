//! What every example needs around its handler: arguments, listeners, the end on SIGTERM or SIGINT, a summary.

use core::error::Error;
use core::fmt::Display;
use lexopt::{Arg, Parser, ValueExt};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::{fs, process, thread};
use tidegate::{Address, Handler, Listen, PerSource, Server};

/// A failure, told by `main`.
pub(crate) type Failure = Box<dyn Error>;

/// Reads the command line: `--help` prints `help`, `--listen` may be given several times (`default` if never), and any
/// other option is for `other`, which answers whether it knows the name. What is wrong ends the program with code 2.
pub(crate) fn arguments(
    help: &str,
    default: &str,
    mut other: impl FnMut(&str, &mut Parser) -> Result<bool, lexopt::Error>,
) -> Vec<String> {
    let (mut parser, mut listen) = (Parser::from_env(), Vec::new());
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
                _ if other(&name, &mut parser)? => {}
                _ => return Err(lexopt::Error::UnexpectedOption(format!("--{name}"))),
            }
        }
        Ok(())
    };
    if let Err(error) = read() {
        wrong(format_args!("{error}; --help lists the options"));
    }
    if listen.is_empty() {
        listen.push(default.to_owned());
    }
    for text in &listen {
        if address(text).is_none() {
            wrong(format_args!(
                "--listen {text}: must be IP:PORT, [IPV6]:PORT or unix:/path"
            ));
        }
    }
    listen
}

/// Listens, says so, and serves until SIGTERM or SIGINT; a second one ends at once.
pub(crate) fn serve<H: Handler>(
    server: &mut Server<'_, H>,
    listen: &[String],
    per_source: PerSource,
) -> Result<(), Failure> {
    let (stop, mut signals) = (server.stop_handle()?, Signals::new([SIGTERM, SIGINT])?);
    thread::spawn(move || signals.forever().for_each(|_| stop.stop()));
    for text in listen {
        let address = address(text).ok_or("not an address")?;
        let listener = Listen {
            per_source,
            ..Listen::on(address)
        };
        let opened = server.listen(&listener);
        let (_, chosen) = opened.map_err(|why| format!("cannot listen on {text}: {why}"))?;
        println!("listening on {}", chosen.map_or(address, Address::Inet));
    }
    server.run()?;
    let paths = listen.iter().filter_map(|text| text.strip_prefix("unix:"));
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

/// An address as it is written on the command line.
pub(crate) fn address(text: &str) -> Option<Address<'_>> {
    match text.strip_prefix("unix:") {
        Some(path) => Some(Address::Unix(path)),
        None => text.parse().ok().map(Address::Inet),
    }
}

/// Says what is wrong with the command line, and ends.
fn wrong(why: impl Display) -> ! {
    eprintln!("{why}");
    process::exit(2)
}
