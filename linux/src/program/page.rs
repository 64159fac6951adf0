//! The page of `--metrics`.

use super::counters::Counters;
use super::report::CLOSED;
use core::fmt::{self, Write};
use tidegate::Stats;

/// Every counter.
pub(crate) fn write_page(
    page: &mut impl Write,
    counters: &Counters,
    connections: u32,
    began: u64,
    lost: [u64; 2],
) -> fmt::Result {
    let stats = &counters.stats;
    let mut page = Page(page);
    page.program(connections, began)?;
    page.connections(stats)?;
    page.failures(stats)?;
    page.bytes(stats)?;
    page.repaired(stats, counters.repairs)?;
    page.lines(lost)?;
    page.closed(stats)
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// Where it is written to.
struct Page<'w, W>(&'w mut W);

impl<W: Write> Page<'_, W> {
    fn say(&mut self, name: &str, kind: &str, help: &str, samples: &[(&str, u64)]) -> fmt::Result {
        let name = format_args!("tidegate_{name}");
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        let mut samples = samples.iter();
        samples.try_for_each(|(labels, value)| writeln!(self.0, "{name}{labels} {value}"))
    }

    fn program(&mut self, connections: u32, began: u64) -> fmt::Result {
        let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        self.say(
            "build_info",
            GAUGE,
            "The version of the program.",
            &[(version, 1)],
        )?;
        let text = "When the program began, in seconds since 1970.";
        self.say("start_time_seconds", GAUGE, text, &[("", began)])?;
        let text = "The most connections at a time.";
        self.say(
            "connections_limit",
            GAUGE,
            text,
            &[("", connections.into())],
        )
    }

    fn connections(&mut self, stats: &Stats) -> fmt::Result {
        let text = "Connections that are open.";
        self.say("connections_open", GAUGE, text, &[("", stats.open.into())])?;
        let text = "The most connections that were open together.";
        self.say("connections_peak", GAUGE, text, &[("", stats.peak.into())])?;
        let text = "Connections that were accepted.";
        self.say(
            "connections_accepted_total",
            COUNTER,
            text,
            &[("", stats.accepted)],
        )?;
        let text = "Outbound connections that were made.";
        self.say(
            "connections_made_total",
            COUNTER,
            text,
            &[("", stats.connected)],
        )?;
        let text = "Outbound connections that could not be made.";
        self.say(
            "connect_failures_total",
            COUNTER,
            text,
            &[("", stats.connect_failures)],
        )?;
        let text = "Connections that were refused, by what was full: the table, or the share of the source.";
        let samples = [
            ("{full=\"table\"}", stats.refused_full),
            ("{full=\"source\"}", stats.refused_source),
        ];
        self.say("connections_refused_total", COUNTER, text, &samples)
    }

    fn failures(&mut self, stats: &Stats) -> fmt::Result {
        let text = "Accepts that failed.";
        self.say(
            "accept_failures_total",
            COUNTER,
            text,
            &[("", stats.accept_failures)],
        )?;
        let text = "Times that a listener was paused for resource exhaustion.";
        self.say("shortages_total", COUNTER, text, &[("", stats.shortages)])?;
        let text = "Listeners that were closed because they failed.";
        self.say(
            "listeners_failed_total",
            COUNTER,
            text,
            &[("", stats.listeners_failed)],
        )
    }

    fn bytes(&mut self, stats: &Stats) -> fmt::Result {
        let text = "Bytes received.";
        self.say(
            "received_bytes_total",
            COUNTER,
            text,
            &[("", stats.bytes_in)],
        )?;
        let text = "Bytes sent.";
        self.say("sent_bytes_total", COUNTER, text, &[("", stats.bytes_out)])
    }

    fn repaired(&mut self, stats: &Stats, repairs: u64) -> fmt::Result {
        let text = "Stale readiness events.";
        self.say("stale_events_total", COUNTER, text, &[("", stats.stale)])?;
        let text = "Stale completions.";
        self.say(
            "unasked_answers_total",
            COUNTER,
            text,
            &[("", stats.unasked)],
        )?;
        let text = "Times that the readiness set was rebuilt.";
        self.say("rebuilds_total", COUNTER, text, &[("", stats.rebuilds)])?;
        let text = "Registrations that were repaired.";
        self.say("repairs_total", COUNTER, text, &[("", repairs)])?;
        let text = "Slots of the table that are retired.";
        self.say(
            "slots_retired_total",
            COUNTER,
            text,
            &[("", stats.slots_retired)],
        )?;
        let text = "The most sources that were ever queued at once.";
        self.say(
            "worst_queue",
            GAUGE,
            text,
            &[("", stats.worst_queue.into())],
        )
    }

    fn lines(&mut self, [lines, log_lines]: [u64; 2]) -> fmt::Result {
        let text = "Lines that were dropped because a queue was full.";
        let samples = [("{to=\"output\"}", lines), ("{to=\"log\"}", log_lines)];
        self.say("lines_dropped_total", COUNTER, text, &samples)
    }

    fn closed(&mut self, stats: &Stats) -> fmt::Result {
        let name = "tidegate_connections_closed_total";
        writeln!(
            self.0,
            "# HELP {name} Connections that were closed, by the reason.\n# TYPE {name} counter"
        )?;
        let mut closed = CLOSED.iter().zip(stats.closed);
        closed.try_for_each(|(reason, n)| writeln!(self.0, "{name}{{reason=\"{reason}\"}} {n}"))
    }
}
