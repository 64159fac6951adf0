//! A first handler: the echo server of the README, in static memory.

use static_cell::ConstStaticCell;
use tidegate::{Address, Config, Conn, Handler, Listen, Memory, Server};

struct Echo;

impl Handler for Echo {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.room());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

type EchoMemory = Memory<1024, 4096, 16384>;
const _: () = assert!(EchoMemory::SIZE <= 22 * 1024 * 1024);
static MEMORY: ConstStaticCell<EchoMemory> = ConstStaticCell::new(EchoMemory::new());

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let mut config = Config::default();
    if std::env::args().nth(2).as_deref() == Some("edge") { config.trigger = tidegate::Trigger::Edge }
    let mut server = Server::new(MEMORY.take(), &config, Echo)?;
    let (_, address) = server.listen(&Listen::on(Address::Inet(address.parse()?)))?;
    println!("listening on {address:?}");
    server.run().map_err(|errno| errno.to_string())?;
    Ok(())
}
