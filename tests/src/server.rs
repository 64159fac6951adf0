//! A server of the library, in a thread of its own.

use crate::bounded::{SOON, until};
use crate::modes::Mode;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tidegate::backend::{AnyBackend, Backend, Entries, Epoll, Kind};
use tidegate::{Address, Config, Conn, Handler, Listen, Memory, Server, Stats, StopHandle};

/// A server over any backend.
pub type AnyServer<H> = Server<'static, H, AnyBackend<'static>>;

/// Sends back what comes in.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl Handler for Echo {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

/// Memory for one test, never freed. It is made on a stack of its own: one of a test is too small for most.
///
/// # Panics
///
/// If no thread can be started.
#[must_use]
pub fn memory<const N: usize, const RX: usize, const TX: usize, S: Send + 'static>()
-> &'static mut Memory<N, RX, TX, S> {
    let capacity = 16 * 1024 * 1024 + 4 * Memory::<N, RX, TX, S>::SIZE;
    let maker = thread::Builder::new().stack_size(capacity);
    let made = maker
        .spawn(|| Box::leak(Box::new(Memory::new())))
        .expect("a thread");
    made.join().expect("memory")
}

/// A port that the kernel chooses.
#[must_use]
pub fn anywhere() -> Listen<'static> {
    Listen::on(Address::Inet(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// A server without a listener, in this mode, whatever trigger `config` has.
///
/// # Panics
///
/// If it cannot be made.
#[must_use]
pub fn deaf<const N: usize, const RX: usize, const TX: usize, H: Handler>(
    mode: Mode,
    memory: &'static mut Memory<N, RX, TX, H::State>,
    config: &Config,
    handler: H,
) -> AnyServer<H> {
    // For the largest table of a test, and as many descriptors as a process may have here.
    let entries = Box::leak(Box::new(Entries::<1024, 512>::new()));
    let backend = AnyBackend::new(mode.backend, entries).or_else(|error| {
        assert_eq!(mode.backend, Kind::Uring, "{error}");
        eprintln!("not tested here: {error}; epoll stands in, as in the program");
        Epoll::new().map(AnyBackend::Epoll)
    });
    let backend = backend.expect("a backend");
    let config = Config {
        trigger: mode.trigger,
        ..config.clone()
    };
    Server::with_backend(memory, &config, handler, backend).expect("a server")
}

/// A server with one listener, to be turned by the test itself.
///
/// # Panics
///
/// If it cannot be made.
#[must_use]
pub fn server<const N: usize, const RX: usize, const TX: usize, H: Handler>(
    mode: Mode,
    memory: &'static mut Memory<N, RX, TX, H::State>,
    config: &Config,
    handler: H,
) -> (AnyServer<H>, SocketAddr) {
    let mut server = deaf(mode, memory, config, handler);
    let (_, address) = server.listen(&anywhere()).expect("listening");
    (server, address.expect("an address"))
}

/// The same over epoll, as most programs have it: it has one descriptor to watch.
///
/// # Panics
///
/// If it cannot be made.
#[must_use]
pub fn over_epoll<const N: usize, const RX: usize, const TX: usize, H: Handler>(
    memory: &'static mut Memory<N, RX, TX, H::State>,
    config: &Config,
    handler: H,
) -> (Server<'static, H>, SocketAddr) {
    let mut server = Server::new(memory, config, handler).expect("a server");
    let (_, address) = server.listen(&anywhere()).expect("listening");
    (server, address.expect("an address"))
}

/// Runs a server for as long as `talk` takes, in another thread.
///
/// # Panics
///
/// If a wait fails; `talk` bounds its own.
pub fn serve<H: Handler, B: Backend, R: Send>(
    server: &mut Server<'_, H, B>,
    talk: impl FnOnce() -> R + Send,
) -> R {
    thread::scope(|scope| {
        let talk = scope.spawn(talk);
        while !talk.is_finished() {
            let poll = Duration::from_millis(1);
            server.turn(Some(poll)).expect("a wait");
        }
        talk.join().expect("what was expected")
    })
}

/// Runs a server until its counters are as `condition` wants them.
///
/// # Panics
///
/// If they are not soon.
pub fn turn_until<H: Handler, B: Backend>(
    server: &mut Server<'_, H, B>,
    what: &str,
    condition: impl Fn(&Stats) -> bool,
) {
    until(what, || {
        server.turn(Some(Duration::ZERO)).expect("a wait");
        condition(server.stats())
    });
}

type Question<H> = Box<dyn FnOnce(&mut AnyServer<H>) + Send>;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Running<H: Handler<State: 'static> + 'static> {
    address: Option<SocketAddr>,
    stop: StopHandle,
    ask: Sender<Question<H>>,
    thread: Option<JoinHandle<Stats>>,
}

impl<H: Handler<State: Send> + Send> Running<H> {
    /// Runs an echo or whatever `handler` is, on a port of the kernel's choice.
    pub fn start<const N: usize, const RX: usize, const TX: usize>(
        mode: Mode,
        memory: &'static mut Memory<N, RX, TX, H::State>,
        config: &Config,
        handler: H,
    ) -> Self {
        Self::listen(mode, memory, config, handler, &anywhere())
    }

    /// Runs it there.
    ///
    /// # Panics
    ///
    /// If it cannot.
    pub fn listen<const N: usize, const RX: usize, const TX: usize>(
        mode: Mode,
        memory: &'static mut Memory<N, RX, TX, H::State>,
        config: &Config,
        handler: H,
        listen: &Listen<'static>,
    ) -> Self {
        let (config, listen) = (config.clone(), listen.clone());
        let (sender, receiver) = channel();
        let (ask, asked) = channel();
        let thread = thread::spawn(move || {
            let mut server = deaf(mode, memory, &config, handler);
            let (_, address) = server.listen(&listen).expect("listening");
            let _ = sender.send((address, server.stop_handle().expect("a handle")));
            run(&mut server, &asked)
        });
        let (address, stop) = receiver.recv_timeout(SOON).expect("a server");
        Self {
            address,
            stop,
            ask,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    ///
    /// # Panics
    ///
    /// If that is not an internet address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.expect("an internet address")
    }

    /// What stops it.
    #[must_use]
    pub fn handle(&self) -> &StopHandle {
        &self.stop
    }

    /// Its thread, while it runs.
    #[must_use]
    pub fn thread(&self) -> Option<&JoinHandle<Stats>> {
        self.thread.as_ref()
    }

    /// Queries the server between two iterations.
    ///
    /// # Panics
    ///
    /// If it does not respond.
    pub fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut AnyServer<H>) -> R + Send + 'static,
    ) -> R {
        let (sender, receiver) = channel();
        let question: Question<H> = Box::new(move |server| {
            let _ = sender.send(question(server));
        });
        self.ask.send(question).expect("a running server");
        self.stop.wake();
        receiver.recv_timeout(SOON).expect("a reply of the server")
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.ask(|server| server.stats().clone())
    }

    /// Waits until the counters are as `condition` wants them, and returns them.
    pub fn stats_when(&self, what: &str, condition: impl Fn(&Stats) -> bool) -> Stats {
        until(what, || condition(&self.stats()));
        self.stats()
    }

    /// Stops it, waits until it has, and returns the last counters.
    ///
    /// # Panics
    ///
    /// If it does not, or its thread panicked.
    pub fn stop(mut self) -> Stats {
        self.stop.stop();
        self.wait()
    }

    /// Waits until it has stopped, and returns the last counters.
    ///
    /// # Panics
    ///
    /// If it does not, or its thread panicked.
    pub fn wait(&mut self) -> Stats {
        let thread = self.thread.take().expect("a thread");
        until("the server has stopped", || thread.is_finished());
        thread.join().expect("no panic in the server")
    }
}

fn run<H: Handler>(server: &mut AnyServer<H>, asked: &Receiver<Question<H>>) -> Stats {
    while !server.is_stopped() {
        server.turn(None).expect("a wait");
        for question in asked.try_iter() {
            question(server);
        }
    }
    server.stats().clone()
}

impl<H: Handler<State: 'static>> Drop for Running<H> {
    fn drop(&mut self) {
        self.stop.stop();
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was reported by its own thread.
            let _ = thread.join();
        }
    }
}
