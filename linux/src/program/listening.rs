//! Opening the listeners: all of them, or a message why not.

use super::arguments::Options;
use super::control::Control;
use super::endpoints::{self, Target};
use super::handlers::Handlers;
use super::heads::{self, Heads};
use super::inherited::Inherited;
use super::lines::OUTPUT;
use super::metrics::{self, Metrics};
use super::privileges::Owner;
use super::reserved::{AnyServer, LISTENERS};
use super::values::Bind;
use super::{Failure, signals};
use core::fmt::Write;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tidegate::{Address, Errno, Error, Listen, Listening, PerSource, Retry, SocketFile, Token};
use tidegate_core::heapless;

/// Listeners that wait for their address, by what they are for.
pub(crate) type Waiting<'t> = Retry<'t, Role>;

/// What a listener is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Service,
    Metrics,
    Control,
}

/// How listeners are opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'o> {
    pub(crate) options: &'o Options,
    file: SocketFile,
    began: Instant,
    /// How long the machine had been up then, in seconds.
    up: u64,
}

/// What was opened.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// As they are shown.
    names: Vec<String>,
    /// Addresses for operators.
    others: Vec<String>,
    /// Internet addresses of the service, with the ports that they have: every thread listens there.
    addresses: Mutex<heapless::Vec<SocketAddr, LISTENERS>>,
    /// How many these are.
    count: AtomicUsize,
    /// Whether some wait for their address.
    waiting: AtomicBool,
    /// The default limit of connections from one address.
    source_limit: Option<u32>,
}

impl Opened {
    /// Prints where it listens.
    pub(crate) fn announce(&self) {
        for other in &self.others {
            OUTPUT.line(format_args!("{other}"));
        }
        for name in &self.names {
            OUTPUT.line(format_args!("listening on {name}"));
        }
        // Loopback has no such limit, so a test on loopback does not show it.
        if let Some(limit) = self.source_limit {
            log::warn!("at most {limit} connections from one address: --per-source");
        }
    }

    /// Whether some wait for their address.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many addresses of the service there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Another address for all threads.
    fn share(&self, address: SocketAddr) {
        let mut addresses = self.addresses();
        // There is an entry for each.
        let _ = addresses.push(address);
        self.count.store(addresses.len(), Ordering::Release);
    }

    fn addresses(&self) -> MutexGuard<'_, heapless::Vec<SocketAddr, LISTENERS>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'o> Plan<'o> {
    pub(crate) fn new(options: &'o Options, began: Instant) -> Result<Self, Failure> {
        let owner = options.socket_owner.as_ref().map(Owner::find).transpose()?;
        let (user, group) = owner.unwrap_or_default();
        let file = SocketFile {
            mode: options.socket_mode,
            user,
            group,
            ..SocketFile::DEFAULT
        };
        Ok(Self {
            options,
            file,
            began,
            up: metrics::uptime(),
        })
    }

    /// A listener, but for its address.
    fn listener(&self, role: Role) -> Listen<'static> {
        let options = self.options;
        let listen = Listen {
            per_source: options.per_source,
            receive_buffer: options.receive_buffer,
            send_buffer: options.send_buffer,
            user_timeout: options.user_timeout,
            reuse_port: options.threads > 1 && role == Role::Service,
            file: self.file,
            freebind: options.bind == Bind::Free,
            ..Listen::on(Address::Unix(""))
        };
        match role {
            Role::Service => listen,
            Role::Metrics | Role::Control => Listen {
                reserved: reserved(options.connections),
                at_most: Some(at_most(options.connections)),
                priority: true,
                file: match role {
                    Role::Control => CONTROL,
                    Role::Service | Role::Metrics => self.file,
                },
                ..listen
            },
        }
    }

    /// The default limit of connections from one address there.
    fn source_limit(&self, address: SocketAddr) -> Option<u32> {
        let options = self.options;
        let listen = Listen {
            address: Address::Inet(address),
            ..self.listener(Role::Service)
        };
        let connections = options.config.connections.unwrap_or(options.connections);
        let limit = listen.limit(connections);
        limit.filter(|_| listen.per_source == PerSource::Auto)
    }

    /// Opens every listener of the first thread for the service.
    pub(crate) fn open<'t>(
        &self,
        server: &mut AnyServer,
        targets: &'t [Target],
        opened: &mut Opened,
        waiting: &mut Waiting<'t>,
    ) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for target in targets {
            match open_at(server, &target.text, self.listener(Role::Service)) {
                Ok((_, address)) => {
                    if let Some(address) = address {
                        opened.share(address);
                        opened.source_limit = opened.source_limit.or(self.source_limit(address));
                    }
                    let name = address.map_or(target.text.clone(), |address| address.to_string());
                    opened.names.push(name);
                }
                Err(error) if self.may_wait(error, target) => missing.push((target, error)),
                Err(error) => return Err(cannot_listen(&target.text, error)),
            }
        }
        for (target, error) in missing {
            if target.one_of_several && !opened.names.is_empty() {
                log::warn!("not listening on {}: {error}", target.text);
            } else if self.options.bind == Bind::Wait {
                self.wait(server, target, Role::Service, waiting)?;
            } else {
                return Err(cannot_listen(&target.text, error));
            }
        }
        Ok(())
    }

    /// Opens the listeners for operators: in the first thread only.
    pub(crate) fn open_others<'t>(
        &self,
        server: &mut AnyServer,
        targets: &'t [(Role, Vec<Target>)],
        opened: &mut Opened,
        waiting: &mut Waiting<'t>,
    ) -> Result<(), Failure> {
        for (role, targets) in targets {
            if let Some(shown) = self.open_beside(server, targets, *role, waiting)? {
                opened.others.push(shown);
            }
        }
        opened.waiting = AtomicBool::new(!waiting.is_empty());
        Ok(())
    }

    /// Opens one of them; of a name that has several addresses, the first that this machine has.
    fn open_beside<'t>(
        &self,
        server: &mut AnyServer,
        targets: &'t [Target],
        role: Role,
        waiting: &mut Waiting<'t>,
    ) -> Result<Option<String>, Failure> {
        let mut missing = None;
        for target in targets {
            match open_at(server, &target.text, self.listener(role)) {
                Ok((token, address)) => {
                    self.put_to_work(server, token, role);
                    let name = address.map_or(target.text.clone(), |address| address.to_string());
                    return Ok(Some(format!("{} on {name}", role.name())));
                }
                Err(error) if self.may_wait(error, target) => missing = Some((target, error)),
                Err(error) => return Err(cannot_listen(&target.text, error)),
            }
        }
        match missing {
            Some((target, _)) if self.options.bind == Bind::Wait => {
                self.wait(server, target, role, waiting)?;
                Ok(None)
            }
            Some((target, error)) => Err(cannot_listen(&target.text, error)),
            None => Err(Failure::System(format!(
                "cannot listen for {}: the name has no address; write an address",
                role.name()
            ))),
        }
    }

    /// Whether there may be a remedy: another address of the same name, or waiting.
    fn may_wait(&self, error: Error, target: &Target) -> bool {
        let waits = self.options.bind == Bind::Wait && error.may_pass();
        waits || (target.one_of_several && is_missing(error))
    }

    /// Has a listener tried again until its address is there.
    fn wait<'t>(
        &self,
        server: &mut AnyServer,
        target: &'t Target,
        role: Role,
        waiting: &mut Waiting<'t>,
    ) -> Result<(), Failure> {
        match waiting.listen(server, &target.text, self.listener(role), role) {
            Ok(None) => log::warn!(
                "{} is not there yet: tried again until it is (--bind wait)",
                target.text
            ),
            // It has come just now.
            Ok(Some(listening)) => self.begin(server, role, Ok(listening), None),
            Err(error) => return Err(cannot_listen(&target.text, error)),
        }
        Ok(())
    }

    /// After each iteration of the first thread: retries those that are due.
    pub(crate) fn try_again(
        &self,
        server: &mut AnyServer,
        opened: &Opened,
        waiting: &mut Waiting<'_>,
    ) {
        if waiting.is_empty() {
            return;
        }
        waiting.turn(server, |server, role, result| {
            self.begin(server, role, result, Some(opened));
        });
        opened.waiting.store(!waiting.is_empty(), Ordering::Relaxed);
    }

    /// One that has waited listens now, or never will.
    fn begin(
        &self,
        server: &mut AnyServer,
        role: Role,
        result: Result<Listening, Error>,
        opened: Option<&Opened>,
    ) {
        let (token, address) = match result {
            Ok(listening) => listening,
            Err(error) => return log::error!("not listening for {}: {error}", role.name()),
        };
        let Some(address) = address else {
            return;
        };
        if role == Role::Service {
            OUTPUT.line(format_args!("listening on {address}"));
            if let Some(opened) = opened {
                opened.share(address);
                signals::wake_all();
            }
        } else {
            self.put_to_work(server, token, role);
            OUTPUT.line(format_args!("{} on {address}", role.name()));
        }
        warn_if_wide(address);
    }

    /// Connections of this listener get the handler of its role.
    fn put_to_work(&self, server: &mut AnyServer, token: Token, role: Role) {
        match role {
            Role::Service => {}
            Role::Metrics => {
                let connections = self.options.all_connections();
                let metrics = Metrics::new(connections, self.up, Heads::take());
                beside(server, token).measure(token.index(), metrics);
            }
            Role::Control => {
                beside(server, token).obey(token.index(), Control::new(self.began));
            }
        }
    }

    /// Opens in another thread what the first has opened, from the address number `known` on. Returns how many there are.
    pub(crate) fn open_again(
        &self,
        server: &mut AnyServer,
        opened: &Opened,
        known: usize,
    ) -> Result<usize, Failure> {
        if opened.count() == known {
            return Ok(known);
        }
        let addresses = opened.addresses();
        for address in addresses.iter().skip(known) {
            let listen = Listen {
                address: Address::Inet(*address),
                ..self.listener(Role::Service)
            };
            let again = server.listen(&listen);
            again.map_err(|error| cannot_listen(&address.to_string(), error))?;
        }
        Ok(addresses.len())
    }

    /// Listens on what the service manager has opened. A socket file stays: it is not ours.
    pub(crate) fn adopt(
        &self,
        server: &mut AnyServer,
        passed: Vec<Inherited>,
        opened: &mut Opened,
    ) -> Result<(), Failure> {
        for passed in passed {
            let (shown, path) = (passed.to_string(), passed.path());
            // The socket itself knows its address.
            let adopted = server.adopt(passed.socket, &self.listener(Role::Service));
            let (_, address) = adopted.map_err(|error| {
                Failure::System(format!(
                    "cannot listen on {shown} of the service manager: {error}"
                ))
            })?;
            match (address, path) {
                (Some(address), _) => {
                    warn_if_wide(address);
                    opened.names.push(address.to_string());
                }
                (None, Some(path)) => opened.names.push(format!("unix:{path}")),
                (None, None) => opened.names.push(shown),
            }
        }
        Ok(())
    }
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Service => "the service",
            Self::Metrics => "metrics",
            Self::Control => "control",
        }
    }
}

/// The addresses of the listeners for operators.
pub(crate) fn targets_beside(options: &Options) -> Result<Vec<(Role, Vec<Target>)>, Failure> {
    let asked = [
        (Role::Metrics, &options.metrics),
        (Role::Control, &options.control),
    ];
    let asked = asked
        .into_iter()
        .filter_map(|(role, endpoint)| Some((role, endpoint.as_ref()?)));
    asked
        .map(|(role, endpoint)| Ok((role, endpoints::targets(core::slice::from_ref(endpoint))?)))
        .collect()
}

/// The file of the control socket: permission to connect is permission to command.
const CONTROL: SocketFile = SocketFile {
    mode: Some(0o600),
    ..SocketFile::DEFAULT
};

/// Connections that are reserved for each of them, so that it responds when all others are taken: one for a request and
/// one for an idle session. Of a small table both together have no more than half.
fn reserved(connections: u32) -> u32 {
    (connections / 4).min(2)
}

/// Connections that each of them may have: reaching it leaves the service its connections, even with many idle ones.
fn at_most(connections: u32) -> u32 {
    (connections / 4).clamp(1, heads::CONNECTIONS)
}

/// Opens one listener.
fn open_at(server: &mut AnyServer, text: &str, listen: Listen<'_>) -> Result<Listening, Error> {
    // The caller handles what is to be retried: nothing is retried here.
    let mut none = Retry::<(), Listen<'_>, 0>::new();
    let opened = none.listen(server, text, listen, ());
    let listening = opened?.ok_or(Error::Open {
        call: "bind",
        errno: Errno::ADDRNOTAVAIL,
        holder: None,
    })?;
    listening.1.inspect(|address| warn_if_wide(*address));
    Ok(listening)
}

/// The handlers of a server, one of whose listeners is not for its service.
fn beside(server: &mut AnyServer, listener: Token) -> &mut Handlers {
    let mut note = heapless::String::<32>::new();
    // It fits.
    let _ = write!(note, "beside {}", listener.index());
    server.session_mut().note(&note);
    server.handler_mut()
}

fn cannot_listen(text: &str, error: Error) -> Failure {
    Failure::System(format!("cannot listen on {text}: {error}"))
}

/// Whether this machine has no such address; another address of the same name may do.
fn is_missing(error: Error) -> bool {
    matches!(
        error.errno(),
        Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)
    )
}

fn warn_if_wide(address: SocketAddr) {
    if address.ip().to_canonical().is_unspecified() {
        log::warn!(
            "{address} is every interface of this machine: any host that reaches one can connect, without encryption"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_keeps_half_of_the_connections_at_least() {
        assert_eq!([1, 3, 4, 7, 8, 20_000].map(reserved), [0, 0, 1, 1, 2, 2]);
        assert!((1..100).all(|connections| 2 * reserved(connections) <= connections / 2));
        assert_eq!([1, 4, 8, 64, 20_000].map(at_most), [1, 1, 2, 16, 16]);
        assert!((1..100).all(|connections| reserved(connections) <= at_most(connections)));
    }
}
