//! A first handler: the echo server of the README, in static memory. `cargo run -p linux --example first`

use static_cell::ConstStaticCell;
use tidegate::{Config, Conn, Handler, Listen, Memory, Server};

struct Echo;

impl Handler for Echo {
    type State = (); // your own, one for each connection

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        let data = conn.data();
        let n = data.len().min(conn.capacity());
        if conn.send(&data[..n]).is_ok() {
            conn.consume(n);
        }
    }
}

// 64 connections, 1 KiB to receive and 4 KiB to send each: one number, known before the device ships.
type EchoMemory = Memory<64, 1024, 4096>;
const _: () = assert!(EchoMemory::SIZE <= 384 * 1024);
static MEMORY: ConstStaticCell<EchoMemory> = ConstStaticCell::new(EchoMemory::new());

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut server = Server::new(MEMORY.take(), &Config::default(), Echo)?;
    server.listen(&Listen::on("127.0.0.1:8080".try_into()?))?;
    tidegate::signals::stop_on(server.stop_handle()?)?; // SIGTERM drains, SIGHUP does not kill
    server.run()?;
    Ok(())
}
