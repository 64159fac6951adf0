//! `--metrics`: the counters over HTTP in the text format of Prometheus, version 0.0.4. One request a connection.

use super::counters;
use super::heads::Heads;
use super::lines::{LOG, OUTPUT};
use super::page::write_page;
use super::reserved::ServerMemory;
use core::cell::Cell;
use core::fmt::Write;
use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate::http::{Fields, Head, Method, Refusal, Response, Status};
use tidegate::{Conn, Handler, Reason};
use tidegate_core::heapless::String as Text;

/// The longest page, and the longest response.
const PAGE: usize = 6 * 1024;
const RESPONSE: usize = PAGE + 512;

/// Bytes behind a head that are received and discarded, and for how long, so that a client that is still sending gets its
/// response instead of a reset.
const DISCARDED: u32 = 16 * 1024 * 1024;
const DISCARDING: Duration = Duration::from_secs(60);

/// Responds to requests for the page.
#[derive(Debug)]
pub(crate) struct Metrics {
    site: Site,
    /// Heads that are longer than the receive window.
    heads: &'static mut Heads,
}

/// What the page needs in addition to the counters.
#[derive(Debug)]
struct Site {
    /// In all threads.
    connections: u32,
    began: Cell<Began>,
}

/// When the program began, by the wall clock as it is now: a device without a clock boots in 1970 and sets the time
/// later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Began {
    /// Seconds that the machine had been up, suspended or not (`CLOCK_BOOTTIME`).
    up: u64,
    /// Seconds since 1970, as last reported.
    reported: u64,
}

/// Seconds by which the clock may differ from its last value. Smaller differences are of rounding, and change nothing.
const STEP: u64 = 2;

impl Began {
    /// Of a program that began when the machine had been up for so many seconds.
    const fn after(up: u64) -> Self {
        Self { up, reported: 0 }
    }

    /// Seconds since 1970, now that it is `unix` and the machine has been up for `up`.
    const fn at(&mut self, unix: u64, up: u64) -> u64 {
        let began = unix.saturating_sub(up.saturating_sub(self.up));
        if began.abs_diff(self.reported) > STEP {
            self.reported = began;
        }
        self.reported
    }
}

/// Seconds that the machine has been up.
pub(crate) fn uptime() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0)
}

fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Metrics {
    /// `up`: the [`uptime`] when the program began.
    pub(crate) const fn new(connections: u32, up: u64, heads: &'static mut Heads) -> Self {
        let site = Site {
            connections,
            began: Cell::new(Began::after(up)),
        };
        Self { site, heads }
    }
}

impl Site {
    fn page(&self, conn: &Conn<'_>) -> Text<PAGE> {
        let counters = counters::with_own(conn.stats());
        let mut page = Text::new();
        let lost = [OUTPUT.dropped(), LOG.dropped()];
        // It fits, whatever the numbers: there is a test of that.
        let mut began = self.began.get();
        let since = began.at(unix_time(), uptime());
        self.began.set(began);
        let _ = write_page(&mut page, &counters, self.connections, since, lost);
        page
    }

    /// The response to a request, and its content: the page, or an error.
    fn respond(
        &self,
        conn: &Conn<'_>,
        head: &Head<'_, '_>,
        page: &mut Text<PAGE>,
    ) -> Response<'static> {
        let mut path = [0; 64];
        let (status, instead) = match (head.method(), head.path(&mut path)) {
            (Method::Get | Method::Head, Ok(b"/metrics")) => {
                *page = self.page(conn);
                return Response {
                    content_type: Some("text/plain; version=0.0.4; charset=utf-8"),
                    ..Response::new(Status::Ok, SystemTime::now())
                };
            }
            (Method::Get | Method::Head, Ok(_)) => {
                (Status::NotFound, "there is only /metrics here\n")
            }
            (Method::Get | Method::Head, Err(error)) => {
                (error.status, "there is only /metrics here\n")
            }
            (Method::Options, _) => (Status::NoContent, ""),
            (Method::Other, _) => (Status::NotImplemented, "only GET and HEAD are answered\n"),
            (
                Method::Post
                | Method::Put
                | Method::Delete
                | Method::Patch
                | Method::Trace
                | Method::Connect,
                _,
            ) => (Status::MethodNotAllowed, "only GET and HEAD are answered\n"),
        };
        let _ = page.push_str(instead);
        text(status)
    }
}

impl Handler for Metrics {
    /// Bytes to discard once the response is queued.
    type State = u32;

    fn readable(&mut self, conn: &mut Conn<'_>, rest: &mut u32) {
        if *rest > 0 {
            return discard(conn, rest);
        }
        let (mut fields, mut page) = (Fields::new(), Text::new());
        let token = conn.token();
        let (head, gathered) = self.heads.with(token, conn.data());
        let (response, is_head) = match Head::parse(head, &mut fields) {
            Ok(None) => {
                // The machine ends one that is too slow: what is left in the window keeps its deadline running.
                let full = ServerMemory::WINDOWS.receive as usize;
                if conn.data().len() >= full {
                    let n = self.heads.gather(token, conn.data());
                    conn.consume(n);
                }
                return;
            }
            Ok(Some(head)) => {
                let response = self.site.respond(conn, &head, &mut page);
                conn.consume(head.len().saturating_sub(gathered));
                *rest = match head.body().remaining() {
                    Some(bytes) => u32::try_from(bytes).unwrap_or(DISCARDED).min(DISCARDED),
                    None => DISCARDED,
                };
                (response, head.method() == Method::Head)
            }
            Err(
                refusal @ Refusal {
                    status, of_head, ..
                },
            ) => {
                let _ = writeln!(page, "{refusal}");
                // How much follows is not known.
                *rest = DISCARDED;
                (text(status), of_head)
            }
        };
        self.heads.release(token);
        // The send window is empty: this is the first response, and the last.
        let Ok(space) = conn.reserve(RESPONSE) else {
            return conn.abort();
        };
        match write_response(space, &response, &page, !is_head) {
            Some(n) => conn.commit(n),
            None => return conn.abort(),
        }
        if *rest > 0 {
            conn.shut_down();
            conn.set_timer(DISCARDING);
        }
        discard(conn, rest);
    }

    /// The time to discard is over.
    fn timer(&mut self, conn: &mut Conn<'_>, _: &mut u32) {
        conn.finish();
    }

    fn closed(&mut self, conn: &mut Conn<'_>, _: &mut u32, _: Reason) {
        self.heads.release(conn.token());
    }
}

/// Discards what has come of the body; finishes if that is all.
fn discard(conn: &mut Conn<'_>, rest: &mut u32) {
    let here = u32::try_from(conn.data().len()).unwrap_or(u32::MAX);
    conn.consume(*rest as usize);
    *rest = rest.saturating_sub(here);
    if *rest == 0 {
        conn.finish();
    }
}

/// A response of one line.
fn text(status: Status) -> Response<'static> {
    Response {
        content_type: (status != Status::NoContent).then_some("text/plain; charset=utf-8"),
        ..Response::new(status, SystemTime::now())
    }
}

/// Writes the head of the response and, but to HEAD, its content; returns their length. `None` if they do not fit.
fn write_response(
    out: &mut [u8],
    response: &Response<'_>,
    content: &str,
    with_content: bool,
) -> Option<usize> {
    let head = Response {
        content_length: Some(content.len() as u64),
        allow: Some("GET, HEAD, OPTIONS"),
        ..*response
    };
    let n = head.write(out)?;
    let content = if with_content {
        content.as_bytes()
    } else {
        b""
    };
    let rest = out.get_mut(n..n + content.len())?;
    rest.copy_from_slice(content);
    Some(n + content.len())
}

#[cfg(test)]
mod tests {
    use super::counters::Counters;
    use super::*;
    use tidegate::Stats;

    #[test]
    fn a_clock_that_is_set_later_takes_the_start_along() {
        let mut began = Began::after(30);
        // Booted in 1970, and queried after 10 s.
        assert_eq!(began.at(40, 40), 30);
        // A difference of a second, from rounding or a slewed clock, is not reported.
        assert_eq!([began.at(52, 50), began.at(58, 60)], [30, 30]);
        // The time is known.
        let now = 1_800_000_000;
        assert_eq!(began.at(now, 100), now - 70);
        assert_eq!(began.at(now + 86_400, 100 + 86_400), now - 70);
        // Back by an hour, and a machine that was suspended: both clocks go on.
        assert_eq!(began.at(now - 3_500, 200), now - 3_670);
        // Nothing is before 1970.
        assert_eq!(began.at(5, 1000), 0);
    }

    #[test]
    fn the_longest_page_fits() {
        let most = u64::MAX;
        let stats = Stats {
            datagrams_in: 0,
            datagrams_out: 0,
            datagram_faults: 0,
            datagrams_lost: 0,
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
            slots_retired: most,
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
            18 + Reason::KINDS
        );
        let mut out = [0; RESPONSE];
        let longest = Response {
            content_type: Some("text/plain; version=0.0.4; charset=utf-8"),
            ..Response::new(Status::RequestHeaderFieldsTooLarge, SystemTime::now())
        };
        let n = write_response(&mut out, &longest, &page, true).expect("it fits");
        let whole = core::str::from_utf8(&out[..n]).expect("text");
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
