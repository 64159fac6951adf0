//! `EPOLLEXCLUSIVE`, as `epoll_ctl(2)` and Linux 6.18 have it.

use super::*;

#[test]
fn what_may_stand_beside_exclusive_is_registered_and_cannot_be_modified() {
    let may = [
        Flags::NONE,
        Flags::IN,
        Flags::OUT,
        Flags::ERR,
        Flags::HUP,
        Flags::WAKEUP,
        Flags::ET,
        Flags::IN | Flags::OUT | Flags::ET,
    ];
    for mask in may {
        let (mut kernel, set, one, _) = unix();
        let exclusive = mask | Flags::EXCLUSIVE;
        assert_eq!(kernel.epoll_add(set, one, exclusive, 1), Ok(()), "{mask:?}");
        let again = kernel.epoll_add(set, one, exclusive, 1);
        assert_eq!(again, Err(Errno::EXIST));
        for mask in [mask, exclusive] {
            let modified = kernel.epoll_modify(set, one, mask, 2);
            assert_eq!(modified, Err(Errno::INVAL), "{mask:?}");
        }
        let registered: Vec<_> = kernel.registered(set).collect();
        let asked = exclusive - Flags::ERR - Flags::HUP;
        assert_eq!(registered, [(one, asked, 1)], "nothing has changed");
        assert_eq!(kernel.epoll_delete(set, one), Ok(()));
    }
    let must_not = [
        Flags::PRI,
        Flags::RDHUP,
        Flags::ONESHOT,
        Flags::IN | Flags::ONESHOT,
        Flags::from_bits(0x400),
    ];
    for mask in must_not {
        let (mut kernel, set, one, _) = unix();
        let exclusive = mask | Flags::EXCLUSIVE;
        let modified = kernel.epoll_modify(set, one, Flags::EXCLUSIVE, 1);
        assert_eq!(modified, Err(Errno::INVAL), "before it is looked for");
        let added = kernel.epoll_add(set, one, exclusive, 1);
        assert_eq!(added, Err(Errno::INVAL), "{mask:?}");
        assert_eq!(kernel.epoll_add(set, one, mask, 1), Ok(()));
        let again = kernel.epoll_add(set, one, exclusive, 1);
        assert_eq!(again, Err(Errno::INVAL), "before it is looked for");
        let modified = kernel.epoll_modify(set, one, exclusive, 1);
        assert_eq!(modified, Err(Errno::INVAL));
        assert_eq!(kernel.epoll_modify(set, one, mask, 1), Ok(()));
    }
}

#[test]
fn an_exclusive_item_reports_hang_up_and_error_unasked() {
    for how in [Flags::NONE, Flags::ET] {
        let (mut kernel, set, client, server) = tcp();
        let exclusive = how | Flags::EXCLUSIVE;
        kernel.epoll_add(set, server, exclusive, 1).unwrap();
        assert_eq!(kernel.all(set), []);
        kernel.reset_on_close(client).unwrap();
        kernel.close(client).unwrap();
        assert_eq!(kernel.all(set), [(1, Flags::ERR | Flags::HUP)]);
        let level = how.is_empty();
        assert_eq!(kernel.all(set).len(), usize::from(level));
    }
}

/// No caller waits in any of them, so each is notified; the exclusive ones after all others, the earliest first.
#[test]
fn every_set_is_notified_and_exclusive_items_last() {
    let (mut kernel, set, one, other) = unix();
    let another = kernel.epoll_create().unwrap();
    let masks = [
        (1, Flags::IN | Flags::EXCLUSIVE),
        (2, Flags::IN),
        (3, Flags::IN | Flags::EXCLUSIVE),
        (4, Flags::IN),
    ];
    for (data, mask) in masks {
        let copy = kernel.dup(other).unwrap();
        kernel.epoll_add(set, copy, mask, data).unwrap();
        kernel.epoll_add(another, copy, mask, data).unwrap();
    }
    kernel.send(one, b"x").unwrap();
    for set in [set, another] {
        let told = [4, 2, 1, 3].map(|data| (data, Flags::IN));
        assert_eq!(kernel.all(set), told);
    }
}
