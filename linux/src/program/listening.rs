//! Opening the listeners: all of them, or a message why not.

use super::Failure;
use super::arguments::Options;
use super::control::Control;
use super::handlers::Handlers;
use super::inherited::Inherited;
use super::lines::OUTPUT;
use super::metrics::Metrics;
use super::places::{self, Place, Target, Where};
use super::reserved::AnyServer;
use super::unix_path::{self, SocketFile};
use core::net::SocketAddr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;
use tidegate::{Address, Errno, Listen, ListenError, PerSource, Token};

/// What was opened.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Socket files that were made.
    files: Vec<SocketFile>,
    /// As they are shown.
    names: Vec<String>,
    /// For whoever looks after the service.
    others: Vec<String>,
    /// Internet addresses of the service, with the ports that they have.
    addresses: Vec<SocketAddr>,
    /// How many connections one address may have, if that was not asked for.
    source_limit: Option<u32>,
}

impl Opened {
    /// Notes the limit of a source at a listener, if it is the default.
    fn note_limit(&mut self, options: &Options, listen: &Listen<'_>) {
        if listen.per_source == PerSource::Auto {
            let connections = options.config.connections.unwrap_or(options.connections);
            self.source_limit = self.source_limit.or(listen.limit(connections));
        }
    }

    /// Says where it listens.
    pub(crate) fn announce(&self) {
        for other in &self.others {
            OUTPUT.line(format_args!("{other}"));
        }
        for name in &self.names {
            OUTPUT.line(format_args!("listening on {name}"));
        }
        // Loopback has no such limit: whoever has tried it there does not know of it.
        if let Some(limit) = self.source_limit {
            log::warn!("at most {limit} connections from one address: --per-source");
        }
    }
}

/// Opens every listener of the first thread for the service.
pub(crate) fn open(
    server: &mut AnyServer,
    options: &Options,
    targets: &[Target],
) -> Result<Opened, Failure> {
    let mut opened = Opened::default();
    let mut missing = None;
    for target in targets {
        let listen = listener(options, target.place.address());
        match open_one(server, &listen, target, &mut opened.files)? {
            Ok((_, address)) => {
                opened.note_limit(options, &listen);
                opened.addresses.extend(address);
                opened.names.push(shown(address, &target.place));
            }
            Err(error) => {
                log::warn!("not listening on {}: {error}", listen.address);
                missing = Some(cannot_listen(listen.address, error.to_string()));
            }
        }
    }
    if let (Some(failure), true) = (missing, opened.names.is_empty()) {
        return Err(failure);
    }
    Ok(opened)
}

/// Opens those for whoever looks after the service: in the first thread only.
pub(crate) fn open_others(
    server: &mut AnyServer,
    options: &Options,
    began: Instant,
    opened: &mut Opened,
) -> Result<(), Failure> {
    if let Some(place) = &options.metrics {
        let token = open_beside(server, options, place, "metrics", opened)?;
        let metrics = Metrics::new(options.all_connections());
        let handlers = beside(server, token);
        handlers.measure(token.index(), metrics);
    }
    if let Some(place) = &options.control {
        let token = open_beside(server, options, place, "control", opened)?;
        let handlers = beside(server, token);
        handlers.obey(token.index(), Control::new(began));
        if let Place::Unix(path) = place {
            let own = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
            own.map_err(|error| cannot_listen(Address::Unix(path), error.to_string()))?;
        }
    }
    Ok(())
}

/// Opens one of them; of a name that has several addresses, the first that this machine has.
fn open_beside(
    server: &mut AnyServer,
    options: &Options,
    place: &Place,
    what: &str,
    opened: &mut Opened,
) -> Result<Token, Failure> {
    let mut missing = String::from("the name has no address");
    for target in places::targets(core::slice::from_ref(place))? {
        let listen = Listen {
            reuse_port: false,
            reserved: reserved(options.connections),
            at_most: Some(at_most(options.connections)),
            priority: true,
            ..listener(options, target.place.address())
        };
        match open_one(server, &listen, &target, &mut opened.files)? {
            Ok((token, address)) => {
                let name = shown(address, &target.place);
                opened.others.push(format!("{what} on {name}"));
                return Ok(token);
            }
            Err(error) => missing = error.to_string(),
        }
    }
    Err(Failure::System(format!(
        "cannot listen on {place} for {what}: {missing}"
    )))
}

/// How many of the connections are kept for each of them, so that it answers when all others are taken: one for who asks and
/// one for who has forgotten to leave. Of a small table both together have no more than half.
fn reserved(connections: u32) -> u32 {
    (connections / 4).min(2)
}

/// How many each of them may have: whoever reaches it leaves the service its connections, even with many that say nothing.
fn at_most(connections: u32) -> u32 {
    (connections / 4).clamp(1, 16)
}

/// Opens one listener; answers what is missing if it may be.
fn open_one(
    server: &mut AnyServer,
    listen: &Listen<'_>,
    target: &Target,
    files: &mut Vec<SocketFile>,
) -> Result<Result<(Token, Option<SocketAddr>), ListenError>, Failure> {
    let failed = |why| cannot_listen(listen.address, why);
    if let Where::Unix(path) = &target.place {
        unix_path::make_free(path).map_err(failed)?;
    }
    let (token, address) = match server.listen(listen) {
        Ok(listening) => listening,
        Err(error) if target.one_of_several && is_missing(error) => return Ok(Err(error)),
        Err(error) => return Err(failed(error.to_string())),
    };
    match &target.place {
        Where::Unix(path) => {
            let file = SocketFile::remember(path);
            files.push(file.map_err(|error| failed(error.to_string()))?);
            Ok(Ok((token, None)))
        }
        Where::Abstract(_) => Ok(Ok((token, None))),
        Where::Inet(asked) => {
            let address = address.unwrap_or(*asked);
            warn_if_wide(address);
            Ok(Ok((token, Some(address))))
        }
    }
}

/// The handlers of a server, one of whose listeners is not for its service.
fn beside(server: &mut AnyServer, listener: Token) -> &mut Handlers {
    let session = server.session_mut();
    session.note(&format!("beside {}", listener.index()));
    session.handler_mut()
}

fn shown(address: Option<SocketAddr>, place: &Where) -> String {
    match (address, place) {
        (Some(address), _) => address.to_string(),
        (None, place) => place.address().to_string(),
    }
}

/// Listens on what the service manager has opened. A socket file stays: it is not ours.
pub(crate) fn adopt(
    server: &mut AnyServer,
    options: &Options,
    passed: Vec<Inherited>,
    opened: &mut Opened,
) -> Result<(), Failure> {
    for passed in passed {
        let (shown, path) = (passed.to_string(), passed.path());
        // The socket itself knows its address.
        let listen = listener(options, Address::Unix(""));
        let adopted = server.adopt(passed.socket, &listen);
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

/// Opens in another thread what the first has opened.
pub(crate) fn open_again(
    server: &mut AnyServer,
    options: &Options,
    opened: &Opened,
) -> Result<(), Failure> {
    for address in &opened.addresses {
        let listen = listener(options, Address::Inet(*address));
        let again = server.listen(&listen);
        again.map_err(|error| cannot_listen(listen.address, error.to_string()))?;
    }
    Ok(())
}

fn listener<'a>(options: &Options, address: Address<'a>) -> Listen<'a> {
    Listen {
        per_source: options.per_source,
        receive_buffer: options.receive_buffer,
        send_buffer: options.send_buffer,
        user_timeout: options.user_timeout,
        reuse_port: options.threads > 1,
        ..Listen::on(address)
    }
}

fn cannot_listen(address: Address<'_>, why: String) -> Failure {
    Failure::System(format!("cannot listen on {address}: {why}"))
}

/// Whether this machine has no such address; another address of the same name may do.
fn is_missing(error: ListenError) -> bool {
    matches!(error.errno, Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)
}

fn warn_if_wide(address: SocketAddr) {
    if address.ip().to_canonical().is_unspecified() {
        log::warn!(
            "{address} is every interface of this machine: whoever reaches one can connect, without encryption"
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
