//! `--metrics`: the counters over HTTP in the text format of Prometheus, version 0.0.4. One request a connection.

use super::counters::{self, Counters};
use super::lines::{LOG, OUTPUT};
use super::report::CLOSED;
use core::fmt::{self, Write};
use httparse::{EMPTY_HEADER, Request, Status};
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate::{Conn, Handler};
use tidegate_core::heapless::String as Text;

/// The longest page, and the longest answer.
const PAGE: usize = 6 * 1024;
const ANSWER: usize = PAGE + 256;

/// Headers of a request that are taken.
const HEADERS: usize = 32;

/// Answers who asks.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// In all threads.
    connections: u32,
    /// In seconds since 1970.
    began: u64,
}

impl Metrics {
    pub(crate) fn new(connections: u32) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            connections,
            began: began.map_or(0, |since| since.as_secs()),
        }
    }

    fn page(&self, conn: &Conn<'_>) -> Text<PAGE> {
        let counters = counters::with_own(conn.stats());
        let mut page = Text::new();
        let lost = [OUTPUT.dropped(), LOG.dropped()];
        // It fits, whatever the numbers: there is a test of that.
        let _ = write_page(&mut page, &counters, self.connections, self.began, lost);
        page
    }

    fn answer(&self, conn: &Conn<'_>, request: &Request<'_, '_>) -> Text<ANSWER> {
        let head = request.method == Some("HEAD");
        let path = request.path.unwrap_or_default();
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match (request.method, path) {
            (Some("GET" | "HEAD"), "/metrics") => {
                answer("200 OK", "version=0.0.4; ", &self.page(conn), !head)
            }
            (Some("GET" | "HEAD"), _) => {
                answer("404 Not Found", "", "there is only /metrics here\n", !head)
            }
            _ => answer(
                "405 Method Not Allowed",
                "",
                "only GET and HEAD are answered\n",
                true,
            ),
        }
    }
}

impl Handler for Metrics {
    type State = u32;

    fn readable(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut request = Request::new(&mut headers);
        let answer = match request.parse(conn.data()) {
            // The machine ends one that is too long, or too slow.
            Ok(Status::Partial) => return,
            Ok(Status::Complete(_)) => self.answer(conn, &request),
            Err(_) => answer(
                "400 Bad Request",
                "",
                "that is no request of HTTP/1.1\n",
                true,
            ),
        };
        // The send window is empty: this is the first answer, and the last.
        if conn.send(answer.as_bytes()).is_ok() {
            conn.finish();
        }
    }
}

fn answer(status: &str, version: &str, body: &str, with_body: bool) -> Text<ANSWER> {
    let mut answer = Text::new();
    let _ = write!(
        answer,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; {version}charset=utf-8\r\nContent-Length: {}\r\n\
         Allow: GET, HEAD\r\nConnection: close\r\n\r\n{}",
        body.len(),
        if with_body { body } else { "" }
    );
    answer
}

/// Every counter.
fn write_page(
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

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate::{Reason, Stats};

    #[test]
    fn the_longest_page_fits() {
        let most = u64::MAX;
        let stats = Stats {
            datagrams_in: 0,
            datagrams_out: 0,
            datagram_faults: 0,
            open: u32::MAX,
            peak: u32::MAX,
            accepted: most,
            connected: most,
            connect_failures: most,
            refused_full: most,
            refused_source: most,
            accept_failures: most,
            shortages: most,
            listeners_failed: most,
            closed: [most; Reason::KINDS],
            bytes_in: most,
            bytes_out: most,
            stale: most,
            unasked: most,
            rebuilds: most,
            worst_queue: u32::MAX,
        };
        let counters = Counters {
            stats,
            repairs: most,
            undelivered: None,
        };
        let mut page = Text::<PAGE>::new();
        assert!(write_page(&mut page, &counters, u32::MAX, most, [most; 2]).is_ok());
        assert_eq!(
            page.matches(" 18446744073709551615\n").count(),
            17 + Reason::KINDS
        );
        let whole = answer("405 Method Not Allowed", "version=0.0.4; ", &page, true);
        assert!(whole.ends_with(page.as_str()), "it is cut");
        assert!(whole.contains(&format!("Content-Length: {}\r\n", page.len())));
    }

    #[test]
    fn each_metric_has_its_help_and_type_once() {
        let mut page = Text::<PAGE>::new();
        let counters = Counters::default();
        assert!(write_page(&mut page, &counters, 1, 2, [3, 4]).is_ok());
        let mut named = Vec::new();
        for line in page.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["#", "HELP", name, ..] => named.push((name, "")),
                ["#", "TYPE", name, kind] => {
                    let last = named.last_mut().expect("help before");
                    assert_eq!(
                        (*last, kind == "counter"),
                        ((name, ""), name.ends_with("_total"))
                    );
                    last.1 = kind;
                }
                [sample, value] => {
                    let name = sample.split('{').next();
                    assert_eq!(name, named.last().map(|last| last.0), "{line}");
                    assert!(value.parse::<u64>().is_ok(), "{line}");
                }
                _ => panic!("{line}"),
            }
        }
        let mut names: Vec<_> = named.iter().map(|named| named.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), named.len(), "each once");
    }
}
