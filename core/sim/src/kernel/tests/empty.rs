//! Receives with an empty buffer.

use super::*;

#[test]
fn a_receive_with_an_empty_buffer_takes_nothing_and_returns_what_is_there() {
    for (mut kernel, set, one, other) in [unix(), tcp()] {
        let nothing = |kernel: &mut Kernel| kernel.recv(other, &mut []);
        assert_eq!(nothing(&mut kernel), Err(Errno::AGAIN));
        assert_eq!(kernel.send(one, b"ab"), Ok(2));
        kernel.epoll_add(set, other, Flags::IN, 1).unwrap();
        for _ in 0..2 {
            assert_eq!(nothing(&mut kernel), Ok(0), "no end: bytes lie there");
        }
        assert_eq!(kernel.all(set), [(1, Flags::IN)]);
        assert_eq!(kernel.received(other, 9), Ok(b"ab".to_vec()));
        assert_eq!(nothing(&mut kernel), Err(Errno::AGAIN));
        kernel.shutdown(one, Shutdown::Write).unwrap();
        assert_eq!(nothing(&mut kernel), Ok(0), "the end");
    }
    let (mut kernel, _, client, server) = tcp();
    kernel.send_urgent(client, b'u').unwrap();
    assert_eq!(kernel.recv(server, &mut []), Ok(0), "the mark stays");
    assert_eq!(kernel.unread(server), Ok(0));
    assert_eq!(kernel.poll(server), Ok(Flags::OUT | Flags::PRI));
    assert_eq!(kernel.received(server, 9), Err(Errno::AGAIN));
    assert_eq!(kernel.recv(server, &mut []), Err(Errno::AGAIN), "passed");
    // The stored error of the socket is returned, once.
    let (mut kernel, _, client, server) = tcp();
    kernel.reset_on_close(client).unwrap();
    kernel.close(client).unwrap();
    assert_eq!(kernel.recv(server, &mut []), Err(Errno::CONNRESET));
    assert_eq!(kernel.recv(server, &mut []), Ok(0));
    // A listener holds no bytes.
    let listener = kernel.listen(Family::Tcp, 81, 0).unwrap();
    assert_eq!(kernel.recv(listener, &mut []), Err(Errno::NOTCONN));
}
