//! What `--help` prints: every option with its default.

use super::arguments::{LISTEN, MIB, Options, number};
use super::reserved::{CONNECTIONS, SHARE, THREADS};
use super::values::{buffer_shown, mode_shown, shown};
use tidegate::Sources;

/// The help, at the defaults that hold.
pub(crate) fn text() -> String {
    let Options {
        connections,
        threads,
        config,
        record,
        receive_buffer,
        send_buffer,
        user_timeout,
        socket_mode,
        ..
    } = Options::default();
    let record_size = record.size / MIB;
    let most = number(CONNECTIONS);
    let first_byte = shown(config.first_byte);
    let request = shown(config.request);
    let idle = shown(config.idle);
    let half_closed = shown(config.half_closed);
    let Sources {
        ipv4, ipv6, local, ..
    } = config.sources;
    let bits = format!("{ipv4},{ipv6},{local}");
    let write_stall = shown(config.write_stall);
    let linger = shown(config.linger);
    let spin = shown(config.spin);
    let drain = shown(Some(config.drain));
    let receive_buffer = buffer_shown(receive_buffer);
    let send_buffer = buffer_shown(send_buffer);
    let user_timeout = shown(user_timeout);
    let socket_mode = mode_shown(socket_mode);
    format!(
        "\
Usage: tidegate [OPTION]...
A TCP and Unix server in memory of a fixed size. No encryption: for this machine, a trusted network, or behind a proxy.

  --service print|echo|discard|chat   what to do with what is received [print]
                                        print    print it, send nothing
                                        echo     send it back
                                        discard  throw it away
                                        chat     send each line to all the others
  --listen ADDR          HOST:PORT, [IPV6]:PORT, [fe80::1%eth0]:PORT, unix:/path or, without a file, unix:@name;
                           may be given several times [{LISTEN}]
                           port 0 is any free port; a socket file that no process serves is replaced
  --bind wait|free|now   an address that this machine does not have yet: retry until it does, bind to it all the same
                           (IP_FREEBIND), or give up; --metrics too [wait]
  --socket-mode MODE     permissions of the files of Unix sockets, in octal digits, or umask: what that leaves [{socket_mode}]
  --socket-owner USER[:GROUP]         their owner, by name or number; another user than this one: root only [off]
  --backend epoll|poll|select|spin|uring   how the kernel is polled [epoll]
                           poll, select and spin cost time for every connection, busy or not; spin, a whole core;
                           uring needs Linux 6.1 or later; where it is refused, epoll serves
  --trigger level|edge|oneshot        how the kernel reports connections, all but level with epoll only [level]
  --connections N        connections at a time, 1 to {most}; listeners are not counted [{connections}]
  --threads N            loops, 1 to {THREADS}, each with its share of the connections, at most {SHARE} if there are several;
                           limits hold in each by itself; no chat and no Unix listeners then [{threads}]
  --full wait|refuse|evict|evict-half-closed   when all are taken: leave peers queued, refuse new ones, or close the one
                           that has been half-closed or idle longest; the last, half-closed ones only [wait]
  --per-source N|off     connections from one address (IPv6: one /64, or one link-local or unique local address)
                           [off on loopback and Unix listeners, a quarter of --connections on others]
  --source-bits N,N,N    bits of an IPv4, a global IPv6 and a local IPv6 address that make one [{bits}]
  --per-block N/BITS|off connections from one block of global IPv6 addresses, such as 64/56 [off]
  --receive-buffer BYTES|auto         what the kernel may hold of received bytes for each connection, up to
                           net.core.rmem_max; auto lets it tune that, by the path, up to net.ipv4.tcp_rmem [{receive_buffer}]
  --send-buffer BYTES|auto            the same of bytes to send (net.core.wmem_max, tcp_wmem) [{send_buffer}]
                           a socket that is passed has what its opener set if it is auto

Durations such as 500ms, 30s, 10m, or off:
  --first-byte TIME      from the connection to its first byte [{first_byte}]
  --request TIME         from the start of a message to its end [{request}]
  --idle TIME            without a byte in either direction [{idle}]
  --half-close TIME      the same, once one side has sent FIN and the other has not [{half_closed}]
  --write-stall TIME     without progress of what is sent; it ends after one to two of these [{write_stall}]
  --user-timeout TIME    what the kernel leaves unacknowledged before it resets (TCP_USER_TIMEOUT), slow readers included;
                         at least --write-stall, none if that is off [{user_timeout}]
  --linger TIME          from FIN sent to FIN received [{linger}]
  --drain TIME           from SIGTERM or SIGINT to the end of all connections; a second signal ends at once [{drain}]
  --spin TIME            after the last event, poll on without sleeping; for a machine with a core to spare [{spin}]

  --metrics ADDR         serve GET /metrics there, for Prometheus: HOST:PORT, [IPV6]:PORT or unix:/path [off]
  --control unix:/path   take commands there, from this user only and with one thread; a reply ends in ok or error [off]
                           status, connections, recorder, drop ADDR, log LEVEL, drain
                           of --connections, 2 are reserved for each of these two, but at most a quarter
  --record FILE          write all inputs and outputs there, to be replayed; one thread only; an existing file
                         becomes FILE.1 [off]
                           it contains payload; an entry that does not fit is dropped and counted
  --record-payload whole|N|hash       of each piece that is received: all; N bytes, and a hash of the rest; a hash [whole]
                           unless it is whole, a replay takes the application's calls from the file, too
  --record-size N        MiB of FILE and FILE.1 together; older entries are dropped [{record_size}]
  --user NAME[:GROUP]    become this user once all sockets are open, for good and with no other group; root only
                           a socket file stays if that user may not remove it [off]
  --log LEVEL            off, error, warn, info, debug or trace [warn]
  --log-to stderr|syslog[:PATH]       where to; a line that does not fit there is dropped and counted [stderr]
                           syslog is /dev/log unless there is a path
  --memory               print what everything costs in memory, and end [off]
  --version, -V          print the version, and end
  --help, -h             print this, and end

A service manager (systemd) is sent READY, STATUS, WATCHDOG and STOPPING; sockets that it passes (LISTEN_FDS) are served, and
the default of --listen is not then.
SIGHUP does not end it: what is missing so far (an address, a log, a service manager) is retried at once.
SIGUSR1 prints the statistics, SIGUSR2 what the flight recorder has kept. Exit code: 0 stopped on request, 1 a system error, 2 wrong usage.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::services::ServiceName;

    #[test]
    fn every_option_is_there_with_its_default() {
        let text = text();
        for (option, default) in [
            ("--service", "[print]"),
            ("--listen", "[127.0.0.1:8080]"),
            ("--backend", "[epoll]"),
            ("--trigger", "[level]"),
            ("--connections", "[1024]"),
            ("--threads", "[1]"),
            ("--full", "[wait]"),
            (
                "--per-source",
                "[off on loopback and Unix listeners, a quarter of --connections",
            ),
            ("--receive-buffer", "[auto]"),
            ("--send-buffer", "[auto]"),
            ("--first-byte", "[60s]"),
            ("--request", "[30s]"),
            ("--idle", "[10m]"),
            ("--half-close", "[60s]"),
            ("--source-bits", "[32,64,128]"),
            ("--per-block", "[off]"),
            ("--write-stall", "[30s]"),
            ("--user-timeout", "[off]"),
            ("--linger", "[2s]"),
            ("--drain", "[10s]"),
            ("--spin", "[off]"),
            ("--metrics", "[off]"),
            ("--control", "[off]"),
            ("--record", "[off]"),
            ("--record-payload", "[whole]"),
            ("--record-size", "[64]"),
            ("--bind", "[wait]"),
            ("--user", "[off]"),
            ("--socket-mode", "[0666]"),
            ("--socket-owner", "[off]"),
            ("--log", "[warn]"),
            ("--log-to", "[stderr]"),
            ("--memory", "[off]"),
            ("--version", ""),
            ("--help", ""),
        ] {
            let at = text.find(&format!("\n  {option}")).expect(option);
            let end = text[at + 3..].find("\n  --").unwrap_or(text.len() - at - 3);
            assert!(
                text[at..][..end + 3].contains(default),
                "{option} {default}"
            );
        }
        assert!(ServiceName::ALL.iter().all(|(name, _)| text.contains(name)));
    }
}
