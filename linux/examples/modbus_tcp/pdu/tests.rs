extern crate alloc;

use super::*;
use alloc::vec::Vec as List;

const OBJECTS: &[Object] = &[
    (0, "vendor"),
    (1, "code"),
    (2, "1.0"),
    (5, "model"),
    (0x80, LONG),
    (0x90, LONG),
    (0xff, "last"),
];
const LONG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
                    0123456789012345678901234567890123456789";

const _: () = assert!(are_sound(OBJECTS) && !are_sound(&[(1, ""), (0, "")]));

fn device() -> Device {
    let sizes = Sizes {
        coils: 2048,
        discrete_inputs: 2048,
        input_registers: 256,
        holding_registers: 256,
    };
    Device::new(sizes, OBJECTS)
}

fn request(function: u8, parts: &[&[u8]]) -> List<u8> {
    [&[function][..], &parts.concat()].concat()
}

fn be(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("short").to_be_bytes()
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("short")
}

/// A request of `function` for so many at `address`, with the bytes that it has to have.
fn asks(function: u8, address: usize, count: usize) -> List<u8> {
    let (address, number) = (be(address), be(count));
    let bytes = |length: usize| [&[byte(length)][..], &vec![0x55; length]].concat();
    match function {
        15 => request(15, &[&address, &number, &bytes(count.div_ceil(8))]),
        16 => request(16, &[&address, &number, &bytes(2 * count)]),
        _ => request(function, &[&address, &number]),
    }
}

#[test]
fn each_function_up_to_its_maximum_and_no_further_and_no_further_than_the_last() {
    // A function, the most that it takes, and how many there are.
    for (function, most, all) in [
        (1, 2000, 2048),
        (2, 2000, 2048),
        (3, 125, 256),
        (4, 125, 256),
        (15, 1968, 2048),
        (16, 123, 256),
    ] {
        let mut device = device();
        for count in 0..=most + 1 {
            let response = device.respond(&asks(function, 0, count));
            let good = (1..=most).contains(&count);
            let expected = if good { function } else { function | 0x80 };
            assert_eq!(response[0], expected, "{function}: {count}");
            assert!(good || response[1..] == [3], "{function}: {count}");
            let length = match function {
                _ if !good => 2,
                1 | 2 => 2 + count.div_ceil(8),
                3 | 4 => 2 + 2 * count,
                _ => 5,
            };
            assert_eq!(response.len(), length, "{function}: {count}");
            if good {
                let last = device.respond(&asks(function, all - count, count));
                assert_eq!(last[0], function, "{function}: the last {count}");
                for beyond in [all - count + 1, all, 0xffff] {
                    let beyond = device.respond(&asks(function, beyond, count));
                    assert_eq!(beyond[..], [function | 0x80, 2], "{function}: {count}");
                }
            }
        }
    }
}

#[test]
fn read_and_write_at_once_writes_first_and_all_or_nothing() {
    let ask = |read: (usize, usize), write: (usize, usize)| {
        let values: List<u8> = (0..2 * write.1).map(byte).collect();
        let (from, to) = (
            [be(read.0), be(read.1)].concat(),
            [be(write.0), be(write.1)].concat(),
        );
        request(23, &[&from, &to, &[byte(values.len())], &values])
    };
    let mut device = device();
    let response = device.respond(&ask((10, 2), (11, 1)));
    assert_eq!(response[..], [23, 4, 0, 0, 0, 1]);
    let response = device.respond(&ask((0, 125), (0, 121)));
    assert_eq!((response[0], response.len()), (23, 252));
    assert_eq!(response[2..244], *(0..242).collect::<List<u8>>());
    for (read, write, why) in [
        ((0, 0), (0, 1), 3),
        ((0, 126), (0, 1), 3),
        ((0, 1), (0, 0), 3),
        ((0, 1), (0, 122), 3),
        ((255, 2), (20, 1), 2),
        ((0, 1), (255, 2), 2),
        ((0xffff, 1), (20, 1), 2),
    ] {
        assert_eq!(
            device.respond(&ask(read, write))[..],
            [23 | 0x80, why],
            "{read:?} {write:?}"
        );
    }
    assert_eq!(
        device.respond(&[3, 0, 20, 0, 1])[..],
        [3, 2, 40, 41],
        "as it was"
    );
}

#[test]
fn a_mask_keeps_bits_and_sets_others() {
    let mut device = device();
    // The example of section 6.16.
    device.respond(&[6, 0, 4, 0, 0x12]);
    let ask = [22, 0, 4, 0, 0xf2, 0, 0x25];
    assert_eq!(device.respond(&ask)[..], ask);
    assert_eq!(device.respond(&[3, 0, 4, 0, 1])[..], [3, 2, 0, 0x17]);
    assert_eq!(device.respond(&[22, 1, 0, 0, 0, 0, 0])[..], [0x96, 2]);
    assert_eq!(device.respond(&[22, 0, 4, 0, 0, 0])[..], [0x96, 3]);
}

#[test]
fn bits_and_registers_are_where_they_were_written() {
    let mut device = device();
    assert_eq!(device.respond(&[5, 0, 9, 0xff, 0])[..], [5, 0, 9, 0xff, 0]);
    assert_eq!(device.respond(&[1, 0, 0, 0, 10])[..], [1, 2, 0, 2]);
    assert_eq!(
        device.respond(&[15, 0, 1, 0, 10, 2, 0xcd, 0x01])[..],
        [15, 0, 1, 0, 10]
    );
    assert_eq!(device.respond(&[1, 0, 0, 0, 12])[..], [1, 2, 0x9a, 0x03]);
    assert_eq!(device.respond(&[5, 0, 9, 0, 0])[..], [5, 0, 9, 0, 0]);
    assert_eq!(device.respond(&[1, 0, 8, 0, 3])[..], [1, 1, 1]);
    assert_eq!(device.respond(&[5, 0, 9, 0, 1])[..], [0x85, 3]);
    assert_eq!(device.respond(&[5, 0, 9, 1, 0])[..], [0x85, 3]);
    assert_eq!(device.respond(&[5, 8, 0, 0xff, 0])[..], [0x85, 2]);
    assert_eq!(
        device.respond(&[16, 0, 254, 0, 2, 4, 1, 2, 3, 4])[..],
        [16, 0, 254, 0, 2]
    );
    assert_eq!(
        device.respond(&[16, 0, 255, 0, 2, 4, 9, 9, 9, 9])[..],
        [0x90, 2]
    );
    assert_eq!(device.respond(&[3, 0, 254, 0, 2])[..], [3, 4, 1, 2, 3, 4]);
    assert_eq!(device.respond(&[6, 1, 0, 0, 0])[..], [0x86, 2]);
    device.input_registers[3] = 0x1234;
    assert_eq!(device.respond(&[4, 0, 3, 0, 1])[..], [4, 2, 0x12, 0x34]);
}

/// Every request of at most two bytes, and each function cut short or with a byte behind it.
#[test]
fn what_is_short_long_or_unknown_is_an_exception() {
    let known = [1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43];
    let mut device = device();
    for function in 0..=u8::MAX {
        let why = if known.contains(&function) { 3 } else { 1 };
        assert_eq!(device.respond(&[function])[..], [function | 0x80, why]);
        for byte in 0..=u8::MAX {
            let why = if function == 43 && byte != 14 { 1 } else { why };
            assert_eq!(
                device.respond(&[function, byte])[..],
                [function | 0x80, why]
            );
        }
    }
    assert_eq!(device.respond(&[])[..], [0x80, 1]);
    for good in [
        &[3, 0, 0, 0, 1][..],
        &[5, 0, 0, 0, 0],
        &[6, 0, 0, 0, 0],
        &[15, 0, 0, 0, 9, 2, 0, 0],
        &[16, 0, 0, 0, 1, 2, 0, 0],
        &[22, 0, 0, 0, 0, 0, 0],
        &[23, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0],
        &[43, 14, 1, 0],
    ] {
        assert_eq!(device.respond(good)[0], good[0]);
        let longer = [good, &[0]].concat();
        for length in (2..longer.len() + 1).filter(|length| *length != good.len()) {
            let response = device.respond(&longer[..length]);
            assert_eq!(
                response[..],
                [good[0] | 0x80, 3],
                "{good:?}, {length} bytes"
            );
        }
    }
    assert_eq!(device.respond(&[15, 0, 0, 0, 9, 1, 0, 0])[..], [0x8f, 3]);
    assert_eq!(device.respond(&[16, 0, 0, 0, 2, 2, 0, 0])[..], [0x90, 3]);
}

/// The numbers of the objects that come, and where to go on.
fn objects(response: &[u8]) -> (List<u8>, Option<u8>) {
    let [43, 14, _, 0x83, more, next, count, rest @ ..] = response else {
        panic!("{response:?}");
    };
    let (mut rest, mut found) = (rest, List::new());
    while let [number, length, after @ ..] = rest {
        found.push(*number);
        rest = &after[usize::from(*length)..];
    }
    assert_eq!(found.len(), usize::from(*count));
    assert!(*more == 0 && *next == 0 || *more == 0xff);
    (found, (*more == 0xff).then_some(*next))
}

#[test]
fn a_device_says_what_it_is_in_as_many_responses_as_it_takes() {
    let mut device = device();
    let mut ask = |code: u8, object: u8| objects(&device.respond(&[43, 14, code, object]));
    assert_eq!(ask(1, 0), (vec![0, 1, 2], None));
    assert_eq!(ask(1, 1), (vec![1, 2], None));
    assert_eq!(
        ask(1, 77),
        (vec![0, 1, 2], None),
        "an unknown one is the first"
    );
    assert_eq!(
        ask(1, 5),
        (vec![0, 1, 2], None),
        "one of another category, too"
    );
    assert_eq!(ask(2, 0), (vec![0, 1, 2, 5], None));
    assert_eq!(ask(3, 0), (vec![0, 1, 2, 5, 0x80], Some(0x90)));
    assert_eq!(ask(3, 0x90), (vec![0x90, 0xff], None));
    assert_eq!(ask(4, 5), (vec![5], None));
    assert_eq!(ask(4, 0xff), (vec![0xff], None));
    assert_eq!(device.respond(&[43, 14, 4, 3])[..], [0xab, 2]);
    assert_eq!(device.respond(&[43, 14, 0, 0])[..], [0xab, 3]);
    assert_eq!(device.respond(&[43, 14, 5, 0])[..], [0xab, 3]);
    assert_eq!(device.respond(&[43, 13, 0, 0])[..], [0xab, 1]);
    assert_eq!(
        device.respond(&[43, 14, 1, 2])[..],
        *b"\x2b\x0e\x01\x83\0\0\x01\x02\x031.0"
    );
}
