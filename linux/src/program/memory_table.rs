//! What `--memory` prints: what everything costs, reserved and resident, in the process and in the kernel.

use super::Failure;
use super::arguments::Options;
use super::heads::Heads;
use super::lines;
use super::recording;
use super::reserved::{
    self, BackendEntries, CONNECTIONS, SHARE, ServerMemory, ShareEntries, ShareMemory, THREADS,
};
use core::fmt::{Display, Write};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::fs;
use tidegate::backend::{Kind, Uring};

/// The table for these options.
pub(crate) fn text(options: &Options) -> Result<String, Failure> {
    let no = |why: String| Failure::System(format!("cannot measure: {why}"));
    // A server as it will be, so that the pages of one are there.
    let _server = reserved::server(0, options).map_err(|error| no(error.to_string()))?;
    let kernel = socket_buffers(options)
        .map_err(|errno| no(format!("socket: errno {}", errno.raw_os_error())))?;
    let idle = match options.backend {
        Kind::Epoll => ServerMemory::CONNECTION,
        Kind::Poll | Kind::Select | Kind::Spin => ServerMemory::CONNECTION + BackendEntries::ENTRY,
        Kind::Uring => ServerMemory::CONNECTION + Uring::CONNECTION,
    };
    let threads = Threads {
        count: options.threads.into(),
        each: options.config.connections.map_or(0, u64::from),
    };
    Ok(table(threads, wide(idle), kernel, resident()))
}

/// Threads that serve, and the connections of each.
#[derive(Clone, Copy, Debug)]
struct Threads {
    count: u64,
    each: u64,
}

/// The sizes of the buffers of a socket, once the kernel has made of them what it likes.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    receive: u64,
    send: u64,
}

/// Queries a socket that is set as listeners are, and so as the connections that they accept. Of a buffer that the
/// kernel tunes it is the most that it may become (`tcp(7)`, `tcp_rmem`, `tcp_wmem`).
fn socket_buffers(options: &Options) -> Result<Buffers, Errno> {
    let socket = net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    if let Some(bytes) = options.receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes as usize)?;
    }
    if let Some(bytes) = options.send_buffer {
        sockopt::set_socket_send_buffer_size(&socket, bytes as usize)?;
    }
    let receive = wide(sockopt::socket_recv_buffer_size(&socket)?);
    let send = wide(sockopt::socket_send_buffer_size(&socket)?);
    let tuned = |asked: Option<u32>, name, now| match asked {
        Some(_) => now,
        None => most_tuned(name).unwrap_or(now),
    };
    Ok(Buffers {
        receive: tuned(options.receive_buffer, "tcp_rmem", receive),
        send: tuned(options.send_buffer, "tcp_wmem", send),
    })
}

/// The last of the three numbers of `tcp_rmem` or `tcp_wmem`.
fn most_tuned(name: &str) -> Option<u64> {
    let shown = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
    shown.split_whitespace().nth(2)?.parse().ok()
}

/// Resident bytes of this process, if the kernel reports them.
fn resident() -> Option<u64> {
    let shown = fs::read_to_string("/proc/self/smaps_rollup");
    let found = shown.ok().and_then(|text| kibibytes(&text, "Rss:"));
    found.or_else(|| kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:"))
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// A part of the static memory.
struct Part {
    name: String,
    /// Bytes as compiled.
    reserved: usize,
    /// Bytes of it for each connection.
    each: usize,
}

/// Static memory that all threads share.
const SHARED: usize = 2 * lines::WAITING + recording::WAITING + Heads::SIZE;

/// The static memory by its parts, largest last.
fn parts() -> [Part; 11] {
    let part = |name: &str, reserved, each| Part {
        name: name.into(),
        reserved,
        each,
    };
    // What is not for connections is far less than one byte for each of the most connections.
    let shared = |name: &str, reserved: usize| {
        let each = reserved / CONNECTIONS;
        part(&format!("{name}, {each} each"), reserved, each)
    };
    let window = |name: &str, bytes: u32| shared(name, bytes as usize * CONNECTIONS);
    let windows = ServerMemory::WINDOWS;
    [
        part("listeners, streams, destinations", ServerMemory::OTHERS, 0),
        part("lines on their way out", 2 * lines::WAITING, 0),
        part("entries on their way to --record", recording::WAITING, 0),
        part("heads of more than 4 KiB, for --metrics", Heads::SIZE, 0),
        part("shared areas", ServerMemory::SCRATCH, 0),
        shared("user state", ServerMemory::STATES),
        shared("descriptors", ServerMemory::DESCRIPTORS),
        shared("list of --backend poll, select, spin", BackendEntries::SIZE),
        shared("table", ServerMemory::TABLE),
        window("receive windows", windows.receive),
        window("send windows", windows.send),
    ]
}

fn table(threads: Threads, idle: u64, kernel: Buffers, resident: Option<u64>) -> String {
    let connections = threads.count * threads.each;
    let mut lines = Lines(String::new());
    let used = reserved(&mut lines, threads);
    let windows = ServerMemory::WINDOWS;
    let full = idle + u64::from(windows.receive) + u64::from(windows.send);
    lines.line("resident: pages that were touched", "each", connections);
    let shown = resident.map_or_else(|| "unknown".into(), |n| n.to_string());
    lines.row("whole process now, code and libraries included", "", shown);
    lines.each(
        "connections that never had anything left over",
        idle,
        connections,
    );
    lines.each("connections with both windows full", full, connections);

    lines.line(
        "at most: every window and every socket full",
        "each",
        connections,
    );
    let rest = threads.count * wide(parts().len()) * PAGE;
    let process = resident.unwrap_or(0) + used + rest;
    let Buffers { receive, send } = kernel;
    lines.row("whole process", "", process);
    lines.each("kernel, receive buffers (SO_RCVBUF)", receive, connections);
    lines.each("kernel, send buffers (SO_SNDBUF)", send, connections);
    lines.row("sum", "", process + (receive + send) * connections);
    lines.0 + "not counted: what the kernel needs to know a socket, about 4 KiB each\n"
}

/// What static memory there is, and what of it the options use, which is returned.
fn reserved(lines: &mut Lines, threads: Threads) -> u64 {
    let Threads { count, each } = threads;
    lines.line("bytes", "compiled for", "of it for");
    lines.line(
        "reserved: static memory, address space only",
        CONNECTIONS,
        each,
    );
    let (mut compiled, mut used) = (0, 0);
    for part in &parts() {
        let fixed = wide(part.reserved - part.each * CONNECTIONS);
        let of_it = fixed + wide(part.each) * each;
        lines.row(&part.name, part.reserved, of_it);
        compiled += wide(part.reserved);
        used += of_it;
    }
    // Queued output is shared by all threads, and the first thread serves the metrics.
    let thread = used - wide(SHARED);
    let more = wide((THREADS - 1) * (ShareMemory::SIZE + ShareEntries::SIZE));
    lines.row(
        &format!("{} more threads, each for at most {SHARE}", THREADS - 1),
        more,
        (count - 1) * thread,
    );
    compiled += more;
    used += (count - 1) * thread;
    lines.row("sum", compiled, used);
    used
}

/// The lines of the table.
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, first: impl Display, second: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name:<52} {first:>12} {second:>14}");
    }

    fn row(&mut self, name: &str, first: impl Display, second: impl Display) {
        self.line(&format!("  {name}"), first, second);
    }

    /// What each of the connections takes, and all of them.
    fn each(&mut self, name: &str, bytes: u64, connections: u64) {
        self.row(name, bytes, bytes * connections);
    }
}

/// Of each part, one page may be touched for a few bytes only.
const PAGE: u64 = 4096;

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        let sum: usize = parts().iter().map(|part| part.reserved).sum();
        let whole = ServerMemory::SIZE + BackendEntries::SIZE + SHARED;
        assert!(
            sum <= whole && whole - sum < 3 * 64,
            "but for padding: {sum} of {whole}"
        );
        let each: usize = parts().iter().map(|part| part.each).sum();
        let windows = ServerMemory::WINDOWS;
        let windows = windows.receive as usize + windows.send as usize;
        assert_eq!(
            each,
            ServerMemory::CONNECTION
                + ServerMemory::TIMER
                + ServerMemory::BLOCK
                + BackendEntries::ENTRY
                + windows
        );
    }

    #[test]
    fn the_sums_are_sums() {
        let kernel = Buffers {
            receive: 1000,
            send: 100,
        };
        let two = Threads { count: 1, each: 2 };
        let text = table(two, 100, kernel, Some(1_000_000));
        let last_of = |text: &str, name: &str| -> u64 {
            let line = text
                .lines()
                .rev()
                .find(|line| line.trim().starts_with(name))
                .expect(name);
            line.split_whitespace()
                .next_back()
                .and_then(|word| word.parse().ok())
                .expect(name)
        };
        let last = |name: &str| last_of(&text, name);
        assert_eq!(last("kernel, receive"), 2000);
        assert_eq!(last("kernel, send"), 200);
        assert_eq!(last("sum"), last("whole process") + 2200);
        assert_eq!(last("whole process now"), 1_000_000);
        assert_eq!(last("3 more threads"), 0);
        let six = Threads { count: 3, each: 2 };
        let three = table(six, 100, kernel, Some(1_000_000));
        assert_eq!(last_of(&three, "kernel, receive"), 6000);
        assert!(last_of(&three, "3 more threads") > 2 * 2 * 20_480);
        assert!(table(two, 100, kernel, None).contains("unknown"));
    }

    #[test]
    fn the_kernel_is_understood() {
        let text = "Size: 9 kB\nRss:                1756 kB\nPss: 306 kB\n";
        assert_eq!(kibibytes(text, "Rss:"), Some(1756 * 1024));
        assert_eq!(kibibytes(text, "Swap:"), None);
        assert_eq!(kibibytes("Rss: lots kB", "Rss:"), None);
        assert!(resident().is_none_or(|bytes| bytes > 100_000));
        let fixed = socket_buffers(&Options::default()).expect("a socket");
        assert!(fixed.receive >= 2048 && fixed.send >= 2048);
    }

    #[test]
    fn the_buffers_that_are_asked_for_are_summed() {
        let with = |receive_buffer, send_buffer| {
            let options = Options {
                receive_buffer,
                send_buffer,
                ..Options::default()
            };
            socket_buffers(&options).expect("a socket")
        };
        // Small ones: no system's limit cuts them. The kernel doubles them (`socket(7)`).
        let small = with(Some(8192), Some(16_384));
        assert_eq!((small.receive, small.send), (16_384, 32_768));
        let tuned = with(None, Some(16_384));
        assert_eq!(tuned.send, 32_768);
        assert!(most_tuned("tcp_rmem").is_none_or(|most| tuned.receive == most));
        let tuned = with(Some(8192), None);
        assert_eq!(tuned.receive, 16_384);
        assert!(most_tuned("tcp_wmem").is_none_or(|most| tuned.send == most));
    }
}
