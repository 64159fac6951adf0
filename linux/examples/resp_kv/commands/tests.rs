use super::*;
use crate::protocol::Words;
use crate::store::{Store, fresh_store};
use core::time::Duration;
use tidegate::Peer;

/// A client alone with the store, and a clock that stands still unless it is moved.
struct Table {
    words: Box<Words>,
    service: Service,
    now: Instant,
}

impl Table {
    fn new(store: &'static mut Store) -> Self {
        let mut service = Service::new(store);
        let now = Instant::from_nanos(1_000_000_000);
        service.open(0, Peer::Unix(1), now);
        Self {
            words: Box::new(Words::new()),
            service,
            now,
        }
    }

    /// The reply to an inline command, its lines joined by spaces.
    fn say(&mut self, line: &str) -> String {
        let words = self.words.split(line.as_bytes()).expect("words");
        let mut space = vec![0; 16 * 1024];
        let resp3 = self.service.client(0).resp3;
        let mut call = Call {
            words,
            frame: line.as_bytes(),
            reply: Reply::new(&mut space, resp3),
            service: &mut self.service,
            client: 0,
            now: self.now,
            then: Then::GoOn,
        };
        run(&mut call);
        let length = call.reply.len().expect("it fits");
        let text = str::from_utf8(&space[..length]).expect("text");
        text.trim_end_matches("\r\n").replace("\r\n", " ")
    }

    fn hears(&mut self, cases: &[(&str, &str)]) {
        for (line, expected) in cases {
            assert_eq!(self.say(line), *expected, "{line}");
        }
    }
}

const NUMBER: &str = "-ERR value is not an integer or out of range";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn what_is_no_number_to_redis_is_none_here() {
    let mut table = Table::new(fresh_store!());
    for text in [
        "+5",
        "007",
        "' 5'",
        "'5 '",
        "''",
        "-0",
        "1.0",
        "x",
        "9223372036854775808",
    ] {
        table.say(&format!("SET n {text}"));
        assert_eq!(table.say("INCR n"), NUMBER, "{text}");
        assert_eq!(table.say(&format!("INCRBY m {text}")), NUMBER, "{text}");
    }
    table.hears(&[
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
        (
            "DECRBY n -9223372036854775808",
            "-ERR decrement would overflow",
        ),
        ("DECRBY n 9223372036854775807", ":0"),
        ("DECR n", ":-1"),
        ("INCRBY n -9", ":-10"),
        ("INCR fresh", ":1"),
        ("GET n", "$3 -10"),
    ]);
}

#[test]
fn set_takes_every_option_of_redis_and_no_other_mix() {
    let expiry = "-ERR invalid expire time in 'set' command";
    Table::new(fresh_store!()).hears(&[
        ("SET k v XX", "$-1"),
        ("SET k v NX", "+OK"),
        ("SET k w NX", "$-1"),
        ("SET k w nx get", "$1 v"),
        ("SET k w XX GET EX 100", "$1 v"),
        ("TTL k", ":100"),
        ("SET k x KEEPTTL", "+OK"),
        ("TTL k", ":100"),
        ("SET k x", "+OK"),
        ("TTL k", ":-1"),
        ("SET k x PX 1500", "+OK"),
        ("PTTL k", ":1500"),
        ("TTL k", ":2"),
        ("SET k x PXAT 1", "+OK"),
        ("GET k", "$-1"),
        ("SET none x GET", "$-1"),
        ("SET k v EX 0", expiry),
        ("SET k v PX -1", expiry),
        ("SET k v EX 9223372036854775807", expiry),
        ("SET k v PX 9223372036854775807", expiry),
        ("SET k v EX x", NUMBER),
        ("SET k v EX", SYNTAX),
        ("SET k v NX XX", SYNTAX),
        ("SET k v XX EX x NX", SYNTAX),
        ("SET k v EX x KEEPTTL", SYNTAX),
        ("SET k v EX 1 PX 1", SYNTAX),
        ("SET k v KEEPTTL EX 1", SYNTAX),
        ("SET k v EX 1 KEEPTTL", SYNTAX),
        // An option may come again, a time in the same unit: the last one counts.
        ("SET k v EX 1 EX 100 GET GET NX NX", "$-1"),
        ("SET k v KEEPTTL KEEPTTL XX XX", "+OK"),
        ("TTL k", ":100"),
        ("GETEX k PX -1 PX 50000", "$1 v"),
        ("TTL k", ":50"),
        ("GETEX k PX 1 EX 1", SYNTAX),
        ("GETEX k PERSIST EX 1", SYNTAX),
        ("GETEX k PERSIST PERSIST", "$1 v"),
        ("TTL k", ":-1"),
        ("GETEX k EX", SYNTAX),
        ("PEXPIREAT k -9223372036854775808 XX", ":0"),
        ("PEXPIREAT k -9223372036854775808", ":1"),
        ("SET k v FOO", SYNTAX),
        ("SET k", "-ERR wrong number of arguments for 'set' command"),
        ("EXISTS k", ":0"),
    ]);
}

#[test]
fn a_key_expires_at_its_time_and_not_before() {
    let mut table = Table::new(fresh_store!());
    table.hears(&[("SET k v EX 10", "+OK"), ("SET n 1 PX 10000", "+OK")]);
    table.now = table.now.plus(Duration::from_millis(9_999));
    table.hears(&[
        ("GET k", "$1 v"),
        ("PTTL k", ":1"),
        ("TTL k", ":0"),
        ("INCR n", ":2"),
        ("APPEND k w", ":2"),
        ("PTTL k", ":1"),
    ]);
    table.now = table.now.plus(Duration::from_millis(1));
    table.hears(&[
        ("GET k", "$-1"),
        ("TTL k", ":-2"),
        ("PERSIST k", ":0"),
        ("EXPIRE k 10", ":0"),
        ("DEL k", ":0"),
        ("INCR n", ":1"),
        ("TTL n", ":-1"),
        ("EXPIRE n 100 XX", ":0"),
        ("EXPIRE n 100 GT", ":0"),
        ("EXPIRE n 100 NX", ":1"),
        ("EXPIRE n 200 LT", ":0"),
        ("EXPIRE n 200 GT", ":1"),
        ("PERSIST n", ":1"),
        ("EXPIRE n 50 LT", ":1"),
        (
            "EXPIRE n 50 NX XX",
            "-ERR NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            "EXPIRE n 50 GT LT",
            "-ERR GT and LT options at the same time are not compatible",
        ),
        ("EXPIRE n 50 FOO", "-ERR Unsupported option FOO"),
        ("EXPIRE n x", NUMBER),
        (
            "PEXPIRE n 9223372036854775807",
            "-ERR invalid expire time in 'pexpire' command",
        ),
        ("EXPIRE n -1", ":1"),
        ("EXISTS n", ":0"),
    ]);
}

#[test]
fn what_current_clients_say_when_they_connect() {
    let fields = "$6 server $5 redis $7 version $6 7.0.15 $5 proto :3 $2 id :1 $4 mode $10 standalone $4 role $6 \
                  master $7 modules *0";
    let map3 = format!("%7 {fields}");
    let map2 = format!("*14 {}", fields.replace("proto :3", "proto :2"));
    let names = "-ERR Client names cannot contain spaces, newlines or special characters.";
    Table::new(fresh_store!()).hears(&[
        ("HELLO", &map2),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 AUTH", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 FOO x", "-ERR Syntax error in HELLO option 'FOO'"),
        ("HELLO 3 AUTH eve x", "-WRONGPASS invalid username-password pair or user is disabled."),
        ("HELLO 3 SETNAME 'a b'", names),
        ("GET none", "$-1"),
        ("HELLO 3 AUTH default x SETNAME ab", &map3),
        ("GET none", "_"),
        ("CLIENT GETNAME", "$2 ab"),
        ("HELLO", &map3),
        ("CLIENT SETNAME ''", "+OK"),
        ("CLIENT GETNAME", "_"),
        ("CLIENT SETINFO LIB-NAME redis-py", "+OK"),
        ("CLIENT SETINFO lib-ver 8.1.0", "+OK"),
        ("CLIENT SETINFO lib-ver 'a b'", "-ERR lib-ver cannot contain spaces, newlines or special characters."),
        ("CLIENT SETINFO x y", "-ERR Unrecognized option 'x'"),
        ("CLIENT ID", ":1"),
        ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
        ("CLIENT NO-EVICT on", "+OK"),
        ("CLIENT NO-EVICT x", SYNTAX),
        ("CLIENT LIST ID 2", "=4 txt:"),
        ("CLIENT INFO", "=121 txt:id=1 addr=unix1:0 name= age=0 flags=N db=0 sub=0 psub=0 multi=-1 user=default resp=3 lib-name=redis-py lib-ver=8.1.0\n"),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("SELECT x", NUMBER),
        ("CONFIG GET save", "%1 $4 save $0"),
        ("COMMAND INFO get none", "*2 *10 $3 get :2 ~2 +readonly +fast :1 :1 :1 ~0 ~0 ~0 ~0 _"),
        ("COMMAND DOCS ping", "%1 $4 ping %2 $7 summary $15 Ping the server $5 group $10 connection"),
        ("RESET", "+RESET"),
        ("GET none", "$-1"),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("nonsense", "-ERR unknown command 'nonsense', with args beginning with: "),
        ("nonsense a b", "-ERR unknown command 'nonsense', with args beginning with: 'a' 'b' "),
    ]);
}

#[test]
fn several_keys_at_once_are_set_all_or_none() {
    let mut table = Table::new(fresh_store!());
    table.hears(&[
        (
            "MSET a 1 b",
            "-ERR wrong number of arguments for 'mset' command",
        ),
        ("MSET a 1 b 2 a 3", "+OK"),
        ("MGET a b c", "*3 $1 3 $1 2 $-1"),
        ("MSETNX c 1 a 2", ":0"),
        ("MSETNX c 1 d 2", ":1"),
        ("EXISTS a a c x", ":3"),
        ("DBSIZE", ":4"),
        ("KEYS [ab]", "*2 $1 b $1 a"),
        ("SCAN 0 COUNT 3", "*2 $1 1 *3 $1 d $1 c $1 b"),
        ("SCAN 1 COUNT 3 MATCH x*", "*2 $1 0 *0"),
        ("SCAN x", "-ERR invalid cursor"),
        ("DEL a b x a", ":2"),
        ("FLUSHALL x", SYNTAX),
        ("FLUSHALL ASYNC", "+OK"),
        ("DBSIZE", ":0"),
    ]);
    for n in 0..crate::store::KEYS - 1 {
        assert_eq!(table.say(&format!("SET key{n} 1")), "+OK");
    }
    let full = "-OOM command not allowed: all 1024 keys are in use; DEL some";
    let long = format!("MSET key1 2 x {}", "v".repeat(513));
    table.hears(&[
        ("MSET key1 2 x 1 y 1", full),
        (
            &long,
            "-ERR string exceeds maximum allowed size: 513 bytes, at most 512 are kept",
        ),
        ("MGET key1 x", "*2 $1 1 $-1"),
        ("MSET key1 2 x 1", "+OK"),
        ("INCR more", full),
        ("APPEND more x", full),
        ("SETNX more x", full),
        ("SET more x", full),
        ("GETSET more x", full),
        ("SET x 2 EX 100", "+OK"),
    ]);
    table.now = table.now.plus(Duration::from_secs(100));
    table.hears(&[("SET more x", "+OK"), ("EXISTS x more", ":1")]);
}

#[test]
fn every_command_that_the_help_names_is_there_and_none_else() {
    let help: Vec<&str> = crate::HELP
        .lines()
        .filter(|line| line.len() > 8 && !line.contains(|c: char| c.is_lowercase() || c == '-'))
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(help.len(), COMMANDS.len(), "{help:?}");
    for name in help {
        assert!(find(name.as_bytes()).is_some(), "{name}");
    }
}

/// What redis finds wrong before it runs a command it finds before it queues one, subcommands included.
#[test]
fn subcommands_are_checked_before_anything_is_queued() {
    let mut table = Table::new(fresh_store!());
    let wrong = [
        (
            "COMMAND COUNT x",
            "-ERR wrong number of arguments for 'command|count' command",
        ),
        (
            "CLIENT SETNAME",
            "-ERR wrong number of arguments for 'client|setname' command",
        ),
        (
            "client getname x",
            "-ERR wrong number of arguments for 'client|getname' command",
        ),
        (
            "CONFIG GET",
            "-ERR wrong number of arguments for 'config|get' command",
        ),
        (
            "CONFIG",
            "-ERR wrong number of arguments for 'config' command",
        ),
        (
            "COMMAND FOO",
            "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.",
        ),
        (
            "client foo",
            "-ERR unknown subcommand 'foo'. Try CLIENT HELP.",
        ),
    ];
    table.hears(&wrong);
    for one in wrong {
        table.hears(&[
            ("MULTI", "+OK"),
            one,
            ("CLIENT GETNAME", "+QUEUED"),
            (
                "EXEC",
                "-EXECABORT Transaction discarded because of previous errors.",
            ),
        ]);
    }
}
