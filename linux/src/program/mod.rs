//! The program from its arguments to its exit code.

mod arguments;
mod descriptors;
mod help;
mod lines;
mod logging;
mod memory_table;
mod places;
mod report;
mod ring;
mod services;
mod serving;
mod signals;
mod unix_path;
mod values;

use arguments::{Command, Options};
use core::fmt;
use services::{Chat, Discard, Echo, Print, Service, ServiceName};
use static_cell::ConstStaticCell;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use tidegate::backend::{AnyBackend, Epoll, Kind, Places};
use tidegate::{CallError, Memory, Server, StartError};

/// The most connections.
const CONNECTIONS: usize = 20_000;

/// One memory for every service: address space for the most connections, pages for those that come. The state of a
/// connection is a count of lines, which only the chat uses.
type ServerMemory = Memory<CONNECTIONS, 4096, 16384, u32>;
static MEMORY: ConstStaticCell<ServerMemory> = ConstStaticCell::new(ServerMemory::new());

/// Places for the backends that keep a list themselves, and bits for as many descriptors as there can be: what was open
/// before the program began counts, too.
type BackendPlaces = Places<{ CONNECTIONS + Places::<0>::OTHERS }, { bits(CONNECTIONS + 1024) }>;
static PLACES: ConstStaticCell<BackendPlaces> = ConstStaticCell::new(BackendPlaces::new());

/// The words that hold so many bits.
const fn bits(n: usize) -> usize {
    n.div_ceil(usize::BITS as usize)
}

/// The server, whatever asks the kernel.
type AnyServer<S> = Server<'static, S, AnyBackend<'static>>;

/// Makes the server that the options ask for, in the memory of the program: to be called once.
fn server<S: Service>(
    options: &Options,
    memory: &'static mut ServerMemory,
    service: S,
) -> Result<AnyServer<S>, StartError> {
    let backend = backend(options.backend).map_err(StartError::System)?;
    Server::with_backend(memory, &options.config, service, backend)
}

/// The backend that was asked for. Where the kernel or a sandbox refuses io_uring it is epoll, and is said so.
fn backend(kind: Kind) -> Result<AnyBackend<'static>, CallError> {
    let backend = AnyBackend::new(kind, PLACES.take());
    match backend {
        Err(error) if kind == Kind::Uring => {
            log::warn!("--backend uring: {error}; serving by epoll");
            Epoll::new().map(AnyBackend::Epoll)
        }
        backend => backend,
    }
}

/// Runs the program; answers its exit code.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match arguments::parse(arguments).and_then(obey) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            lines::LOG.push(format!("tidegate: {failure}\n").as_bytes());
            lines::end();
            failure.code()
        }
    }
}

fn obey(command: Command) -> Result<(), Failure> {
    match command {
        Command::Help => say(&help::text()),
        Command::Version => say(&format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Memory(options) => say(&memory_table::text(&options, MEMORY.take())?),
        Command::Serve(options) => return serve(&options),
    }
    Ok(())
}

fn serve(options: &Options) -> Result<(), Failure> {
    match options.service {
        ServiceName::Print => serving::serve(options, MEMORY.take(), Print::new(&lines::OUTPUT)),
        ServiceName::Echo => serving::serve(options, MEMORY.take(), Echo),
        ServiceName::Discard => serving::serve(options, MEMORY.take(), Discard),
        ServiceName::Chat => serving::serve(options, MEMORY.take(), Chat::default()),
    }
}

/// Writes an answer to standard output. If nobody reads it, there is nobody to tell.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
}

/// Why the program gives up: one line, with the value and what would be right.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The command line cannot be obeyed by this program, wherever it runs. Exit code 2.
    Usage(String),
    /// The system does not let it. Exit code 1.
    System(String),
}

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::System(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::System(text) => f.write_str(text),
        }
    }
}
