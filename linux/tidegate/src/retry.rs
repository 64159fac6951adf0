//! [`Retry`]: listeners and datagram sockets whose address does not exist yet, retried until it does.

use crate::address::{Address, AddressFault};
use crate::backend::Backend;
use crate::clock;
use crate::datagram::Datagrams;
use crate::driver::Server;
use crate::error::Error;
use crate::listen::Listen;
use core::net::SocketAddr;
use core::time::Duration;
use rustix::io::Errno;
use tidegate_core::heapless::Vec;
use tidegate_core::{Backoff, Handler, Instant, Token};

/// Waits between tries.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// What a listener that was opened is: its token, and the address it has on the internet.
pub type Listening = (Token, Option<SocketAddr>);

/// What can be opened at an address: a [`Listen`] or a [`Datagrams`].
pub trait Source {
    /// Opens it at `address`, with all its other options.
    ///
    /// # Errors
    ///
    /// [`Error`].
    fn open_at<H: Handler, B: Backend>(
        &self,
        server: &mut Server<'_, H, B>,
        address: Address<'_>,
    ) -> Result<Listening, Error>;
}

impl Source for Listen<'_> {
    fn open_at<H: Handler, B: Backend>(
        &self,
        server: &mut Server<'_, H, B>,
        address: Address<'_>,
    ) -> Result<Listening, Error> {
        server.listen(&Listen {
            address,
            ..self.clone()
        })
    }
}

impl Source for Datagrams<'_> {
    fn open_at<H: Handler, B: Backend>(
        &self,
        server: &mut Server<'_, H, B>,
        address: Address<'_>,
    ) -> Result<Listening, Error> {
        server.datagrams(&Datagrams {
            address,
            ..self.clone()
        })
    }
}

/// Listeners whose address this machine does not have yet: at boot, before DHCP or duplicate address detection is done,
/// or before the interface exists. They are retried, from 500 ms apart to 30 s, until they listen.
///
/// The memory is the caller's: `N` listeners can wait. `T` is what the caller wants to know a listener by. `S` is what is
/// opened: a [`Listen`], or [`Datagrams`].
///
/// ```no_run
/// # use static_cell::ConstStaticCell;
/// use tidegate::{Address, Config, Handler, Listen, Memory, Retry, Server};
///
/// # struct Discard;
/// # impl Handler for Discard {
/// #     type State = ();
/// # }
/// # static MEMORY: ConstStaticCell<Memory<64, 1024, 4096>> = ConstStaticCell::new(Memory::new());
/// let mut server = Server::new(MEMORY.take(), &Config::default(), Discard)?;
/// let mut retry = Retry::<&str, Listen<'_>, 4>::new();
/// let text = "192.0.2.1:80"; // or "[fe80::1%wlan0]:80", before there is a wlan0
/// let options = Listen::on(Address::Unix(""));
/// match retry.listen(&mut server, text, options, "the web")? {
///     Some((_, address)) => println!("listening on {address:?}"),
///     None => eprintln!("{text} is not there yet; tried again"),
/// }
/// retry.run(&mut server, |what, opened| println!("{what}: {opened:?}"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Retry<'a, T, S = Listen<'a>, const N: usize = 16> {
    waiting: Vec<Waiting<'a, T, S>, N>,
}

#[derive(Debug)]
struct Waiting<'a, T, S> {
    text: &'a str,
    source: S,
    what: T,
    backoff: Backoff,
    due: Instant,
}

impl<T, S: Source, const N: usize> Default for Retry<'_, T, S, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T, S: Source, const N: usize> Retry<'a, T, S, N> {
    /// None waits yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiting: Vec::new(),
        }
    }

    /// Listens at the address that `text` is ([`Address::parse`]), with all of `source` but its own address. `None`: it is
    /// not there yet ([`Error::may_pass`]), so it waits here.
    ///
    /// # Errors
    ///
    /// [`Error`], if it will not come by waiting; also if `N` wait already.
    pub fn listen<H: Handler, B: Backend>(
        &mut self,
        server: &mut Server<'_, H, B>,
        text: &'a str,
        source: S,
        what: T,
    ) -> Result<Option<Listening>, Error> {
        match open_at(server, text, &source) {
            Ok(listening) => Ok(Some(listening)),
            Err(error) if error.may_pass() => {
                let mut waiting = Waiting {
                    text,
                    source,
                    what,
                    backoff: Backoff::new(SHORTEST, LONGEST),
                    due: Instant::ZERO,
                };
                waiting.put_off();
                self.waiting.push(waiting).map_err(|_| error)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &T)> {
        self.waiting.iter().map(|one| (one.text, &one.what))
    }

    /// Has all of them retried in the next [`turn`](Self::turn).
    pub fn retry_now(&mut self) {
        for one in &mut self.waiting {
            one.due = Instant::ZERO;
        }
    }

    /// How long it is until the next is due: an upper bound for the timeout of [`Server::turn`]. `None` if none waits.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        let due = self.waiting.iter().map(|one| one.due).min()?;
        Some(due.since(clock::now()))
    }

    /// Retries each that is due, and passes those that listen now, and those that never will, to `notify`. Call it after
    /// each [`Server::turn`]. Of a server that is stopping none is tried, and none waits any longer.
    pub fn turn<'m, H: Handler, B: Backend>(
        &mut self,
        server: &mut Server<'m, H, B>,
        mut notify: impl FnMut(&mut Server<'m, H, B>, T, Result<Listening, Error>),
    ) {
        if self.waiting.is_empty() {
            return;
        }
        if server.is_stopping() {
            self.waiting.clear();
            return;
        }
        let now = clock::now();
        let mut at = 0;
        while let Some(one) = self.waiting.get_mut(at) {
            if one.due > now {
                at += 1;
                continue;
            }
            match open_at(server, one.text, &one.source) {
                Err(error) if error.may_pass() => {
                    one.put_off();
                    at += 1;
                }
                result => {
                    let one = self.waiting.remove(at);
                    notify(server, one.what, result);
                }
            }
        }
    }

    /// Runs the server until it has stopped, as [`Server::run`] does, and tries those that wait.
    ///
    /// # Errors
    ///
    /// As [`Server::run`].
    pub fn run<H: Handler, B: Backend>(
        &mut self,
        server: &mut Server<'_, H, B>,
        mut notify: impl FnMut(T, Result<Listening, Error>),
    ) -> Result<(), Error> {
        while !server.is_stopped() {
            server.turn(self.longest())?;
            self.turn(server, |_, what, result| notify(what, result));
        }
        Ok(())
    }
}

impl<T, S> Waiting<'_, T, S> {
    fn put_off(&mut self) {
        // Chance keeps those apart that lost the same peer; here each waits for its own machine.
        self.due = clock::now().plus(self.backoff.next(0));
    }
}

/// Opens it, at an address that is parsed again: an interface that comes back has another index.
fn open_at<H: Handler, B: Backend>(
    server: &mut Server<'_, H, B>,
    text: &str,
    source: &impl Source,
) -> Result<Listening, Error> {
    let address = Address::parse(text).map_err(|error| match error.fault() {
        AddressFault::NoInterface => Error::open("address", Errno::NODEV),
        AddressFault::System(errno) => Error::open("address", Errno::from_raw_os_error(errno)),
        AddressFault::NoPort
        | AddressFault::Port
        | AddressFault::NoHost
        | AddressFault::Host
        | AddressFault::Brackets
        | AddressFault::NoPath
        | AddressFault::Path => Error::open("address", Errno::INVAL),
    })?;
    source.open_at(server, address)
}
