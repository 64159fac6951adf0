//! [`check_laws`]: what must hold between a machine and a kernel, for worlds, explorer and fuzzer alike.

use crate::datagram_state::DatagramState;
use crate::flags::EpollFlags;
use crate::kernel::Interest;
use crate::line_state::LineState;
use crate::socket_state::SocketState;
use alloc::format;
use alloc::string::String;
use tidegate_core::inspect;
use tidegate_core::{Class, Directions, Dispatcher, Token};

/// What a kernel holds of one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The source.
    pub token: Token,
    /// The mask of its registration, if there is one.
    pub mask: Option<EpollFlags>,
    /// What could be done now.
    pub possible: Directions,
    /// It has a stored error that nothing has returned yet.
    pub failed: bool,
    /// The next wait reports something of it.
    pub reports: bool,
}

impl Held {
    /// What is held of a source of which nothing is known but what the machine believes to be registered.
    pub(crate) const fn unknown(token: Token, mask: Option<EpollFlags>) -> Self {
        Self {
            token,
            mask,
            possible: Directions::NONE,
            failed: false,
            reports: true,
        }
    }

    /// What is held of a stream.
    #[must_use]
    pub fn of(token: Token, socket: &SocketState) -> Self {
        Self {
            possible: socket.possible(),
            failed: socket.end.error.is_some(),
            reports: socket.would_report(),
            ..Self::registered(token, socket.interest)
        }
    }

    /// What is held of a datagram socket.
    #[must_use]
    pub fn of_datagrams(token: Token, socket: &DatagramState) -> Self {
        Self {
            possible: socket.possible(),
            failed: socket.end.error.is_some(),
            reports: socket.would_report(),
            ..Self::registered(token, socket.interest)
        }
    }

    /// What is held of a descriptor that is watched.
    #[must_use]
    pub fn of_line(token: Token, line: &LineState) -> Self {
        Self {
            possible: line.ready(),
            reports: line.would_report(),
            ..Self::registered(token, line.interest)
        }
    }

    fn registered(token: Token, interest: Option<Interest>) -> Self {
        Self::unknown(token, interest.map(|interest| interest.asked()))
    }
}

/// Checks the laws that the machine can check by itself, then those that take the kernel's eyes: what is armed is what is
/// registered; and between iterations, if nothing is queued, whatever the machine wants and does not have in flight will
/// be notified if it is possible, a reset as well. `held` is every source that has a descriptor, each once.
///
/// # Errors
///
/// The first that does not hold, in words.
pub fn check_laws(
    machine: &Dispatcher<'_>,
    between: bool,
    held: impl Iterator<Item = Held> + Clone,
) -> Result<(), String> {
    if let Err(broken) = machine.check_laws() {
        return Err(format!("{broken}"));
    }
    if machine.has_work() && machine.poll_timeout() != Some(machine.now()) {
        return Err("there is work, and no call is asked for now".into());
    }
    let mut registered = 0;
    for source in held.clone() {
        let armed = machine
            .armed()
            .find(|(token, ..)| *token == source.token)
            .map(|(_, armed, trigger)| Interest::mask_of(armed, trigger));
        if armed != source.mask {
            let Held { token, mask, .. } = source;
            return Err(format!(
                "{token:?}: armed is {armed:?}, registered {mask:?}"
            ));
        }
        registered += usize::from(armed.is_some());
    }
    if registered != machine.armed().count() {
        return Err("something is armed that has no descriptor".into());
    }
    if !between || machine.has_work() {
        return Ok(());
    }
    held.filter(|source| !source.reports)
        .try_for_each(|source| nothing_is_lost(machine, source))
}

fn nothing_is_lost(machine: &Dispatcher<'_>, held: Held) -> Result<(), String> {
    let token = held.token;
    let [_, in_flight, _] = machine.sets(token);
    let lost = (machine.wanted(token) - in_flight) & held.possible;
    if !lost.is_empty() {
        return Err(format!(
            "{token:?}: {lost:?} is possible and wanted, and nothing will notify"
        ));
    }
    let state = inspect::STATES[machine.state(token)];
    let rests = matches!(machine.deadline(token), Some((Class::Congestion, _)));
    if held.failed
        && matches!(state, "Open" | "HalfClosing" | "HalfClosed")
        && in_flight.is_empty()
        && !rests
    {
        return Err(format!("{token:?}: it was reset, and nothing will notify"));
    }
    Ok(())
}
