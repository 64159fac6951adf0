//! The example `resp_kv` stores and replies, however its commands are cut, and redis' own clients are content with it.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use tests::bounded::{Watchdog, until};
use tests::net::{Client, tcp};
use tests::process::{Program, run_with};

fn start() -> (Program, String) {
    let program = Program::example("resp_kv", &[]);
    let port = program.address().port().to_string();
    (program, port)
}

/// A reply that is a text.
fn bulk(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("a reply");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let length = head
        .strip_prefix('$')
        .and_then(|n| n.trim_end().parse().ok());
    let length: usize = length.unwrap_or_else(|| panic!("no text: {head}"));
    let mut text = vec![0; length + 2];
    client.read_exact(&mut text).expect("a reply");
    String::from_utf8(text).expect("text")
}

const SAID: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\nPING\r\n\r\n\
    *2\r\n$4\r\nECHO\r\n$0\r\n\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\nDEL k n none\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const HEARD: &[u8] = b"+OK\r\n$4\r\na\r\nb\r\n+PONG\r\n$0\r\n\r\n:1\r\n:2\r\n$-1\r\n";

#[test]
fn commands_get_their_replies_at_every_cut() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let mut client = tcp(program.address());
    for cut in 0..=SAID.len() {
        client.say(&SAID[..cut]);
        // Each complete command of the first piece gets its reply before the rest is sent, so it was received alone.
        client.say(b"");
        client.say(&SAID[cut..]);
        client.hear(HEARD);
    }
    for byte in SAID {
        client.say(&[*byte]);
    }
    client.hear(HEARD);
    // A pipeline longer than any window: the replies are read at the end.
    let many = SAID.repeat(2000);
    let mut reader = client.try_clone().expect("a copy");
    let writer = std::thread::spawn(move || client.say(&many));
    reader.hear(&HEARD.repeat(2000));
    writer.join().expect("sent");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn what_is_wrong_has_its_name_in_redis_and_ends_the_connection() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let long = "x".repeat(4002);
    for (said, heard) in [
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$1\r\nxyz", "invalid bulk length"),
        ("*1\r\nPING\r\n", "expected '$', got 'P'"),
        ("*x\r\n", "invalid multibulk length"),
        (
            "*99999999\r\n",
            "invalid multibulk length: at most 666 arguments are taken",
        ),
        (
            "*2\r\n$4\r\nECHO\r\n$4000\r\n",
            "invalid bulk length: at most 4000 bytes of a command are taken",
        ),
        (
            &long,
            "too big inline request: at most 4000 bytes are taken",
        ),
        ("SET a 'b\r\n", "unbalanced quotes in request"),
    ] {
        let mut client = tcp(program.address());
        client.say(b"PING\r\n");
        client.say(said.as_bytes());
        let reply = String::from_utf8(client.rest()).expect("text");
        let expected = format!("+PONG\r\n-ERR Protocol error: {heard}; closed\r\n");
        assert_eq!(reply, expected, "{said}");
    }
    let mut client = tcp(program.address());
    client.say(b"GET\r\nnonsense a\r\nSET n 1x\r\nINCR n\r\n*0\r\n*-1\r\nPING\r\n");
    client.hear(
        b"-ERR wrong number of arguments for 'get' command\r\n\
          -ERR unknown command 'nonsense', with args beginning with: 'a' \r\n+OK\r\n\
          -ERR value is not an integer or out of range\r\n+PONG\r\n",
    );
    // What a browser would be talked into.
    let mut client = tcp(program.address());
    client.say(b"POST / HTTP/1.1\r\nSET x y\r\n");
    assert!(client.is_reset());
    let mut client = tcp(program.address());
    client.say(b"EXISTS x\r\nQUIT\r\nPING\r\n");
    assert_eq!(client.rest(), b":0\r\n+OK\r\n");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn as_many_words_as_a_command_holds_and_replies_as_long_as_fit() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let mut client = tcp(program.address());
    let value = "v".repeat(512);
    client.say(format!("SET big {value}\r\n").as_bytes());
    client.hear(b"+OK\r\n");
    // 31 of them fit into what can wait to be sent, 32 do not.
    let ask = |count: usize| {
        let key = "$3\r\nbig\r\n".repeat(count);
        format!("*{}\r\n$4\r\nMGET\r\n{key}", count + 1)
    };
    let reply = |count: usize| {
        format!(
            "*{count}\r\n{}",
            format!("$512\r\n{value}\r\n").repeat(count)
        )
    };
    let long = "-ERR reply too long: at most 16384 bytes are sent; ask for less at a time\r\n";
    for _ in 0..3 {
        client.say(format!("{}PING\r\n{}{}", ask(31), ask(32), ask(1)).as_bytes());
        client.hear(format!("{}+PONG\r\n{long}{}", reply(31), reply(1)).as_bytes());
    }
    // One that does not fit now waits for what is sent, and is run once: a hundred of them, read at the end.
    let (many, heard) = (format!("{}INCR n\r\n", ask(20)).repeat(100), reply(20));
    let mut reader = client.try_clone().expect("a copy");
    let writer = std::thread::spawn(move || client.say(many.as_bytes()));
    for n in 1..=100 {
        reader.hear(format!("{heard}:{n}\r\n").as_bytes());
    }
    writer.join().expect("sent");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn a_transaction_is_run_whole_whatever_waits_to_be_sent() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let mut client = tcp(program.address());
    let value = "v".repeat(512);
    client.say(format!("SET big {value}\r\n").as_bytes());
    client.hear(b"+OK\r\n");
    // As many commands as can be queued; the replies to those that do not fit are errors, and all are there.
    let count = 1024 / "GET big\n".len();
    let said = format!("MULTI\n{}EXEC\nINCR n\n", "GET big\n".repeat(count));
    let mut reader = client.try_clone().expect("a copy");
    let all = said.repeat(20);
    let writer = std::thread::spawn(move || client.say(all.as_bytes()));
    let long = "-ERR reply too long: at most 16384 bytes are sent; ask for less at a time\r\n";
    for n in 1..=20 {
        reader.hear(b"+OK\r\n");
        reader.hear("+QUEUED\r\n".repeat(count).as_bytes());
        reader.hear(format!("*{count}\r\n").as_bytes());
        let (good, bad) = (format!("$512\r\n{value}\r\n"), long);
        let mut fits = 0;
        for _ in 0..count {
            let mut first = [0];
            reader.read_exact(&mut first).expect("a reply");
            let rest = if &first == b"$" { &good } else { bad };
            fits += u32::from(&first == b"$");
            reader.hear(&rest.as_bytes()[1..]);
        }
        assert!((5..128).contains(&fits), "{fits}");
        reader.hear(format!(":{n}\r\n").as_bytes());
    }
    let mut client = writer.join().map(|()| reader).expect("sent");
    // One more is refused, and nothing of it is run.
    let more = format!("MULTI\n{}INCR n\nEXEC\nGET n\n", "GET big\n".repeat(count));
    client.say(more.as_bytes());
    client.hear(b"+OK\r\n");
    client.hear("+QUEUED\r\n".repeat(count).as_bytes());
    client.hear(
        b"-ERR transaction too long: at most 1024 bytes of commands are queued\r\n\
          -EXECABORT Transaction discarded because of previous errors.\r\n$2\r\n20\r\n",
    );
    assert_eq!(program.stop().code, Some(0));
}

const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

#[test]
fn one_too_many_from_an_address_is_refused_at_once() {
    let _bound = Watchdog::new();
    let program = Program::example("resp_kv", &["--per-source", "1"]);
    let mut kept = tcp(program.address());
    kept.say(b"PING\r\n");
    kept.hear(b"+PONG\r\n");
    assert_eq!(tcp(program.address()).rest(), TOO_MANY);
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn a_client_too_many_is_refused_at_once() {
    let _bound = Watchdog::new();
    let program = Program::example("resp_kv", &["--per-source", "off"]);
    let connect = || {
        let mut client = tcp(program.address());
        client.say(b"PING\r\n");
        client.hear(b"+PONG\r\n");
        client
    };
    let mut clients: Vec<_> = (0..64).map(|_| connect()).collect();
    for _ in 0..20 {
        let mut client = tcp(program.address());
        client.say(b"*1\r\n$4\r\nPING\r\n");
        client.hear(TOO_MANY);
    }
    for client in &mut clients {
        client.say(b"PING\r\n");
        client.hear(b"+PONG\r\n");
    }
    clients.pop();
    until("the slot is free", || {
        let mut client = tcp(program.address());
        client.say(b"QUIT\r\n");
        let mut first = [0];
        client.read_exact(&mut first).expect("a reply");
        &first == b"+"
    });
    // That one has left, too.
    until("the slot is free again", || {
        let mut client = tcp(program.address());
        client.say(b"PING\r\n");
        let mut first = [0];
        client.read_exact(&mut first).expect("a reply");
        let served = &first == b"+";
        if served {
            clients.push(client);
        }
        served
    });
    let client = clients.last_mut().expect("one");
    client.hear(b"PONG\r\n");
    client.say(b"INFO clients\r\n");
    let info = bulk(client);
    assert!(
        info.contains("connected_clients:64\r\nmaxclients:64"),
        "{info}"
    );
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn with_evict_the_idlest_client_goes_instead() {
    let _bound = Watchdog::new();
    let program = Program::example("resp_kv", &["--per-source", "off", "--full", "evict"]);
    let mut clients: Vec<_> = (0..65).map(|_| tcp(program.address())).collect();
    for client in clients.iter_mut().skip(1) {
        client.say(b"PING\r\n");
        client.hear(b"+PONG\r\n");
    }
    let mut rest = Vec::new();
    let _ = clients[0].read_to_end(&mut rest); // EOF or a reset
    assert!(rest.is_empty());
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
        b"-OOM command not allowed: all 1024 keys are in use; DEL some\r\n+OK\r\n:1\r\n+OK\r\n$4\r\n1023\r\n",
    );
}

#[test]
fn the_memory_of_an_expired_key_is_freed_without_a_request() {
    let _bound = Watchdog::new();
    let (program, _) = start();
    let mut client = tcp(program.address());
    client.say(b"SET short 1 PX 1\r\nSET long 1 EX 1000\r\nSET ever 1\r\n");
    client.hear(b"+OK\r\n+OK\r\n+OK\r\n");
    // INFO shows what uses memory, whether its time has come or not.
    until("the timer has freed it", || {
        client.say(b"INFO keyspace\r\n");
        bulk(&mut client).contains("keys:2\r\n")
    });
    client.say(b"TTL long\r\n");
    client.hear(b":1000\r\n");
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
            "ping,set,get,incr,mset",
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
        for name in [
            "PING_INLINE",
            "PING_MBULK",
            "SET",
            "GET",
            "INCR",
            "MSET (10 keys)",
        ] {
            assert!(
                ended.output.contains(&format!("{name}: ")),
                "{}",
                ended.output
            );
        }
        let said = ended.output + &ended.errors;
        assert!(!said.contains("rror") && !said.contains("WARN"), "{said}");
    }
    assert_eq!(program.stop().code, Some(0));
}
