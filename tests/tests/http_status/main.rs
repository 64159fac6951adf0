//! The example `http_status` serves browsers, benchmarks and attackers that others wrote; a slow client harms itself
//! only.

mod clients;
mod files;
mod requests;
mod uploads;

use core::time::Duration;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::SystemTime;
use tests::http::Response;
use tests::net::{Client, pattern, tcp};
use tests::process::{Folder, Program};

struct Site {
    program: Program,
    url: String,
    folder: Folder,
}

/// A site with a file of 1 MB and one in a folder; and one that cannot be read.
fn start(arguments: &[&str]) -> Site {
    let folder = Folder::new("site");
    fs::create_dir_all(folder.path("root/sub")).expect("a folder");
    fs::write(folder.path("root/big.bin"), pattern(7, 1_000_000)).expect("a file");
    fs::write(folder.path("root/sub/a.txt"), "small\n").expect("a file");
    fs::write(folder.path("root/empty.html"), "").expect("a file");
    fs::write(folder.path("root/b c~é.txt"), "named\n").expect("a file");
    fs::write(folder.path("root/.hidden"), "secret").expect("a file");
    fs::write(folder.path("secret.txt"), "secret").expect("a file");
    symlink(folder.path("secret.txt"), folder.path("root/link.txt")).expect("a link");
    symlink(folder.path(""), folder.path("root/up")).expect("a link");
    // Long enough ago that its tag is strong, and on a whole second.
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let file = File::options()
        .write(true)
        .open(folder.path("root/big.bin"));
    file.and_then(|file| file.set_modified(modified))
        .expect("a time");
    let root = folder.path("root");
    let program = Program::example("http_status", &[&["--root", &root], arguments].concat());
    let url = format!("http://{}/", program.address());
    Site {
        program,
        url,
        folder,
    }
}

impl Site {
    /// Responses to a request on a connection of its own, to the end of which the server sends them.
    fn ask(&self, request: &str) -> Vec<Response> {
        let mut client = tcp(self.program.address());
        client.say(request.as_bytes());
        Response::rest(&mut client)
    }

    /// The response to a GET with these field lines, the last on its connection.
    fn get(&self, target: &str, lines: &str) -> Response {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
        let mut found = self.ask(&request);
        assert_eq!(found.len(), 1, "{target}: {found:?}");
        found.remove(0)
    }
}
