//! Serving, from the first socket to the summary.

use super::arguments::Options;
use super::lines::{self, LOG, OUTPUT};
use super::places::{self, Target, Where};
use super::services::Service;
use super::unix_path::{self, SocketFile};
use super::{AnyServer, Failure, ServerMemory, descriptors, logging, report, signals};
use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;
use tidegate::{CallError, Errno, Listen, ListenError};

/// Serves until told to stop. After the `listening on` lines nothing is allocated, and nothing but the loop waits.
pub(crate) fn serve<S: Service>(
    options: &Options,
    memory: &'static mut ServerMemory,
    service: S,
) -> Result<(), Failure> {
    let began = Instant::now();
    lines::start()?;
    logging::start(options.log);
    let targets = places::targets(&options.listen)?;
    descriptors::reserve(
        options.connections,
        u32::try_from(targets.len()).unwrap_or(u32::MAX),
    )?;
    let mut server = super::server(options, memory, service)
        .map_err(|error| Failure::System(format!("cannot start: {error}")))?;
    let handle = server
        .stop_handle()
        .map_err(|error| cannot("start", error))?;
    signals::watch(handle)?;
    let files = open(&mut server, options, &targets)?;

    let mut unreachable = false;
    while !server.is_stopped() {
        server.turn(None).map_err(|error| cannot("go on", error))?;
        if signals::statistics_wanted() {
            report::statistics(&OUTPUT, &server, began.elapsed());
        }
        // Whoever restarts it can help; a server that nobody can reach cannot.
        if server.session().machine().listening() == 0 && !unreachable && !signals::stop_wanted() {
            unreachable = true;
            server.stop();
        }
    }

    drop(files);
    say_goodbye(&server, began);
    if unreachable {
        return Err(Failure::System("no listener works any more".into()));
    }
    Ok(())
}

/// Writes the summary and what still waits, within a second, or at once if somebody is in a hurry.
fn say_goodbye<S: Service>(server: &AnyServer<S>, began: Instant) {
    let patience = Duration::from_millis(if signals::in_a_hurry() { 50 } else { 1000 });
    let end = Instant::now() + patience;
    let output_end = end - patience / 4;
    // What cannot be written now is counted before the count is told.
    OUTPUT.flush(output_end);
    report::summary(&OUTPUT, server, began.elapsed());
    if !OUTPUT.flush(output_end) || OUTPUT.dropped() > 0 {
        let dropped = OUTPUT.dropped();
        log::warn!("standard output did not take everything: {dropped} lines dropped");
    }
    LOG.flush(end);
}

fn cannot(what: &str, error: CallError) -> Failure {
    Failure::System(format!("cannot {what}: {error}"))
}

/// Opens every listener, says so once all are open, and answers the socket files that were made.
fn open<S: Service>(
    server: &mut AnyServer<S>,
    options: &Options,
    targets: &[Target],
) -> Result<Vec<SocketFile>, Failure> {
    let (mut files, mut open) = (Vec::new(), Vec::new());
    let mut missing = None;
    for target in targets {
        let listen = Listen {
            per_source: options.per_source,
            ..Listen::on(target.place.address())
        };
        let failed =
            |why: String| Failure::System(format!("cannot listen on {}: {why}", listen.address));
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
                files.push(SocketFile::remember(path).map_err(|error| failed(error.to_string()))?);
                open.push(format!("unix:{path}"));
            }
            (Where::Inet(asked), address) => {
                let address = address.unwrap_or(*asked);
                warn_if_wide(address);
                open.push(address.to_string());
            }
        }
    }
    if let (Some(failure), true) = (missing, open.is_empty()) {
        return Err(failure);
    }
    for address in open {
        OUTPUT.line(format_args!("listening on {address}"));
    }
    Ok(files)
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
