//! The page of `--metrics`.

use super::counters::Counters;
use super::report::CLOSED;
use core::fmt::{self, Write};

/// Every counter.
pub(crate) fn write_page(
    page: &mut impl Write,
    counters: &Counters,
    connections: u32,
    began: u64,
    [lines, log_lines]: [u64; 2],
) -> fmt::Result {
    let stats = &counters.stats;
    let mut say = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| -> fmt::Result {
        let name = format_args!("tidegate_{name}");
        writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        let mut samples = samples.iter();
        samples.try_for_each(|(labels, value)| writeln!(page, "{name}{labels} {value}"))
    };
    let (gauge, counter) = ("gauge", "counter");
    let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    say(
        "build_info",
        gauge,
        "The version of the program.",
        &[(version, 1)],
    )?;
    let text = "When the program began, in seconds since 1970.";
    say("start_time_seconds", gauge, text, &[("", began)])?;
    let text = "The most connections at a time.";
    say(
        "connections_limit",
        gauge,
        text,
        &[("", connections.into())],
    )?;
    let text = "Connections that are open.";
    say("connections_open", gauge, text, &[("", stats.open.into())])?;
    let text = "The most connections that were open together.";
    say("connections_peak", gauge, text, &[("", stats.peak.into())])?;
    let text = "Connections that were accepted.";
    say(
        "connections_accepted_total",
        counter,
        text,
        &[("", stats.accepted)],
    )?;
    let text = "Outbound connections that were made.";
    say(
        "connections_made_total",
        counter,
        text,
        &[("", stats.connected)],
    )?;
    let text = "Outbound connections that could not be made.";
    say(
        "connect_failures_total",
        counter,
        text,
        &[("", stats.connect_failures)],
    )?;
    let text =
        "Connections that were refused, by what was full: the table, or the share of the source.";
    let samples = [
        ("{full=\"table\"}", stats.refused_full),
        ("{full=\"source\"}", stats.refused_source),
    ];
    say("connections_refused_total", counter, text, &samples)?;
    let text = "Accepts that brought no connection.";
    say(
        "accept_failures_total",
        counter,
        text,
        &[("", stats.accept_failures)],
    )?;
    let text = "Times that a listener was paused because the system was short of something.";
    say("shortages_total", counter, text, &[("", stats.shortages)])?;
    let text = "Listeners that were closed because they no longer worked.";
    say(
        "listeners_failed_total",
        counter,
        text,
        &[("", stats.listeners_failed)],
    )?;
    let text = "Bytes received.";
    say(
        "received_bytes_total",
        counter,
        text,
        &[("", stats.bytes_in)],
    )?;
    let text = "Bytes sent.";
    say("sent_bytes_total", counter, text, &[("", stats.bytes_out)])?;
    let text = "Events for connections that were gone.";
    say("stale_events_total", counter, text, &[("", stats.stale)])?;
    let text = "Answers that nobody waited for.";
    say(
        "unasked_answers_total",
        counter,
        text,
        &[("", stats.unasked)],
    )?;
    let text = "Times that the readiness set was renewed.";
    say("rebuilds_total", counter, text, &[("", stats.rebuilds)])?;
    let text = "Registrations that were mended.";
    say("repairs_total", counter, text, &[("", counters.repairs)])?;
    let text = "Slots of the table that are used up.";
    say(
        "slots_retired_total",
        counter,
        text,
        &[("", stats.slots_retired)],
    )?;
    let text = "The most sources that ever waited for their turn together.";
    say(
        "worst_queue",
        gauge,
        text,
        &[("", stats.worst_queue.into())],
    )?;
    let text = "Lines that found no room on their way out.";
    let samples = [("{to=\"output\"}", lines), ("{to=\"log\"}", log_lines)];
    say("lines_dropped_total", counter, text, &samples)?;
    let name = "tidegate_connections_closed_total";
    writeln!(
        page,
        "# HELP {name} Connections that were closed, by the reason.\n# TYPE {name} counter"
    )?;
    let mut closed = CLOSED.iter().zip(stats.closed);
    closed.try_for_each(|(reason, n)| writeln!(page, "{name}{{reason=\"{reason}\"}} {n}"))
}
