//! The example `resp_kv` stores and answers, however its commands are cut, and redis' own clients are content with it.

use std::process::Command;
use tests::bounded::Watchdog;
use tests::net::{Client, tcp};
use tests::process::{Program, run_with};

fn start() -> (Program, String) {
    let program = Program::example("resp_kv", &[]);
    let port = program.address().port().to_string();
    (program, port)
}

const SAID: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\nPING\r\n\r\n\
    *2\r\n$4\r\nECHO\r\n$0\r\n\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\nDEL k n none\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const HEARD: &[u8] = b"+OK\r\n$4\r\na\r\nb\r\n+PONG\r\n$0\r\n\r\n:1\r\n:2\r\n$-1\r\n";

#[test]
fn commands_are_answered_at_every_cut() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let mut client = tcp(program.address());
    for cut in 0..=SAID.len() {
        client.say(&SAID[..cut]);
        // What the first piece says whole is answered before the rest is sent, so it was received alone.
        client.say(b"");
        client.say(&SAID[cut..]);
        client.hear(HEARD);
    }
    for byte in SAID {
        client.say(&[*byte]);
    }
    client.hear(HEARD);
    // A pipeline longer than any window: the answers are read at the end.
    let many = SAID.repeat(2000);
    let mut reader = client.try_clone().expect("a copy");
    let writer = std::thread::spawn(move || client.say(&many));
    reader.hear(&HEARD.repeat(2000));
    writer.join().expect("sent");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn what_is_wrong_is_said_and_what_is_too_long_ends() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let long = "x".repeat(2000);
    for (said, heard) in [
        (
            "*1\r\n$-1\r\n",
            "-ERR Protocol error: frame that cannot be decoded; skipped\r\n",
        ),
        (
            "*1\r\n$1\r\nxyz",
            "-ERR Protocol error: frame that cannot be decoded; skipped\r\n",
        ),
        (
            "*99\r\n",
            "-ERR Protocol error: message too long: at most 32 bytes are taken\r\n",
        ),
        (
            "*2\r\n$4\r\nECHO\r\n$2000\r\n",
            "-ERR Protocol error: message too long: at most 1024 bytes are taken\r\n",
        ),
        (
            &long,
            "-ERR Protocol error: message too long: at most 1024 bytes are taken\r\n",
        ),
    ] {
        let mut client = tcp(program.address());
        client.say(b"PING\r\n");
        client.say(said.as_bytes());
        let answer = String::from_utf8(client.rest()).expect("text");
        assert_eq!(answer, format!("+PONG\r\n{heard}"), "{said}");
    }
    let mut client = tcp(program.address());
    client.say(
        b"GET\r\nnonsense\r\nSET n 1x\r\nINCR n\r\nSET n 9223372036854775807\r\nINCR n\r\nPING\r\n",
    );
    client.hear(
        b"-ERR wrong number of arguments for 'GET'\r\n-ERR unknown command 'nonsense'\r\n+OK\r\n\
          -ERR value is not an integer or out of range\r\n+OK\r\n\
          -ERR value is not an integer or out of range\r\n+PONG\r\n",
    );
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn a_full_store_says_so_and_keeps_what_it_has() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let mut client = tcp(program.address());
    for n in 0..1024 {
        client.say(format!("SET key{n} {n}\r\n").as_bytes());
        client.hear(b"+OK\r\n");
    }
    client.say(b"SET one-more 1\r\nSET key1 2\r\nDEL key0\r\nSET one-more 1\r\nGET key1023\r\n");
    client.hear(
        b"-OOM all 1024 places are taken; DEL some keys\r\n+OK\r\n:1\r\n+OK\r\n$4\r\n1023\r\n",
    );
}

#[test]
#[ignore = "needs redis-cli"]
fn redis_cli() {
    let _bound = Watchdog::new();
    let (program, port) = start();
    for (arguments, expected) in [
        (&["ping"][..], "PONG"),
        (&["set", "colour", "light blue"], "OK"),
        (&["get", "colour"], "light blue"),
        (&["incr", "n"], "1"),
        (&["echo", "a\nb"], "a\nb"),
        (&["del", "colour", "n"], "2"),
        (&["get", "colour"], ""),
    ] {
        let mut command = Command::new("redis-cli");
        let ended = run_with(command.args(["-p", &port]).args(arguments), b"");
        assert_eq!(
            (ended.code, ended.output.trim_end()),
            (Some(0), expected),
            "{arguments:?}"
        );
    }
    let mut info = Command::new("redis-cli");
    let ended = run_with(info.args(["-p", &port, "info"]), b"");
    assert!(ended.output.contains("keys:0\r\n"), "{}", ended.output);
    drop(program);
}

#[test]
#[ignore = "needs redis-benchmark"]
fn redis_benchmark_with_pipelines() {
    let _bound = Watchdog::new();
    let (program, port) = start();
    for depth in ["1", "16", "200"] {
        let mut command = Command::new("redis-benchmark");
        command.args([
            "-p",
            &port,
            "-t",
            "ping,set,get,incr",
            "-n",
            "5000",
            "-r",
            "500",
            "-q",
            "-P",
            depth,
        ]);
        let ended = run_with(&mut command, b"");
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        for name in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
            assert!(
                ended.output.contains(&format!("{name}: ")),
                "{}",
                ended.output
            );
        }
        assert!(!ended.output.contains("rror"), "{}", ended.output);
    }
    assert_eq!(program.stop().code, Some(0));
}
