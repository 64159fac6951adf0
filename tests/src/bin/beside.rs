//! Measures the examples and the programs that usually do their job, under the same clients, and prints a table.

use core::time::Duration;
use lexopt::Arg::{Long, Short, Value};
use rustix::process::Pid;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs, thread};
use tests::bounded::{SOON, until};
use tests::load::usage::cpu_of;
use tests::net::resident;
use tests::process::{Folder, Program, example};

const USAGE: &str = "\
Usage: beside [--quick]
Measures the examples beside the programs that usually do their job, alternating, under the same clients, and prints a table in
Markdown. What is not installed is left out, and said:
  apt-get install redis-server redis-tools lighttpd wrk socat iperf3 ser2net binutils

  --quick   see only that everything works
  --help    print this
";

type Result<T> = core::result::Result<T, String>;

/// Where things are in one round.
struct Site {
    folder: Folder,
    /// Where the server that is measured listens, and where another one does that it may need.
    port: u16,
    beyond: u16,
    quick: bool,
}

impl Site {
    fn new(quick: bool) -> Self {
        let free = || {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            free.local_addr().expect("an address").port()
        };
        Self {
            folder: Folder::new("beside"),
            port: free(),
            beyond: free(),
            quick,
        }
    }

    /// So many, or few.
    fn count(&self, many: u32) -> u32 {
        if self.quick { many / 100 } else { many }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

/// An example, the usual program for the same job, and the task of both.
struct Job {
    example: &'static str,
    options: fn(&Site) -> Vec<String>,
    usual: &'static str,
    usual_options: fn(&Site) -> Vec<String>,
    /// A process behind them, and a client of them: returns how much was done.
    beyond: fn(&Site) -> Option<Command>,
    client: fn(&Site) -> Result<f64>,
    /// One of what was done.
    unit: &'static str,
}

/// What is measured. One job more is one entry more.
const JOBS: [Job; 4] = [
    Job {
        example: "resp_kv",
        options: |_| Vec::new(),
        usual: "redis-server",
        usual_options: |site| {
            words(
                &format!("--bind 127.0.0.1 --port {} --save", site.port),
                &[""],
            )
        },
        beyond: |_| None,
        client: |site| {
            let count = site.count(400_000);
            let options = format!("-p {} -t set,get -r 500 -P 16 -q -n {count}", site.port);
            let said = run("redis-benchmark", &words(&options, &[]))?;
            (said.contains("GET: "))
                .then_some(2.0 * f64::from(count))
                .ok_or(said)
        },
        unit: "command of redis-benchmark -P 16",
    },
    Job {
        example: "http_status",
        options: |site| {
            site.write("page.txt", "0123456789abcdef".repeat(64));
            words("--root", &[&site.folder.path("")])
        },
        usual: "lighttpd",
        usual_options: |site| {
            site.write("page.txt", "0123456789abcdef".repeat(64));
            let config = format!(
                "server.document-root = {:?}\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n\
                 server.max-keep-alive-requests = 100000000\n",
                site.folder.path(""),
                site.port
            );
            words("-D -f", &[&site.write("lighttpd.conf", config)])
        },
        beyond: |_| None,
        client: |site| {
            let seconds = if site.quick { 1 } else { 3 };
            let url = format!("http://127.0.0.1:{}/page.txt", site.port);
            let said = run("wrk", &words(&format!("-t 1 -c 16 -d {seconds}s"), &[&url]))?;
            let wrong = said.contains("Non-2xx") || said.contains("Socket errors");
            let (before, _) = said
                .split_once(" requests in")
                .ok_or_else(|| said.clone())?;
            let count = before
                .split_whitespace()
                .last()
                .and_then(|word| word.parse().ok());
            count.filter(|_| !wrong).ok_or(said)
        },
        unit: "request of wrk -c 16 for 1 KiB",
    },
    Job {
        example: "relay",
        options: |site| words(&format!("--to 127.0.0.1:{}", site.beyond), &[]),
        usual: "socat",
        usual_options: |site| {
            let listen = format!("TCP-LISTEN:{},bind=127.0.0.1,reuseaddr,fork", site.port);
            words(&format!("{listen} TCP:127.0.0.1:{}", site.beyond), &[])
        },
        beyond: |site| {
            let mut server = Command::new("iperf3");
            server.args(words(&format!("-s -B 127.0.0.1 -p {}", site.beyond), &[]));
            Some(server)
        },
        client: |site| {
            let count = site.count(2000).max(64);
            let options = format!("-c 127.0.0.1 -p {} -n {count}M", site.port);
            let said = run("iperf3", &words(&options, &[]))?;
            (said.contains("iperf Done."))
                .then_some(count.into())
                .ok_or(said)
        },
        unit: "MiB of iperf3",
    },
    Job {
        example: "serial_bridge",
        options: |site| words("--device", &[&site.folder.path("line")]),
        usual: "ser2net",
        usual_options: |site| {
            let config = format!(
                "connection: &line\n  accepter: tcp,127.0.0.1,{}\n  connector: serialdev,{},9600n81,local\n",
                site.port,
                site.folder.path("line")
            );
            words("-n -u -c", &[&site.write("ser2net.yaml", config)])
        },
        beyond: |site| {
            let mut echo = Command::new("socat");
            echo.arg(format!("PTY,link={},raw,echo=0", site.folder.path("line")));
            echo.arg("EXEC:cat");
            Some(echo)
        },
        client: |site| there_and_back(site.port, site.count(8000).max(16)),
        unit: "KiB there and back over a pseudo terminal",
    },
];

/// Sends so many KiB, and receives as many.
fn there_and_back(port: u16, kib: u32) -> Result<f64> {
    let text = |error: std::io::Error| format!("the client: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(text)?;
    stream.set_read_timeout(Some(SOON)).map_err(text)?;
    let mut to = stream.try_clone().map_err(text)?;
    let sender = thread::spawn(move || (0..kib).try_for_each(|_| to.write_all(&[b'x'; 1024])));
    for _ in 0..kib {
        stream.read_exact(&mut [0; 1024]).map_err(text)?;
    }
    let sent = sender.join().expect("it does not panic");
    sent.map_err(text)?;
    Ok(kib.into())
}

fn words(words: &str, more: &[&str]) -> Vec<String> {
    let words = words.split_whitespace().chain(more.iter().copied());
    words.map(ToOwned::to_owned).collect()
}

/// Runs a client to its end; returns its output.
fn run(name: &str, options: &[String]) -> Result<String> {
    let ended = Command::new(name).args(options).output();
    let ended = ended.map_err(|error| format!("{name}: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stdout);
    if ended.status.success() {
        Ok(said.into_owned())
    } else {
        let errors = String::from_utf8_lossy(&ended.stderr);
        Err(format!("{name}: {}: {said}{errors}", ended.status))
    }
}

/// The result of one round for a server.
struct Sample {
    /// CPU for each of what was done, and how many of it a second.
    cpu: Duration,
    rate: f64,
    /// Resident bytes after it.
    resident: u64,
}

fn measure(job: &Job, ours: bool, quick: bool) -> Result<Sample> {
    let site = Site::new(quick);
    let beyond = (job.beyond)(&site).map(|mut command| {
        let beyond = Program::spawn(&mut command);
        // There is nothing else by which to see that it is there.
        thread::sleep(Duration::from_millis(300));
        beyond
    });
    let mut command = if ours {
        let mut command = Command::new(example(job.example));
        command
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", site.port));
        command.args((job.options)(&site));
        command
    } else {
        let mut command = Command::new(job.usual);
        command.args((job.usual_options)(&site));
        command
    };
    let mut server = Program::spawn(&mut command);
    until("it listens", || {
        assert!(
            !server.has_ended(),
            "{command:?} ended: {}",
            server.errors()
        );
        listens(site.port)
    });
    let (began, before) = (Instant::now(), used(server.pid()));
    let done = (job.client)(&site)?;
    // A server with a process for each connection is measured once those have ended.
    thread::sleep(Duration::from_millis(200));
    let cpu = used(server.pid()).saturating_sub(before);
    let sample = Sample {
        cpu: cpu.div_f64(done),
        rate: done / (began.elapsed().as_secs_f64() - 0.2),
        resident: resident(server.pid()),
    };
    drop((server, beyond));
    Ok(sample)
}

/// Whether there is a listener, without a connection to it.
fn listens(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!(":{port:04X} 00000000:0000 0A");
    table.contains(&local)
}

/// CPU of a process, and of its children that have ended (`proc_pid_stat(5)`, fields 16 and 17).
fn used(process: Pid) -> Duration {
    let path = format!("/proc/{}/stat", process.as_raw_pid());
    let text = fs::read_to_string(path).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|word| word.parse::<u64>().ok()).sum();
    let children = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    cpu_of(process).unwrap_or_default() + children
}

/// Bytes of a program without its symbols; of what is not ours, as it is installed.
fn stripped(program: &Path, folder: &Folder) -> Option<u64> {
    let copy = folder.path("stripped");
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(program)
        .status();
    let stripped = strip.is_ok_and(|status| status.success());
    fs::metadata(if stripped { Path::new(&copy) } else { program })
        .ok()
        .map(|file| file.len())
}

/// Where a program of this name is.
fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Writable memory that a program has from its start on: what its segments with `PF_W` take, of ELF for 64 bits, little
/// endian (`elf(5)`).
fn static_memory(program: &Path) -> Option<u64> {
    let file = fs::read(program).ok()?;
    let number = |at: usize, len: usize| {
        let bytes = file.get(at..at + len)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let field = |at, len| usize::try_from(number(at, len)?).ok();
    let (table, size, count) = (field(32, 8)?, field(54, 2)?, field(56, 2)?);
    let mut sum = 0;
    for entry in (0..count).map(|nth| table + nth * size) {
        let (loaded, writable) = (number(entry, 4)? == 1, number(entry + 4, 4)? & 2 != 0);
        if loaded && writable {
            sum += number(entry + 40, 8)?;
        }
    }
    Some(sum)
}

/// The least and the greatest, or the one that there is.
fn range(values: impl Iterator<Item = f64> + Clone) -> String {
    let (least, most) = (
        values.clone().fold(f64::MAX, f64::min),
        values.fold(0.0, f64::max),
    );
    let digits = if least < 10.0 { 2 } else { 0 };
    let [least, most] = [least, most].map(|value| format!("{value:.digits$}"));
    if least == most {
        return least;
    }
    format!("{least}–{most}")
}

fn row(job: &Job, ours: bool, program: &Path, samples: &[Sample]) -> String {
    let folder = Folder::new("stripped");
    let kb =
        |bytes: Option<u64>| bytes.map_or("?".to_owned(), |bytes| format!("{} KB", bytes / 1000));
    format!(
        "| {} | {} | {} KiB | {} | {} µs | {} | {} |",
        if ours {
            format!("`{}`", job.example)
        } else {
            job.usual.to_owned()
        },
        if ours {
            kb(static_memory(program))
        } else {
            String::new()
        },
        samples
            .iter()
            .map(|sample| sample.resident / 1024)
            .max()
            .unwrap_or(0),
        kb(stripped(program, &folder)),
        range(samples.iter().map(|sample| sample.cpu.as_secs_f64() * 1e6)),
        range(samples.iter().map(|sample| sample.rate)),
        job.unit,
    )
}

fn table(quick: bool) -> Result<()> {
    println!("| | static | resident | file, stripped | CPU for each | a second | of what |");
    println!("|---|---:|---:|---:|---:|---:|---|");
    for job in &JOBS {
        let (ours, usual) = (example(job.example), installed(job.usual));
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..if quick { 1 } else { 3 } {
            samples[0].push(measure(job, true, quick)?);
            if usual.is_some() {
                samples[1].push(measure(job, false, quick)?);
            }
        }
        println!("{}", row(job, true, &ours, &samples[0]));
        match usual {
            Some(usual) => println!("{}", row(job, false, &usual, &samples[1])),
            None => eprintln!("{} is not installed: left out", job.usual),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut quick = false;
    let mut arguments = lexopt::Parser::from_env();
    loop {
        match arguments.next() {
            Ok(None) => break,
            Ok(Some(Long("quick"))) => quick = true,
            Ok(Some(Long("help") | Short('h'))) => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            Ok(Some(other @ (Long(_) | Short(_) | Value(_)))) => {
                eprintln!("beside: {}\n\n{USAGE}", other.unexpected());
                return ExitCode::from(2);
            }
            Err(error) => {
                eprintln!("beside: {error}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match table(quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("beside: {why}");
            ExitCode::FAILURE
        }
    }
}
