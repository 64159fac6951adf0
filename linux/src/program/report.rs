//! The summary at the end, and the statistics on SIGUSR1.

use super::counters::Counters;
use super::lines::{LOG, OUTPUT, Sink};
use super::recording;
use core::fmt;
use core::time::Duration;
use tidegate::{Reason, Stats};

/// One line about everything.
pub(crate) fn summary(out: &Sink, counters: &Counters, up: Duration) {
    let stats = &counters.stats;
    let refused = stats.refused();
    let dropped = out.dropped().saturating_add(LOG.dropped());
    out.line(format_args!(
        "stopped: {} connections accepted, {refused} refused, {} evicted; {} bytes in, {} bytes out; \
         {dropped} lines dropped{}; {}",
        stats.accepted,
        stats.evicted(),
        stats.bytes_in,
        stats.bytes_out,
        Undelivered(counters.undelivered),
        Tenths(up),
    ));
}

/// The summary of a service that forwards lines.
struct Undelivered(Option<u64>);

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |lines| write!(f, ", {lines} not delivered"))
    }
}

/// `3.2 s`.
struct Tenths(Duration);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0.as_secs(), self.0.subsec_millis() / 100)
    }
}

/// Every counter, a line each: those of `all`, and of `each` thread, if there are several, how many it serves.
pub(crate) fn statistics(out: &Sink, each_thread: &[Counters], all: &Counters, up: Duration) {
    if each_thread.len() > 1 {
        for (n, counters) in each_thread.iter().enumerate() {
            out.line(format_args!(
                "stats: accepted_by_thread_{n} {}",
                counters.stats.accepted
            ));
        }
    }
    each(all, up, |name, value| {
        out.line(format_args!("stats: {name} {value}"));
    });
}

/// Prints the name and the value of every counter, that of the log's lines last.
pub(crate) fn each(
    counters: &Counters,
    up: Duration,
    mut say: impl FnMut(fmt::Arguments<'_>, u64),
) {
    let Stats {
        open,
        peak,
        accepted,
        connected,
        connect_failures,
        refused_full,
        refused_source,
        accept_failures,
        shortages,
        listeners_failed,
        closed,
        bytes_in,
        bytes_out,
        // The program has no datagram sockets.
        datagrams_in: _,
        datagrams_out: _,
        datagram_faults: _,
        datagrams_lost: _,
        stale,
        unasked,
        rebuilds,
        slots_retired,
        worst_queue,
    } = &counters.stats;
    say(format_args!("seconds"), up.as_secs());
    say(format_args!("open"), (*open).into());
    say(format_args!("peak"), (*peak).into());
    say(format_args!("accepted"), *accepted);
    say(format_args!("connected"), *connected);
    say(format_args!("connect_failures"), *connect_failures);
    say(format_args!("refused_full"), *refused_full);
    say(format_args!("refused_source"), *refused_source);
    say(format_args!("accept_failures"), *accept_failures);
    say(format_args!("shortages"), *shortages);
    say(format_args!("listeners_failed"), *listeners_failed);
    for (reason, count) in CLOSED.iter().zip(closed) {
        say(format_args!("closed_{reason}"), *count);
    }
    say(format_args!("bytes_in"), *bytes_in);
    say(format_args!("bytes_out"), *bytes_out);
    say(format_args!("stale"), *stale);
    say(format_args!("unasked"), *unasked);
    say(format_args!("rebuilds"), *rebuilds);
    say(format_args!("repairs"), counters.repairs);
    say(format_args!("slots_retired"), *slots_retired);
    say(format_args!("worst_queue"), (*worst_queue).into());
    if let Some(undelivered) = counters.undelivered {
        say(format_args!("lines_not_delivered"), undelivered);
    }
    if let Some(lost) = recording::lost() {
        say(format_args!("trace_entries_lost"), lost);
    }
    say(format_args!("lines_dropped"), OUTPUT.dropped());
    say(format_args!("log_lines_dropped"), LOG.dropped());
}

/// Short names of the kinds of reasons, by [`Reason::kind`].
pub(crate) const CLOSED: [&str; Reason::KINDS] = [
    "peer_finished",
    "finished",
    "aborted",
    "too_long",
    "evicted",
    "stopping",
    "reset",
    "failed",
    "first_byte",
    "request",
    "write_stall",
    "congestion",
    "idle",
    "linger",
    "connect",
    "half_closed",
];

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate::Class;

    #[test]
    fn each_reason_has_its_name() {
        for (reason, name) in [
            (Reason::PeerFinished, "peer_finished"),
            (Reason::Finished, "finished"),
            (Reason::Aborted, "aborted"),
            (Reason::TooLong, "too_long"),
            (Reason::Evicted, "evicted"),
            (Reason::Stopping, "stopping"),
            (Reason::Failed(tidegate_core::Fault::Reset(104)), "reset"),
            (Reason::Failed(tidegate_core::Fault::Unknown(1)), "failed"),
            (Reason::Deadline(Class::FirstByte), "first_byte"),
            (Reason::Deadline(Class::Request), "request"),
            (Reason::Deadline(Class::WriteStall), "write_stall"),
            (Reason::Deadline(Class::Congestion), "congestion"),
            (Reason::Deadline(Class::Idle), "idle"),
            (Reason::Deadline(Class::Linger), "linger"),
            (Reason::Deadline(Class::Connect), "connect"),
            (Reason::Deadline(Class::HalfClosed), "half_closed"),
        ] {
            assert_eq!(CLOSED.get(reason.kind()), Some(&name));
        }
    }

    #[test]
    fn times_are_cut_to_tenths() {
        assert_eq!(Tenths(Duration::from_millis(3_299)).to_string(), "3.2 s");
        assert_eq!(Tenths(Duration::ZERO).to_string(), "0.0 s");
    }
}
