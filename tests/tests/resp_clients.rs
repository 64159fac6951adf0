//! The clients of today that redis has connect to the example `resp_kv` with their default settings and commands; and
//! redis itself replies the same.

use std::os::unix::net::UnixStream;
use std::process::Command;
use tests::bounded::{SOON, Watchdog, until};
use tests::clients::{node, python};
use tests::net::Client as _;
use tests::process::{Folder, Program, run_with};

fn start() -> (Program, String) {
    let program = Program::example("resp_kv", &[]);
    let port = program.address().port().to_string();
    (program, port)
}

fn is_content(mut client: Command) {
    let _bound = Watchdog::new();
    let (program, port) = start();
    let ended = run_with(client.arg(&port), b"");
    assert_eq!(ended.output.trim_end(), "all good", "{}", ended.errors);
    assert_eq!(program.stop().code, Some(0));
}

/// With the version of the protocol that it chooses by itself, and with each that can be set.
const REDIS_PY: &str = r#"
import asyncio, sys
import redis
port = int(sys.argv[1])
for options in ({}, {"protocol": 2}, {"protocol": 3}, {"client_name": "us", "db": 0, "health_check_interval": 1}):
    r = redis.Redis("127.0.0.1", port, socket_timeout=10, decode_responses=True, **options)
    assert r.ping() and r.flushall()
    assert r.set("a", "1") and r.get("a") == "1" and r.get("none") is None
    assert r.incr("a") == 2 and r.incrby("a", 5) == 7 and r.decr("a", 3) == 4
    assert r.set("a", "x", nx=True) is None and r.set("a", "y", xx=True, get=True) == "4"
    assert r.set("t", "x", ex=100) and 98 < r.ttl("t") <= 100 and r.persist("t") and r.ttl("t") == -1
    assert r.expire("t", 50) and r.pttl("t") > 40000 and r.getex("t", px=9000) == "x" and r.ttl("t") <= 9
    assert r.mset({"m1": 1, "m2": 2}) and r.mget("m1", "none", "m2") == ["1", None, "2"]
    assert r.exists("m1", "m2", "none") == 2 and r.type("m1") == "string" and r.strlen("m1") == 1
    assert r.append("m1", "23") == 3 and r.getdel("m1") == "123" and r.delete("m1", "m2") == 1
    assert sorted(r.keys("*")) == ["a", "t"] and sorted(r.scan_iter(count=1)) == ["a", "t"] and r.dbsize() == 2
    with r.pipeline(transaction=False) as pipe:
        assert pipe.set("b", "x").get("b").delete("b").execute() == [True, "x", 1]
    assert r.info()["redis_version"].startswith("7.") and r.info("keyspace")["db0"]["keys"] == 2
    me = r.client_info()
    assert me["lib-name"].startswith("redis-py") and any(int(c["id"]) == int(me["id"]) for c in r.client_list()), me
    assert (r.client_getname() or "") == options.get("client_name", "")
    assert r.config_get("save") == {"save": ""} and "get" in r.command() and r.command_count() > 40
    for wrong in (lambda: r.execute_command("NONSENSE"), lambda: r.incr("t"), lambda: r.select(1)):
        try:
            wrong()
        except redis.ResponseError as why:
            assert str(why), why
        else:
            raise AssertionError("no error")
    with r.pipeline() as pipe:
        pipe.watch("a")
        assert pipe.get("a") == "y"
        pipe.multi()
        assert pipe.set("b", 1).incr("b").delete("b").execute() == [True, 2, 1]
        pipe.watch("a")
        r.set("a", "z")
        try:
            pipe.multi()
            pipe.get("a").execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("no WatchError")
    r.close()
async def asynchronous():
    r = redis.asyncio.Redis(host="127.0.0.1", port=port)
    assert await r.set("a", b"\x00\r\n\xff") and await r.get("a") == b"\x00\r\n\xff"
    await r.aclose()
asyncio.run(asynchronous())
print("all good")
"#;

#[test]
#[ignore = "needs .ci/clients"]
fn redis_py() {
    is_content(python(REDIS_PY));
}

const NODE_REDIS: &str = r#"
const { createClient } = require("redis");
const assert = require("assert/strict");
(async () => {
  const port = Number(process.argv[1]);
  for (const options of [{}, { RESP: 2 }, { RESP: 3 }, { name: "us", database: 0, pingInterval: 1000 }]) {
    const r = createClient({ socket: { host: "127.0.0.1", port, reconnectStrategy: false }, ...options });
    r.on("error", (why) => { console.error(why); process.exit(1); });
    await r.connect();
    assert.equal(await r.ping(), "PONG");
    assert.equal(await r.flushAll(), "OK");
    assert.equal(await r.set("a", "1"), "OK");
    assert.equal(await r.get("a"), "1");
    assert.equal(await r.get("none"), null);
    assert.equal(await r.incr("a"), 2);
    assert.equal(await r.incrBy("a", 40), 42);
    assert.equal(await r.set("a", "x", { NX: true }), null);
    assert.equal(await r.set("t", "x", { EX: 100 }), "OK");
    assert.ok((await r.ttl("t")) > 98);
    assert.equal(Number(await r.expire("t", 10)), 1);
    assert.deepEqual(await r.mGet(["a", "none"]), ["42", null]);
    assert.equal(await r.exists(["a", "t", "none"]), 2);
    assert.deepEqual((await Promise.all([r.set("b", "x"), r.get("b"), r.del("b")])), ["OK", "x", 1]);
    assert.deepEqual(await r.multi().set("b", "1").incr("b").del("b").exec(), ["OK", 2, 1]);
    let seen = [];
    for await (const keys of r.scanIterator()) seen.push(...[].concat(keys));
    assert.deepEqual(seen.sort(), ["a", "t"]);
    assert.equal(await r.clientGetName(), options.name ?? null);
    assert.match(await r.info(), /redis_version:7/);
    await assert.rejects(r.sendCommand(["NONSENSE"]), /unknown command/);
    await r.close();
  }
  console.log("all good");
})().catch((why) => { console.error(why); process.exit(1); });
"#;

#[test]
#[ignore = "needs .ci/clients"]
fn node_redis() {
    is_content(node(NODE_REDIS));
}

/// It waits with everything until INFO reports that nothing is being loaded.
const IOREDIS: &str = r#"
const Redis = require("ioredis");
const assert = require("assert/strict");
(async () => {
  const port = Number(process.argv[1]);
  for (const options of [{}, { connectionName: "us", db: 0 }, { enableAutoPipelining: true }]) {
    const r = new Redis({ host: "127.0.0.1", port, retryStrategy: null, ...options });
    r.on("error", (why) => { console.error(why); process.exit(1); });
    assert.equal(await r.ping(), "PONG");
    assert.equal(await r.flushall(), "OK");
    assert.equal(await r.set("a", "1", "EX", 100), "OK");
    assert.ok((await r.ttl("a")) > 98);
    assert.equal(await r.get("a"), "1");
    assert.equal(await r.incrby("a", 41), 42);
    assert.deepEqual(await r.mget("a", "none"), ["42", null]);
    assert.deepEqual(await r.pipeline().set("b", "x").get("b").del("b").exec(), [[null, "OK"], [null, "x"], [null, 1]]);
    assert.deepEqual(await r.multi().set("b", "1").incr("b").del("b").exec(), [[null, "OK"], [null, 2], [null, 1]]);
    assert.equal((await r.getBuffer("a")).toString(), "42");
    assert.deepEqual(await r.keys("*"), ["a"]);
    assert.equal(await r.client("GETNAME"), options.connectionName ?? null);
    await assert.rejects(r.call("NONSENSE"), /unknown command/);
    assert.equal(await r.quit(), "OK");
  }
  console.log("all good");
})().catch((why) => { console.error(why); process.exit(1); });
"#;

#[test]
#[ignore = "needs .ci/clients"]
fn ioredis() {
    is_content(node(IOREDIS));
}

#[test]
#[ignore = "needs redis-cli"]
fn redis_cli_inserts_a_mass_and_talks_either_version() {
    let _bound = Watchdog::new();
    let (program, port) = start();
    let inline: String = (0..800)
        .map(|n| format!("SET key{n} \"value {n}\"\n"))
        .collect();
    let array: String = (0..800)
        .map(|n| {
            let key = format!("key{n}");
            format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$1\r\nx\r\n", key.len())
        })
        .collect();
    for said in [inline, array] {
        let mut pipe = Command::new("redis-cli");
        let ended = run_with(pipe.args(["-p", &port, "--pipe"]), said.as_bytes());
        assert!(
            ended.output.ends_with("errors: 0, replies: 800\n"),
            "{}{}",
            ended.output,
            ended.errors
        );
    }
    for version in ["-2", "-3"] {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &port, version]);
        let said = b"SET a \"b c\"\nGET a\nHELLO\nGET none\nMGET a none\nCOMMAND COUNT\nDEL a\n";
        let ended = run_with(&mut cli, said);
        assert!(ended.output.starts_with("OK\nb c\n"), "{}", ended.output);
        assert!(!ended.output.contains("ERR"), "{}", ended.output);
    }
    let mut scan = Command::new("redis-cli");
    let ended = run_with(
        scan.args(["-p", &port, "--scan", "--pattern", "key7*"]),
        b"",
    );
    assert_eq!(ended.output.lines().count(), 111, "{}", ended.output);
    assert_eq!(program.stop().code, Some(0));
}

/// The commands of one connection each: redis 7 replies to them as the example does, byte by byte.
const CONVERSATIONS: &[&str] = &[
    "MULTI|COMMAND COUNT x|CLIENT SETNAME|CONFIG GET|CLIENT FOO|PING|EXEC",
    "SET k v EX 1 EX 100 GET GET NX NX|TTL k|SET k v KEEPTTL KEEPTTL|TTL k|SET k v EX 1 PX 1",
    "SET k v|GETEX k PX -1 PX 50000|TTL k|GETEX k PERSIST PERSIST|TTL k|GETEX k PERSIST EX 1",
    "SET k v|PEXPIREAT k -9223372036854775808 XX|PEXPIREAT k -9223372036854775808|EXISTS k",
    "PING|PING a|PING a b|ECHO|ECHO 'a b'|ECHO \"\\x41\\n\"|get|nonsense|nonsense a b|TIME x",
    "HELLO|HELLO 2|HELLO 4|HELLO x|HELLO 3 AUTH default x|HELLO 3 AUTH u x|HELLO 3 AUTH u|HELLO 3 FOO|HELLO 3 SETNAME 'a b'",
    "HELLO 3|GET none|MGET none|CONFIG GET save|CLIENT GETNAME|HELLO 3 SETNAME x|CLIENT GETNAME|RESET|CLIENT GETNAME|GET none",
    "AUTH x|AUTH default x|AUTH u x|AUTH a b c|SELECT 0|SELECT x|SELECT -1|SELECT|SELECT 99",
    "CLIENT|CLIENT FOO|CLIENT ID x|CLIENT GETNAME|CLIENT SETNAME 'a b'|CLIENT SETNAME ''|CLIENT SETNAME ab|CLIENT GETNAME",
    "CLIENT NO-EVICT on|CLIENT NO-EVICT x|CLIENT NO-EVICT|CLIENT LIST FOO|CLIENT LIST TYPE x|CLIENT LIST ID x|CLIENT LIST TYPE pubsub|CLIENT GETREDIR",
    "CLIENT REPLY OFF|PING|CLIENT REPLY ON|CLIENT REPLY SKIP|PING|PING|CLIENT REPLY x",
    "SET k v EX 0|SET k v EX -1|SET k v EX x|SET k v EX|SET k v PX 9223372036854775807|SET k v NX XX|SET k v EX 1 PX 1|SET k v EX 1 KEEPTTL|SET k v FOO|SET k v EX x FOO|SET k",
    "SET k v NX GET|SET k v2 NX GET|GET k|SET k v2 XX GET|SET k v3 EXAT 1|GET k|SET k v PXAT 0|SET k v EX 100|TTL k|SET k w KEEPTTL|TTL k|GETSET k x|TTL k",
    "TTL k|SET k v|TTL k|EXPIRE k 100|TTL k|PERSIST k|PERSIST k|EXPIRE k 100 NX|EXPIRE k 50 GT|EXPIRE k 50 LT|TTL k|EXPIRE k 20 XX|EXPIRE k -1|EXISTS k",
    "EXPIRE k x|EXPIRE k 1 FOO|EXPIRE k 1 NX XX|EXPIRE k 1 GT LT|SET k v|EXPIRE k 9223372036854775807|PEXPIRE k 9223372036854775807|EXPIREAT k 1|GET k|EXPIRETIME k",
    "SETEX k 0 v|PSETEX k -1 v|SETEX k x v|SETEX k 10 v|TTL k|SETNX k x|SETNX l x|GETEX k EX 0|GETEX none EX 0|GETEX k PERSIST|TTL k|GETEX k FOO|GETEX k EX|GETDEL k|GETDEL k",
    "INCRBY n x|INCRBY n 9223372036854775807|INCR n|DECRBY n -9223372036854775808|DECRBY n 9223372036854775807|DECRBY n 9223372036854775807|DECRBY n 9223372036854775807|INCR n n",
    "SET n +5|INCR n|SET n 007|INCR n|SET n ' 5'|INCR n|SET n '5 '|INCR n|SET n ''|INCR n|SET n -0|INCR n|SET n 0|DECR n|SET n -9223372036854775808|DECR n",
    "MSET a|MSET a 1 b|MSET a 1 b 2|MGET a b c|MSETNX a 1 d 2|MSETNX d 1|EXISTS a b a c|UNLINK a b|TOUCH d|TYPE d|TYPE a|APPEND d x|STRLEN d|STRLEN a",
    "SCAN x|SCAN 0|SET a 1|SCAN 0 MATCH b* COUNT 10|SCAN 0 COUNT 0|SCAN 0 COUNT x|SCAN 0 FOO|KEYS *|KEYS b*|SCAN 0 TYPE string|SCAN 0 TYPE list|DBSIZE|DBSIZE x|FLUSHALL x|FLUSHDB ASYNC|FLUSHALL SYNC",
    "CONFIG|CONFIG GET|CONFIG GET none|CONFIG FOO|CONFIG SET save|CONFIG GET save|COMMAND FOO|COMMAND LIST x|COMMAND INFO none|INFO none",
    "MULTI|SET a 1|INCR a|GET a|MGET a none|EXEC|GET a|EXEC|DISCARD|MULTI|EXEC|MULTI|INCR a|PING x|DISCARD|GET a",
    "MULTI|MULTI|SET a 1|EXEC|MULTI|NONSENSE|SET a 2|EXEC|MULTI|GET|EXEC|GET a|MULTI|SET a x|INCR a|GET a|EXEC",
    "WATCH|WATCH a|SET a 2|MULTI|GET a|EXEC|GET a|WATCH a|MULTI|GET a|EXEC|MULTI|WATCH a|GET a|EXEC|WATCH a|SET a 3|UNWATCH|MULTI|GET a|EXEC",
    "HELLO 3|WATCH a|SET a 1|MULTI|EXEC|MULTI|RESET|EXEC|MULTI|HELLO 3|GET none|EXEC",
    "MULTI|SET a 1|QUIT",
    "QUIT a|PING",
    "POST / HTTP|PING",
    "GET 'a",
    "GET \"a\"b",
    "*0\r\n*-1\r\n*-5|PING",
    "*x",
    "*01",
    "*+1",
    "*2147483648",
    "*1\r\nPING",
    "*1\r\n$-1",
    "*1\r\n$01",
    "*1\r\n$x",
    "*3\r\n$4\r\nECHO\r\n$600000000",
];

#[test]
#[ignore = "needs redis-server"]
fn redis_itself_replies_the_same() {
    let _bound = Watchdog::new();
    let folder = Folder::new("redis");
    let (theirs, ours) = (folder.path("redis.sock"), folder.path("kv.sock"));
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        "0",
        "--unixsocket",
        &theirs,
        "--save",
        "",
        "--dir",
    ]);
    let redis = Program::spawn(command.arg(folder.path("")));
    until("redis listens", || UnixStream::connect(&theirs).is_ok());
    let kv = Program::example("resp_kv", &["--listen", &format!("unix:{ours}")]);
    let hear = |path: &str, said: &str| {
        let mut stream = UnixStream::connect(path).expect("connected");
        stream.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        let said = format!("FLUSHALL\r\n{}\r\n", said.replace('|', "\r\n"));
        stream.say(said.as_bytes());
        stream.finish();
        let reply = String::from_utf8(stream.rest()).expect("text");
        // Each counts its clients.
        let mut parts = reply.split("$2\r\nid\r\n:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let (_, rest) = part.split_once("\r\n").expect("a number");
            text + "$2\r\nid\r\n:N\r\n" + rest
        })
    };
    for said in CONVERSATIONS {
        let (theirs, mut ours) = (hear(&theirs, said), hear(&ours, said));
        // Our reply names the limit, and that we close.
        if let Some((reply, _)) = ours.split_once("; closed") {
            let named = reply
                .split_once(": at most")
                .map_or(reply, |(name, _)| name);
            ours = format!("{named}\r\n");
        }
        assert_eq!(ours, theirs, "{said}");
    }
    drop((redis, kv));
}
