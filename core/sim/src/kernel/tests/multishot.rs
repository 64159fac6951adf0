//! Multishot receives, as Linux 6.18 has them; `differ` holds them against it.

use super::*;

/// A connection whose client resets it after a byte, or none.
fn ends_by_reset(kernel: &mut Kernel, client: Fd, bytes: &[u8]) {
    if !bytes.is_empty() {
        assert_eq!(kernel.send(client, bytes), Ok(bytes.len()));
    }
    kernel.reset_on_close(client).unwrap();
    kernel.close(client).unwrap();
}

#[test]
fn a_reset_behind_bytes_that_were_there_before_is_missed_until_it_is_asked_again() {
    for merged in [false, true] {
        for once in [false, true] {
            let (mut kernel, _, client, server) = tcp();
            kernel.limits_mut().merged_wake_ups = merged;
            ends_by_reset(&mut kernel, client, b"yz");
            let mut bytes = [0; 8];
            kernel.begin_multishot(server).unwrap();
            assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(2));
            assert_eq!(kernel.recv_multishot(server, &mut bytes), Err(Errno::AGAIN));
            let again = if once {
                kernel.recv_once(server, &mut bytes)
            } else {
                kernel.cancel_multishot(server).unwrap();
                kernel.recv_multishot(server, &mut bytes)
            };
            assert_eq!(again, Err(Errno::CONNRESET), "{merged} {once}");
        }
    }
}

#[test]
fn wake_ups_that_come_while_it_waits_are_merged_or_not() {
    for merged in [false, true] {
        let (mut kernel, _, client, server) = tcp();
        kernel.limits_mut().merged_wake_ups = merged;
        let mut bytes = [0; 8];
        assert_eq!(kernel.recv_multishot(server, &mut bytes), Err(Errno::AGAIN));
        ends_by_reset(&mut kernel, client, b"yz");
        assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(2));
        let end = kernel.recv_multishot(server, &mut bytes);
        let missed = if merged {
            Errno::AGAIN
        } else {
            Errno::CONNRESET
        };
        assert_eq!(end, Err(missed));
    }
}

/// A wake-up during a spurious attempt is one for the next.
#[test]
fn an_injected_fault_leaves_its_wake_up() {
    let (mut kernel, _, client, server) = tcp();
    let mut bytes = [0; 8];
    assert_eq!(kernel.send(client, b"x"), Ok(1));
    kernel.begin_multishot(server).unwrap();
    kernel.faults = Faults::at(0, Call::Recv, Fault::Errno(Errno::AGAIN));
    assert_eq!(kernel.recv_multishot(server, &mut bytes), Err(Errno::AGAIN));
    assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(1));
    assert_eq!(kernel.recv_multishot(server, &mut bytes), Err(Errno::AGAIN));
}

/// 6.18: a Unix stream knows how much it holds, and not that it has ended.
#[test]
fn of_a_unix_stream_a_plain_end_is_missed_too() {
    let (mut kernel, _, one, other) = unix();
    let mut bytes = [0; 8];
    assert_eq!(kernel.send(one, b"yz"), Ok(2));
    kernel.close(one).unwrap();
    kernel.begin_multishot(other).unwrap();
    assert_eq!(kernel.recv_multishot(other, &mut bytes), Ok(2));
    assert_eq!(kernel.recv_multishot(other, &mut bytes), Err(Errno::AGAIN));
    assert_eq!(kernel.has_hung_up(other), Ok(true));
    assert_eq!(kernel.recv_once(other, &mut bytes), Ok(0));
}
