//! Opening the listeners: all of them, or a message why not.

use super::Failure;
use super::arguments::Options;
use super::inherited::Inherited;
use super::lines::OUTPUT;
use super::places::{Target, Where};
use super::reserved::AnyServer;
use super::unix_path::{self, SocketFile};
use core::net::SocketAddr;
use tidegate::{Address, Errno, Listen, ListenError};

/// What was opened.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Socket files that were made.
    files: Vec<SocketFile>,
    /// As they are shown.
    names: Vec<String>,
    /// Internet addresses, with the ports that they have.
    addresses: Vec<SocketAddr>,
}

impl Opened {
    /// Says where it listens.
    pub(crate) fn announce(&self) {
        for name in &self.names {
            OUTPUT.line(format_args!("listening on {name}"));
        }
    }
}

/// Opens every listener of the first thread.
pub(crate) fn open(
    server: &mut AnyServer,
    options: &Options,
    targets: &[Target],
) -> Result<Opened, Failure> {
    let mut opened = Opened::default();
    let mut missing = None;
    for target in targets {
        let listen = listener(options, target.place.address());
        let failed = |why| cannot_listen(listen.address, why);
        if let Where::Unix(path) = &target.place {
            unix_path::make_free(path).map_err(failed)?;
        }
        let address = match server.listen(&listen) {
            Ok((_, address)) => address,
            Err(error) if target.one_of_several && is_missing(error) => {
                log::warn!("not listening on {}: {error}", listen.address);
                missing = Some(failed(error.to_string()));
                continue;
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        match (&target.place, address) {
            (Where::Unix(path), _) => {
                opened
                    .files
                    .push(SocketFile::remember(path).map_err(|error| failed(error.to_string()))?);
                opened.names.push(format!("unix:{path}"));
            }
            (Where::Inet(asked), address) => {
                let address = address.unwrap_or(*asked);
                warn_if_wide(address);
                opened.names.push(address.to_string());
                opened.addresses.push(address);
            }
        }
    }
    if let (Some(failure), true) = (missing, opened.names.is_empty()) {
        return Err(failure);
    }
    Ok(opened)
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
