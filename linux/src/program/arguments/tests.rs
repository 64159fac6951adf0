//! Tests of the command line: every option, every mistake.

use super::*;
use tidegate::FullTable;

fn read(line: &str) -> Result<Command, Failure> {
    parse(
        ["tidegate"]
            .into_iter()
            .chain(line.split_whitespace())
            .map(OsString::from),
    )
}

fn options(line: &str) -> Options {
    match read(line) {
        Ok(Command::Serve(options)) => options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn nothing_asked_for_is_the_defaults() {
    let options = options("");
    assert_eq!(options.service, ServiceName::Print);
    assert_eq!(
        options.endpoints(false),
        [Endpoint::Host("127.0.0.1".into(), 8080)]
    );
    assert_eq!(options.endpoints(true), [], "sockets were passed");
    assert_eq!(options.config.connections, Some(1024));
    assert_eq!(options.per_source, PerSource::Auto);
    assert_eq!(options.receive_buffer, None);
    assert_eq!(options.send_buffer, None);
    assert_eq!(options.user_timeout, None);
    assert_eq!(options.log, LevelFilter::Warn);
    assert_eq!((options.backend, options.config.spin), (Kind::Epoll, None));
}

#[test]
fn a_backend_without_the_trigger_is_refused() {
    for kind in Kind::ALL {
        for (name, trigger) in TRIGGERS {
            let line = format!("--trigger {name} --backend {}", kind.name());
            if kind.has(trigger) {
                assert_eq!(options(&line).backend, kind);
                continue;
            }
            let Err(Failure::Usage(why)) = read(&line) else {
                panic!("{line}: taken");
            };
            assert!(why.starts_with(&format!("--trigger {name}: ")), "{why}");
            assert!(why.contains(kind.name()), "{why}");
        }
    }
}

#[test]
fn every_option_is_obeyed_in_both_forms() {
    let line = "--service=chat --listen 127.0.0.1:0 --listen=unix:/x --trigger edge --connections=20000 \
                --full evict --per-source 3 --first-byte off --request 1s --idle=2m --write-stall 3s \
                --linger 500ms --drain 5s --log=trace --spin 50us --backend=epoll \
                --receive-buffer auto --send-buffer=4096 --user-timeout 90s \
                --half-close 5s --per-block 64/56 --source-bits 24,48,64";
    let options = options(line);
    assert_eq!(options.service, ServiceName::Chat);
    assert_eq!(options.endpoints(false).len(), 2);
    assert_eq!(options.endpoints(true).len(), 2);
    let seconds = |n| Some(Duration::from_secs(n));
    let config = &options.config;
    assert_eq!(config.trigger, Trigger::Edge);
    assert_eq!(config.connections, Some(20_000));
    assert_eq!(config.full, FullTable::Evict);
    assert_eq!(options.per_source, PerSource::AtMost(3));
    assert_eq!(options.receive_buffer, None);
    assert_eq!(options.send_buffer, Some(4096));
    assert_eq!(options.user_timeout, seconds(90));
    assert_eq!((config.first_byte, config.request), (None, seconds(1)));
    assert_eq!(
        (config.idle, config.write_stall),
        (seconds(120), seconds(3))
    );
    assert_eq!(config.half_closed, seconds(5));
    let Sources {
        ipv4,
        ipv6,
        local,
        block,
    } = config.sources;
    assert_eq!((ipv4, ipv6, local), (24, 48, 64));
    assert_eq!(
        block.map(|block| (block.connections, block.prefix)),
        Some((64, 56))
    );
    assert_eq!(config.linger, Some(Duration::from_millis(500)));
    assert_eq!(config.drain, Duration::from_secs(5));
    assert_eq!(config.spin, Some(Duration::from_micros(50)));
    assert_eq!(options.log, LevelFilter::Trace);
}

#[test]
fn the_last_one_counts_and_off_is_understood() {
    assert_eq!(options("--connections 5 --connections 6").connections, 6);
    assert_eq!(options("--drain off").config.drain, Duration::MAX);
    assert_eq!(options("--per-source off").per_source, PerSource::Unlimited);
}

#[test]
fn help_version_and_memory_are_known() {
    for line in ["--help", "-h", "--service echo --help", "--help nonsense"] {
        assert!(matches!(read(line), Ok(Command::Help)), "{line}");
    }
    for line in ["--version", "-V"] {
        assert!(matches!(read(line), Ok(Command::Version)), "{line}");
    }
    let Ok(Command::Memory(options)) = read("--memory --connections 7") else {
        panic!("no memory table");
    };
    assert_eq!(options.config.connections, Some(7));
}

#[test]
fn every_mistake_is_one_line_with_the_value_and_the_remedy() {
    for (line, says) in [
        (
            "--connections 0",
            "--connections 0: must be a number from 1 to 20000",
        ),
        (
            "--connections 20001",
            "--connections 20001: must be a number from 1 to 20000",
        ),
        ("--connections 1_024", "--connections 1_024: must be"),
        (
            "--per-source 0",
            "--per-source 0: must be a number from 1 to 4294967295, or off",
        ),
        (
            "--send-buffer 64k",
            "--send-buffer 64k: must be a number from 1 to 1073741824, in bytes, or auto",
        ),
        (
            "--service ping",
            "--service ping: must be one of print, echo, discard, chat",
        ),
        (
            "--trigger both",
            "--trigger both: must be one of level, edge, oneshot",
        ),
        (
            "--full panic",
            "--full panic: must be one of wait, refuse, evict",
        ),
        (
            "--log loud",
            "--log loud: must be one of off, error, warn, info, debug, trace",
        ),
        (
            "--listen here",
            "--listen here: has no port; it must be HOST:PORT",
        ),
        ("--listen=unix:", "--listen unix:: has no path"),
        ("--idle 0s", "--idle 0s: is not a duration; write off"),
        ("--drain 0s", "--drain 0s: is not a duration; write off"),
        ("--request 30", "--request 30: must be a duration"),
        ("--first-byte x", "--first-byte x: must be a duration"),
        ("--write-stall -1s", "--write-stall -1s: must be a duration"),
        ("--linger 1y1", "--linger 1y1: must be a duration"),
        ("--idle", "--help lists the options"),
        ("--nonsense", "'--nonsense'; --help lists the options"),
        ("-x", "--help lists the options"),
        ("8080", "--help lists the options"),
        ("--help=x", "--help lists the options"),
        ("--version=x", "--help lists the options"),
        ("--memory=x", "--help lists the options"),
    ] {
        match read(line) {
            Err(Failure::Usage(why)) => {
                assert!(why.contains(says), "{line}: {why}");
                assert!(!why.contains('\n'), "{line}: {why}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn a_value_is_shown_without_its_control_characters() {
    let line = ["tidegate", "--log", "a\nb\x1b[31m"].map(OsString::from);
    let Err(Failure::Usage(why)) = parse(line) else {
        panic!("understood");
    };
    assert!(why.starts_with(r"--log a\nb\u{1b}[31m: must be"), "{why}");
}
