//! Intrusive FIFOs: the free list, the run queues and the deadline classes.
//!
//! The links lie in the members, so a queue cannot overflow and needs no capacity; a member can be taken out of the
//! middle. Every operation touches at most three members.

/// No member.
pub(crate) const NONE: u32 = u32::MAX;

/// The neighbours of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

impl Link {
    pub(crate) const NONE: Self = Self {
        prev: NONE,
        next: NONE,
    };
}

/// Where a kind of queue keeps its links.
pub(crate) trait Linked {
    fn link(&mut self, index: u32) -> &mut Link;

    /// Takes the link of a member that leaves.
    fn unlink(&mut self, index: u32) -> Link {
        core::mem::replace(self.link(index), Link::NONE)
    }
}

/// The ends of a queue, and how many members it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Queue {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
        len: 0,
    };

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.head == NONE
    }

    pub(crate) const fn head(&self) -> Option<u32> {
        if self.is_empty() {
            None
        } else {
            Some(self.head)
        }
    }

    /// The last member; [`NONE`]: there is none.
    pub(crate) const fn tail(&self) -> u32 {
        self.tail
    }

    /// Appends a member, which stands in no queue of this kind.
    pub(crate) fn push(&mut self, members: &mut impl Linked, index: u32) {
        if let Some(last) = self.append(members.link(index), index) {
            members.link(last).next = index;
        }
    }

    /// The same for who holds the member's link: the one that was last, to which the new one is the `next`.
    pub(crate) const fn append(&mut self, link: &mut Link, index: u32) -> Option<u32> {
        let last = core::mem::replace(&mut self.tail, index);
        *link = Link {
            prev: last,
            next: NONE,
        };
        // Fewer than 2³¹ slots leave the bit free that selects the table.
        self.len = self.len.wrapping_add(1);
        if last == NONE {
            self.head = index;
            None
        } else {
            Some(last)
        }
    }

    /// Puts a member, which stands in no queue of this kind, behind another; [`NONE`]: at the head.
    pub(crate) fn insert(&mut self, members: &mut impl Linked, index: u32, prev: u32) {
        let next = if prev == NONE {
            self.head
        } else {
            members.link(prev).next
        };
        *members.link(index) = Link { prev, next };
        if prev == NONE {
            self.head = index;
        } else {
            members.link(prev).next = index;
        }
        if next == NONE {
            self.tail = index;
        } else {
            members.link(next).prev = index;
        }
        self.len = self.len.saturating_add(1);
    }

    /// Takes a member out, which stands in this queue.
    pub(crate) fn remove(&mut self, members: &mut impl Linked, index: u32) {
        let Link { prev, next } = members.unlink(index);
        if prev == NONE {
            self.head = next;
        } else {
            members.link(prev).next = next;
        }
        if next == NONE {
            self.tail = prev;
        } else {
            members.link(next).prev = prev;
        }
        self.len = self.len.saturating_sub(1);
    }

    /// Takes the first member.
    pub(crate) fn pop(&mut self, members: &mut impl Linked) -> Option<u32> {
        let first = self.head()?;
        let Link { next, .. } = members.unlink(first);
        self.head = next;
        if next == NONE {
            self.tail = NONE;
        } else {
            members.link(next).prev = NONE;
        }
        self.len = self.len.wrapping_sub(1);
        Some(first)
    }
}

/// A queue in two parts: sources with priority, in order, then the others, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parted {
    all: Queue,
    /// How many go first, and the last of them.
    first: u32,
    last_first: u32,
}

impl Parted {
    pub(crate) const EMPTY: Self = Self {
        all: Queue::EMPTY,
        first: 0,
        last_first: NONE,
    };

    /// Both parts.
    pub(crate) const fn all(&self) -> &Queue {
        &self.all
    }

    /// How many go first.
    pub(crate) const fn first_len(&self) -> u32 {
        self.first
    }

    pub(crate) const fn others_len(&self) -> u32 {
        self.all.len.saturating_sub(self.first)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Appends a member to the others: see [`Queue::append`].
    pub(crate) const fn append(&mut self, link: &mut Link, index: u32) -> Option<u32> {
        self.all.append(link, index)
    }

    /// The same by its index.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn push(&mut self, members: &mut impl Linked, index: u32) {
        self.all.push(members, index);
    }

    /// Appends a member to those that go first.
    pub(crate) fn push_first(&mut self, members: &mut impl Linked, index: u32) {
        self.all.insert(members, index, self.last_first);
        self.last_first = index;
        self.first = self.first.saturating_add(1);
    }

    /// Takes a member out, which stands among the others.
    pub(crate) fn remove(&mut self, members: &mut impl Linked, index: u32) {
        self.all.remove(members, index);
    }

    /// Takes a member out, which stands among those that go first.
    #[inline(never)]
    pub(crate) fn remove_first(&mut self, members: &mut impl Linked, index: u32) {
        if self.last_first == index {
            self.last_first = members.link(index).prev;
        }
        self.first = self.first.saturating_sub(1);
        self.all.remove(members, index);
    }

    /// Takes the first of the others.
    pub(crate) fn pop(&mut self, members: &mut impl Linked) -> Option<u32> {
        if self.first == 0 {
            return self.all.pop(members);
        }
        let next = members.link(self.last_first).next;
        if next == NONE {
            return None;
        }
        self.all.remove(members, next);
        Some(next)
    }

    /// Takes the first of those that go first.
    pub(crate) fn pop_first(&mut self, members: &mut impl Linked) -> Option<u32> {
        let first = (self.first > 0).then_some(self.all.head)?;
        self.remove_first(members, first);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    struct Plain([Link; 5]);

    impl Linked for Plain {
        fn link(&mut self, index: u32) -> &mut Link {
            &mut self.0[index as usize]
        }
    }

    fn filled() -> (Queue, Plain) {
        let (mut queue, mut members) = (Queue::EMPTY, Plain([Link::NONE; 5]));
        for index in 0..5 {
            queue.push(&mut members, index);
        }
        (queue, members)
    }

    fn drain(mut queue: Queue, mut members: Plain) -> Vec<u32> {
        let mut seen = Vec::new();
        while let Some(index) = queue.pop(&mut members) {
            seen.push(index);
        }
        assert_eq!(queue.len(), 0);
        assert!(members.0.iter().all(|link| *link == Link::NONE));
        seen
    }

    #[test]
    fn first_in_first_out() {
        let (queue, members) = filled();
        assert_eq!(queue.len(), 5);
        assert_eq!(drain(queue, members), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn any_member_can_leave_and_come_back() {
        for leaving in 0..5 {
            let (mut queue, mut members) = filled();
            queue.remove(&mut members, leaving);
            queue.push(&mut members, leaving);
            let mut expected: Vec<u32> = (0..5).filter(|index| *index != leaving).collect();
            expected.push(leaving);
            assert_eq!(drain(queue, members), expected);
        }
    }

    /// Against two lists, with members that leave from anywhere.
    #[test]
    fn each_part_is_a_queue_of_its_own() {
        for mut story in 0..6u32.pow(6) {
            let (mut queue, mut members) = (Parted::EMPTY, Plain([Link::NONE; 5]));
            let mut parts: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
            for step in 0..6 {
                let (what, kind) = (story % 6, story % 2);
                story /= 6;
                let (part, first) = (&mut parts[kind as usize], kind == 0);
                match what / 2 {
                    0 if step < 5 => {
                        match first {
                            true => queue.push_first(&mut members, step),
                            false => queue.push(&mut members, step),
                        }
                        part.push(step);
                    }
                    1 if !part.is_empty() => {
                        let index = part.remove(part.len() / 2);
                        match first {
                            true => queue.remove_first(&mut members, index),
                            false => queue.remove(&mut members, index),
                        }
                    }
                    _ => {
                        let expected = (!part.is_empty()).then(|| part.remove(0));
                        let popped = match first {
                            true => queue.pop_first(&mut members),
                            false => queue.pop(&mut members),
                        };
                        assert_eq!(popped, expected);
                    }
                }
                assert_eq!(queue.first_len() as usize, parts[0].len());
                assert_eq!(queue.others_len() as usize, parts[1].len());
                assert_eq!(queue.is_empty(), parts.iter().all(Vec::is_empty));
            }
            assert_eq!(drain(queue.all, members), parts.concat());
        }
    }
}
