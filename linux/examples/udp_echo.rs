//! Sends each datagram back to where it came from. `cargo run -p linux --example udp_echo -- --help`
//!
//! What there is to learn: a socket at `0.0.0.0` or `[::]` has all addresses of the machine. A reply must leave from
//! the address of the request: a connected client, or a firewall, drops it otherwise. A server in C that uses
//! `recvfrom()` and `sendto()` gets this wrong, and it is seen only on a machine with several addresses. Here the local
//! address comes with each datagram ([`Datagram::local`]) and goes with its reply.
//!
//! A network error is not fatal: an ICMP error for a reply (`ECONNREFUSED`) is returned once, and the next datagram
//! gets its reply.

mod common;

use common::{Common, Failure};
use lexopt::ValueExt;
use static_cell::ConstStaticCell;
use tidegate::{
    Address, Config, Connections, Datagram, DatagramMemory, Datagrams, Fault, Group, Handler,
    Memory, Server, Token, parse_host,
};

const HELP: &str = "\
Usage: udp_echo [OPTION]... ADDR [PEER]
Sends each datagram back, from the address that it was sent to, in memory of a fixed size.

  ADDR                         where datagrams come: IP:PORT, [IPV6]:PORT, unix:/path or unix:@name
  PEER                         the only peer; others are dropped, and network errors for it are counted
  --join GROUP[%INTERFACE]     a multicast group to join, at an interface by name or number; several times
  --multicast-ttl N            hops of a reply to a group, 0 to 255 [1]
  --ttl N                      hops of any other reply, 1 to 255 [64]
  --broadcast                  reply to broadcast addresses, too
{common}

Try it: udp_echo 0.0.0.0:7777 & echo hello | nc -u -w 1 127.0.0.2 7777
";

/// Bytes of the longest datagram of UDP.
const LONGEST: u32 = 65_535;

type EchoMemory = Memory<1, 1, 1>;
type Windows = DatagramMemory<{ LONGEST as usize }, { LONGEST as usize }>;

// All there ever is: 132 KiB to receive into and to send from.
const _: () = assert!(EchoMemory::SIZE + Windows::SIZE <= 140 * 1024);
static MEMORY: ConstStaticCell<EchoMemory> = ConstStaticCell::new(EchoMemory::new());
static WINDOWS: ConstStaticCell<Windows> = ConstStaticCell::new(Windows::new());

/// Counts datagrams without a reply.
#[derive(Default)]
struct Echo {
    without_reply: u64,
}

impl Handler for Echo {
    type State = ();

    fn datagram(&mut self, all: &mut Connections<'_>, socket: Token, datagram: Datagram<'_>) {
        let sent = datagram
            .from
            .map(|to| all.send_datagram(socket, to, datagram.data));
        // A sender without a name cannot be replied to.
        if !matches!(sent, Some(Ok(()))) {
            self.without_reply += 1;
        }
    }

    fn datagram_failed(&mut self, _: &mut Connections<'_>, _: Token, _: Fault) {
        self.without_reply += 1;
    }
}

fn main() -> Result<(), Failure> {
    let (mut groups, mut ttl, mut multicast_ttl, mut broadcast) = (Vec::new(), None, None, false);
    let mut addresses = Vec::new();
    let mut defaults = Common::new("", Config::default());
    defaults.listen.clear();
    let mut common = common::arguments(HELP, defaults, |name, parser| {
        match name {
            "join" => groups.push(parser.value()?.parse_with(group)?),
            "ttl" => ttl = Some(parser.value()?.parse_with(|text| number(text, 1))?),
            "multicast-ttl" => {
                multicast_ttl = Some(parser.value()?.parse_with(|text| number(text, 0))?);
            }
            "broadcast" => broadcast = true,
            // A positional argument.
            "" => addresses.push(parser.value()?.string()?),
            _ => return Ok(false),
        }
        Ok(true)
    });
    let (address, peer) = match &addresses[..] {
        [address] => (address.clone(), None),
        [address, peer] => (address.clone(), Some(peer.clone())),
        _ => return Err("one ADDR is needed, and one PEER at most; --help tells more".into()),
    };
    // As long as the program runs: both are borrowed by the socket's options.
    let (groups, peer) = (groups.leak(), peer.map(String::leak));
    let peer = peer.map(|peer| Address::parse(peer)).transpose()?;
    let socket = Datagrams {
        peer,
        receive: LONGEST,
        send: LONGEST,
        broadcast,
        groups,
        multicast_ttl,
        ttl,
        ..Datagrams::on(Address::Unix(""))
    };
    common.datagrams = vec![(address, socket)];
    let mut server = Server::new(MEMORY.take(), &common.config, Echo::default())?;
    server.set_datagram_memory(WINDOWS.take());
    common::serve(&mut server, &common)?;
    let stats = server.stats();
    common::say(format_args!(
        "{} datagrams, {} sent back, {} not; {} dropped by the kernel",
        stats.datagrams_in,
        stats.datagrams_out,
        server.session().handler().without_reply,
        stats.datagrams_lost,
    ));
    Ok(())
}

/// `GROUP` or `GROUP%INTERFACE`, of either family.
fn group(text: &str) -> Result<Group, String> {
    // Only IPv6 writes an interface so; here it is one way for both.
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, format!("fe80::%{interface}")),
        None => (text, "::".to_owned()),
    };
    let (address, _) = parse_host(address).map_err(|why| why.to_string())?;
    let (_, interface) = parse_host(&interface).map_err(|why| why.fault().to_string())?;
    if !address.is_multicast() {
        return Err("must be a multicast address: 224.0.0.0/4 or ff00::/8".into());
    }
    Ok(Group { address, interface })
}

fn number(text: &str, least: u8) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("must be a number from {least} to 255"))
}
