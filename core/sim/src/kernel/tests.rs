//! The rules of the model, one by one. Linux agrees with them: the program `differ` compares.

mod empty;
mod exclusive;
mod multishot;
mod routes;
mod small;

use super::*;
use crate::{EpollFlags as Flags, Errno};
use alloc::vec;

/// A kernel with an epoll set and a Unix pair.
fn unix() -> (Kernel, Fd, Fd, Fd) {
    let mut kernel = Kernel::new(Limits::default());
    let set = kernel.epoll_create().unwrap();
    let (one, other) = kernel.pair().unwrap();
    (kernel, set, one, other)
}

/// A kernel with an epoll set and the two ends of a TCP connection.
fn tcp() -> (Kernel, Fd, Fd, Fd) {
    let mut kernel = Kernel::new(Limits::default());
    let set = kernel.epoll_create().unwrap();
    let listener = kernel.listen(Family::Tcp, 80, 4).unwrap();
    let client = kernel.socket_from(Family::Tcp, None).unwrap();
    assert_eq!(kernel.connect(client, 80), Err(Errno::INPROGRESS));
    let (server, address) = kernel.accept(listener).unwrap();
    assert_eq!(address, Some(ANYBODY));
    (kernel, set, client, server)
}

/// As Linux 6.18 has it.
#[test]
fn a_receive_that_goes_on_forgets_a_reset_behind_bytes_and_a_poll_does_not() {
    for first in [false, true] {
        let (mut kernel, _, client, server) = tcp();
        let mut bytes = [0; 8];
        if first {
            assert_eq!(kernel.send(client, b"x"), Ok(1));
            assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(1));
        }
        assert_eq!(kernel.recv_multishot(server, &mut bytes), Err(Errno::AGAIN));
        assert_eq!(kernel.has_hung_up(server), Ok(false));
        assert_eq!(kernel.send(client, b"yz"), Ok(2));
        kernel.reset_on_close(client).unwrap();
        kernel.close(client).unwrap();
        assert_eq!(kernel.has_hung_up(server), Ok(true));
        assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(2));
        for _ in 0..3 {
            assert_eq!(kernel.recv_multishot(server, &mut bytes), Err(Errno::AGAIN));
        }
        assert_eq!(kernel.has_hung_up(server), Ok(true));
        assert_eq!(kernel.recv(server, &mut bytes), Err(Errno::CONNRESET));
    }
}

#[test]
fn a_receive_that_goes_on_brings_a_fin_and_a_reset_without_bytes() {
    for resets in [false, true] {
        let (mut kernel, _, client, server) = tcp();
        let mut bytes = [0; 8];
        if resets {
            kernel.reset_on_close(client).unwrap();
        } else {
            assert_eq!(kernel.send(client, b"y"), Ok(1));
        }
        kernel.close(client).unwrap();
        assert_eq!(kernel.has_hung_up(server), Ok(true));
        if resets {
            assert_eq!(
                kernel.recv_multishot(server, &mut bytes),
                Err(Errno::CONNRESET)
            );
        } else {
            assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(1));
            assert_eq!(kernel.recv_multishot(server, &mut bytes), Ok(0));
        }
    }
}

impl Kernel {
    /// Everything that a set reports at once.
    fn all(&mut self, set: Fd) -> Vec<(u64, Flags)> {
        let reports = self.epoll_wait(set, 64).unwrap();
        reports
            .into_iter()
            .map(|report| (report.data, report.flags))
            .collect()
    }

    fn received(&mut self, fd: Fd, most: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; most];
        let n = self.recv(fd, &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }
}

#[test]
fn descriptors_are_used_again_lowest_first() {
    let (mut kernel, set, one, other) = unix();
    assert_eq!((set, one, other), (Fd(0), Fd(1), Fd(2)));
    assert_eq!(kernel.dup(one), Ok(Fd(3)));
    kernel.close(one).unwrap();
    assert_eq!(kernel.dup(other), Ok(Fd(1)));
    assert_eq!(kernel.close(Fd(9)), Err(Errno::BADF));
    kernel.limits_mut().descriptors = 4;
    assert_eq!(kernel.dup(other), Err(Errno::MFILE));
    assert_eq!(kernel.pair(), Err(Errno::MFILE));
}

/// Rule 1.
#[test]
fn adding_twice_fails_and_adding_what_is_ready_reports_it() {
    let (mut kernel, set, one, _) = unix();
    assert_eq!(kernel.epoll_add(set, one, Flags::OUT, 7), Ok(()));
    assert_eq!(kernel.epoll_add(set, one, Flags::IN, 8), Err(Errno::EXIST));
    assert_eq!(kernel.all(set), [(7, Flags::OUT)]);
    assert_eq!(kernel.epoll_add(set, set, Flags::IN, 8), Err(Errno::INVAL));
    assert_eq!(kernel.epoll_add(one, set, Flags::IN, 8), Err(Errno::INVAL));
    assert_eq!(kernel.epoll_wait(set, 0), Err(Errno::INVAL));
}

/// Rule 2.
#[test]
fn a_modification_reports_again_and_arms_again() {
    let (mut kernel, set, one, _) = unix();
    assert_eq!(
        kernel.epoll_modify(set, one, Flags::OUT, 7),
        Err(Errno::NOENT)
    );
    let once = Flags::OUT | Flags::ONESHOT | Flags::ET;
    kernel.epoll_add(set, one, once, 7).unwrap();
    assert_eq!(kernel.all(set), [(7, Flags::OUT)]);
    assert_eq!(kernel.all(set), []);
    kernel.epoll_modify(set, one, once, 8).unwrap();
    assert_eq!(kernel.all(set), [(8, Flags::OUT)]);
    kernel.epoll_modify(set, one, Flags::IN, 9).unwrap();
    assert_eq!(kernel.all(set), []);
}

/// Rule 3.
#[test]
fn withdrawing_and_the_last_close_forget_what_was_queued() {
    let (mut kernel, set, one, other) = unix();
    kernel.epoll_add(set, one, Flags::OUT, 1).unwrap();
    kernel.epoll_delete(set, one).unwrap();
    assert_eq!(kernel.epoll_delete(set, one), Err(Errno::NOENT));
    assert_eq!(kernel.all(set), []);

    kernel.epoll_add(set, one, Flags::OUT, 1).unwrap();
    let copy = kernel.dup(one).unwrap();
    kernel.close(one).unwrap();
    assert_eq!(kernel.all(set), [(1, Flags::OUT)], "a copy of it lives");
    assert_eq!(kernel.epoll_delete(set, one), Err(Errno::BADF));
    assert_eq!(kernel.epoll_delete(set, copy), Err(Errno::NOENT));
    kernel.close(copy).unwrap();
    assert_eq!(kernel.all(set), []);
    assert_eq!(
        kernel.poll(other),
        Ok(Flags::IN | Flags::OUT | Flags::HUP | Flags::RDHUP)
    );
    kernel.close(set).unwrap();
    assert_eq!(kernel.send(other, b"x"), Err(Errno::PIPE));
}

/// Rule 4.
#[test]
fn a_wake_reaches_those_armed_for_it_and_a_change_of_state_all() {
    let (mut kernel, set, one, other) = unix();
    kernel
        .epoll_add(set, one, Flags::OUT | Flags::ET, 1)
        .unwrap();
    assert_eq!(kernel.all(set), [(1, Flags::OUT)]);
    kernel.send(other, b"x").unwrap();
    assert_eq!(kernel.all(set), [], "input, and only room was asked for");
    kernel.shutdown(other, Shutdown::Write).unwrap();
    assert_eq!(kernel.all(set), [(1, Flags::OUT)]);
}

/// Rule 5.
#[test]
fn reports_come_first_in_first_out_and_level_goes_to_the_tail() {
    let (mut kernel, set, one, other) = unix();
    let (three, four) = kernel.pair().unwrap();
    for (fd, data) in [(one, 1), (other, 2), (three, 3)] {
        kernel.epoll_add(set, fd, Flags::OUT, data).unwrap();
    }
    kernel
        .epoll_add(set, four, Flags::OUT | Flags::ET, 4)
        .unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        let reports = kernel.epoll_wait(set, 2).unwrap();
        order.extend(reports.into_iter().map(|report| report.data));
    }
    assert_eq!(order, [1, 2, 3, 4, 1, 2], "edge once, level in turn");
    kernel.shutdown(one, Shutdown::Both).unwrap();
    kernel.epoll_modify(set, four, Flags::IN, 4).unwrap();
    let order: Vec<u64> = kernel.all(set).into_iter().map(|(data, _)| data).collect();
    assert_eq!(order, [3, 1, 2], "what is no longer true is not reported");
}

/// Rule 5, one-shot.
#[test]
fn a_fired_one_shot_item_is_silent_even_about_a_hang_up() {
    let (mut kernel, set, one, other) = unix();
    kernel
        .epoll_add(set, one, Flags::OUT | Flags::ONESHOT, 1)
        .unwrap();
    assert_eq!(kernel.all(set).len(), 1);
    kernel.close(other).unwrap();
    assert_eq!(kernel.all(set), []);
    kernel.epoll_modify(set, one, Flags::ONESHOT, 2).unwrap();
    assert_eq!(kernel.all(set), [(2, Flags::HUP)], "unasked");
}

/// Rule 6: writability.
#[test]
fn a_unix_writer_is_notified_when_a_write_is_read_whole() {
    let (mut kernel, set, one, other) = unix();
    kernel.limits_mut().unix_buffer = 4096;
    let mut sent = 0;
    while let Ok(n) = kernel.send(one, &[7; 1000]) {
        sent += n;
    }
    assert_eq!(sent, 3000, "1767 bytes each are charged");
    assert_eq!(kernel.send(one, b"x"), Err(Errno::AGAIN));
    kernel
        .epoll_add(set, one, Flags::OUT | Flags::ET, 1)
        .unwrap();
    assert_eq!(kernel.all(set), []);
    assert_eq!(kernel.received(other, 2500).unwrap().len(), 2500);
    assert_eq!(kernel.all(set), [], "a half-read write takes its room");
    assert_eq!(kernel.unsent(one), Ok(1767));
    assert_eq!(kernel.received(other, 500).unwrap().len(), 500);
    assert_eq!(kernel.all(set), [(1, Flags::OUT)]);
    assert_eq!(kernel.unread(other), Ok(0));
}

/// Rule 6: ends.
#[test]
fn half_close_close_and_reset_of_a_unix_pair() {
    let (mut kernel, _, one, other) = unix();
    kernel.send(one, b"ab").unwrap();
    kernel.shutdown(one, Shutdown::Write).unwrap();
    assert_eq!(
        kernel.poll(other),
        Ok(Flags::IN | Flags::OUT | Flags::RDHUP)
    );
    assert_eq!(kernel.send(one, b"c"), Err(Errno::PIPE));
    assert_eq!(kernel.received(other, 9), Ok(b"ab".to_vec()));
    assert_eq!(kernel.received(other, 9), Ok(vec![]));
    kernel.send(other, b"still").unwrap();
    kernel.close(one).unwrap();
    let gone = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::HUP;
    assert_eq!(
        kernel.poll(other),
        Ok(gone | Flags::ERR),
        "there was unread input"
    );
    assert_eq!(kernel.received(other, 9), Err(Errno::CONNRESET));
    assert_eq!(kernel.received(other, 9), Ok(vec![]), "told once");
    assert_eq!(kernel.poll(other), Ok(gone));
}

/// Rule 7: a reset, and its error once.
#[test]
fn a_tcp_reset_says_all_and_keeps_its_error_for_one() {
    let (mut kernel, set, client, server) = tcp();
    kernel
        .epoll_add(set, server, Flags::IN | Flags::OUT | Flags::RDHUP, 1)
        .unwrap();
    kernel.send(server, b"unread").unwrap();
    kernel.close(client).unwrap();
    let all = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ERR | Flags::HUP;
    assert_eq!(kernel.all(set), [(1, all)]);
    assert_eq!(kernel.received(server, 9), Err(Errno::CONNRESET));
    assert_eq!(kernel.received(server, 9), Ok(vec![]));
    assert_eq!(kernel.send(server, b"x"), Err(Errno::PIPE));
    assert_eq!(
        kernel.shutdown(server, Shutdown::Write),
        Err(Errno::NOTCONN)
    );

    let (mut kernel, _, client, server) = tcp();
    kernel.reset_on_close(client).unwrap();
    kernel.close(client).unwrap();
    assert_eq!(kernel.take_error(server), Ok(Some(Errno::CONNRESET)));
    assert_eq!(kernel.take_error(server), Ok(None));
}

/// Rule 7: an orderly end, both ways.
#[test]
fn tcp_ends_come_after_the_data_and_a_late_send_is_reset() {
    let (mut kernel, set, client, server) = tcp();
    kernel
        .epoll_add(set, server, Flags::IN | Flags::RDHUP | Flags::ET, 1)
        .unwrap();
    kernel.send(client, b"bye").unwrap();
    kernel.close(client).unwrap();
    assert_eq!(
        kernel.all(set),
        [(1, Flags::IN | Flags::RDHUP)],
        "one report"
    );
    assert_eq!(kernel.received(server, 9), Ok(b"bye".to_vec()));
    assert_eq!(kernel.received(server, 9), Ok(vec![]));
    assert_eq!(kernel.send(server, b"to nobody"), Ok(9));
    assert_eq!(kernel.send(server, b"again"), Err(Errno::PIPE));
    assert!(kernel.poll(server).unwrap().contains(Flags::HUP));

    let (mut kernel, _, client, server) = tcp();
    kernel.shutdown(client, Shutdown::Write).unwrap();
    kernel.shutdown(server, Shutdown::Write).unwrap();
    assert_eq!(
        kernel.shutdown(client, Shutdown::Write),
        Err(Errno::NOTCONN),
        "over"
    );
}

/// Rule 7: writability.
#[test]
fn a_tcp_writer_is_notified_when_a_third_is_free_and_it_had_found_the_buffer_full() {
    let (mut kernel, set, client, server) = tcp();
    kernel.limits_mut().tcp_buffer = 900;
    kernel.limits_mut().tcp_window = 300;
    kernel
        .epoll_add(set, client, Flags::OUT | Flags::ET, 1)
        .unwrap();
    assert_eq!(kernel.all(set).len(), 1);
    assert_eq!(kernel.send(client, &[1; 800]), Ok(800));
    assert_eq!(kernel.unsent(client), Ok(500));
    assert_eq!(
        kernel.send(client, &[1; 800]),
        Ok(100),
        "as much as there is room for"
    );
    assert_eq!(kernel.send(client, &[1; 1]), Err(Errno::AGAIN));
    assert_eq!(kernel.received(server, 299).unwrap().len(), 299);
    assert_eq!(kernel.all(set), []);
    assert_eq!(kernel.received(server, 1).unwrap().len(), 1);
    assert_eq!(kernel.all(set), [(1, Flags::OUT)]);
    assert_eq!(kernel.received(server, 600).unwrap().len(), 600);
    assert_eq!(kernel.all(set), [], "nobody had found it full");
}

/// Rule 7: each segment is reported again in edge mode, with all that is true.
#[test]
fn every_segment_is_an_edge() {
    let (mut kernel, set, client, server) = tcp();
    kernel
        .epoll_add(set, server, Flags::IN | Flags::OUT | Flags::ET, 1)
        .unwrap();
    kernel.all(set);
    for _ in 0..2 {
        kernel.send(client, b"x").unwrap();
        assert_eq!(kernel.all(set), [(1, Flags::IN | Flags::OUT)]);
        assert_eq!(kernel.all(set), []);
    }
}

/// Rule 7: the urgent mark ends a receive, and its byte is left out.
#[test]
fn a_receive_ends_at_the_urgent_mark() {
    let (mut kernel, _, client, server) = tcp();
    kernel.send(client, b"ab").unwrap();
    kernel.send_urgent(client, b'c').unwrap();
    kernel.send(client, b"de").unwrap();
    assert_eq!(kernel.poll(server), Ok(Flags::IN | Flags::PRI | Flags::OUT));
    assert_eq!(kernel.unread(server), Ok(2));
    assert_eq!(kernel.received(server, 100), Ok(b"ab".to_vec()));
    assert_eq!(kernel.received(server, 100), Ok(b"de".to_vec()));
    assert_eq!(kernel.poll(server), Ok(Flags::OUT));
    // One that is overtaken before it was reached is a byte like any other.
    kernel.send(client, b"f").unwrap();
    kernel.send_urgent(client, b'g').unwrap();
    kernel.send_urgent(client, b'h').unwrap();
    assert_eq!(kernel.received(server, 100), Ok(b"fg".to_vec()));
}

#[test]
fn connecting_waits_for_the_backlog_is_refused_or_reset() {
    let mut kernel = Kernel::new(Limits::default());
    let listener = kernel.listen(Family::Tcp, 80, 0).unwrap();
    assert_eq!(kernel.listen(Family::Tcp, 80, 0), Err(Errno::EXIST));
    let clients = [(); 3].map(|()| kernel.socket_from(Family::Tcp, None).unwrap());
    let [first, second, third] = clients;
    assert_eq!(
        kernel.poll(first),
        Ok(Flags::OUT | Flags::HUP),
        "not connected"
    );
    for client in clients {
        assert_eq!(kernel.connect(client, 80), Err(Errno::INPROGRESS));
    }
    assert_eq!(kernel.poll(first), Ok(Flags::OUT));
    assert_eq!(kernel.poll(second), Ok(Flags::NONE), "the queue holds one");
    assert_eq!(kernel.connect(second, 80), Err(Errno::ALREADY));
    assert_eq!(kernel.connect(first, 80), Err(Errno::ISCONN));
    let (server, _) = kernel.accept(listener).unwrap();
    assert_eq!(kernel.poll(second), Ok(Flags::OUT), "there is a place");
    kernel.send(first, b"x").unwrap();
    assert_eq!(kernel.received(server, 9), Ok(b"x".to_vec()));
    kernel.close(listener).unwrap();
    assert_eq!(kernel.received(second, 9), Err(Errno::CONNRESET), "queued");
    assert_eq!(
        kernel.take_error(third),
        Ok(Some(Errno::CONNREFUSED)),
        "knocking"
    );
    let late = kernel.socket_from(Family::Tcp, None).unwrap();
    assert_eq!(kernel.connect(late, 80), Err(Errno::INPROGRESS));
    let refused = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ERR | Flags::HUP;
    assert_eq!(kernel.poll(late), Ok(refused));

    let listener = kernel.listen(Family::Unix, 1, 0).unwrap();
    let clients = [(); 2].map(|()| kernel.socket_from(Family::Unix, None).unwrap());
    assert_eq!(kernel.connect(clients[0], 1), Ok(()));
    assert_eq!(kernel.connect(clients[1], 1), Err(Errno::AGAIN));
    assert_eq!(
        kernel.accept(listener).map(|(_, address)| address),
        Ok(None)
    );
    kernel.shutdown(listener, Shutdown::Read).unwrap();
    assert_eq!(kernel.accept(listener), Err(Errno::INVAL));
}

/// A reset that came before the accept is accepted, and found out afterwards.
#[test]
fn what_died_in_the_queue_is_accepted_all_the_same() {
    let mut kernel = Kernel::new(Limits::default());
    let listener = kernel.listen(Family::Tcp, 80, 4).unwrap();
    let client = kernel.socket_from(Family::Tcp, None).unwrap();
    assert_eq!(kernel.connect(client, 80), Err(Errno::INPROGRESS));
    kernel.reset_on_close(client).unwrap();
    kernel.close(client).unwrap();
    let (server, address) = kernel.accept(listener).unwrap();
    assert_eq!(address, Some(ANYBODY));
    assert_eq!(kernel.received(server, 9), Err(Errno::CONNRESET));
    assert_eq!(kernel.received(server, 9), Ok(vec![]));
    assert_eq!(kernel.accept(listener), Err(Errno::AGAIN));
    kernel.limits_mut().descriptors = 2;
    assert_eq!(
        kernel.accept(listener),
        Err(Errno::MFILE),
        "before it looks"
    );
}

/// Rule 8.
#[test]
fn a_fault_is_taken_by_the_call_and_reported_as_if_the_rest_came_later() {
    let (mut kernel, set, client, server) = tcp();
    kernel
        .epoll_add(set, server, Flags::IN | Flags::ET, 1)
        .unwrap();
    kernel.send(client, b"abc").unwrap();
    assert_eq!(kernel.all(set), [(1, Flags::IN)]);
    for fault in [Fault::Errno(Errno::AGAIN), Fault::Short(1)] {
        kernel.faults = Faults::at(0, Call::Recv, fault);
        let expected = match fault {
            Fault::Errno(errno) => Err(errno),
            Fault::Short(_) => Ok(b"a".to_vec()),
        };
        assert_eq!(kernel.received(server, 9), expected);
        assert_eq!(kernel.all(set), [(1, Flags::IN)], "a new edge");
    }
    kernel.faults = Faults::at(0, Call::Close, Fault::Errno(Errno::INTR));
    assert_eq!(kernel.close(server), Err(Errno::INTR));
    assert_eq!(
        kernel.close(server),
        Err(Errno::BADF),
        "closed all the same"
    );
    let failing = |call, errno| Faults::at(0, call, Fault::Errno(errno));
    kernel.faults = failing(Call::EpollAdd, Errno::NOMEM);
    let add = |kernel: &mut Kernel| kernel.epoll_add(set, client, Flags::IN, 1);
    assert_eq!(add(&mut kernel), Err(Errno::NOMEM));
    assert_eq!(add(&mut kernel), Ok(()));
    // The injected error is true.
    kernel.faults = failing(Call::EpollDelete, Errno::NOENT);
    assert_eq!(kernel.epoll_delete(set, client), Err(Errno::NOENT));
    kernel.faults = failing(Call::EpollAdd, Errno::EXIST);
    assert_eq!(add(&mut kernel), Err(Errno::EXIST));
    kernel.faults = failing(Call::EpollModify, Errno::NOENT);
    let modified = kernel.epoll_modify(set, client, Flags::OUT, 1);
    assert_eq!(modified, Err(Errno::NOENT));
    assert_eq!(add(&mut kernel), Ok(()));
}

#[test]
fn a_terminal_talks_until_it_is_hung_up_and_then_fails_for_ever() {
    let mut kernel = Kernel::new(Limits::default());
    let device = kernel.listen(Family::Terminal, 4, 0).unwrap();
    let near = kernel.socket_from(Family::Terminal, None).unwrap();
    assert_eq!(kernel.connect(near, 5), Err(Errno::NOENT));
    kernel.connect(near, 4).unwrap();
    let other = kernel.socket_from(Family::Terminal, None).unwrap();
    assert_eq!(kernel.connect(other, 4), Err(Errno::BUSY));
    let (far, address) = kernel.accept(device).unwrap();
    assert_eq!(address, None);
    assert_eq!(kernel.shutdown(near, Shutdown::Write), Err(Errno::NOTSOCK));
    assert_eq!(kernel.send(near, b"abc"), Ok(3));
    assert_eq!(kernel.unsent(near), Ok(3));
    let mut bytes = [0; 8];
    assert_eq!(kernel.recv(far, &mut bytes), Ok(3));
    assert_eq!(kernel.recv(far, &mut bytes), Err(Errno::AGAIN));
    assert_eq!(kernel.recv(far, &mut []), Ok(0));
    assert_eq!(kernel.send(far, b"the last"), Ok(8));
    kernel.close(far).unwrap();
    // What came before can be read; then as `pty(7)` and Linux 6.18 have it.
    let all = Flags::IN | Flags::OUT | Flags::HUP;
    assert_eq!(kernel.poll(near), Ok(all));
    assert_eq!(kernel.recv(near, &mut bytes), Ok(8));
    assert_eq!(kernel.poll(near), Ok(Flags::OUT | Flags::HUP));
    for _ in 0..2 {
        assert_eq!(kernel.recv(near, &mut bytes), Err(Errno::IO));
        assert_eq!(kernel.send(near, b"x"), Err(Errno::IO));
    }
}
