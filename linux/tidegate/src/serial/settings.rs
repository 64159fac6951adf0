//! What a line is to be set to, and what is made of what its driver has taken: pure, so that every driver can be tried.

use super::{Bits, Flow, Parity, Serial};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios,
};
use tidegate_core::Ignored;

/// Every special code there is on Linux: each is set.
const CODES: [SpecialCodeIndex; 17] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VTIME,
    SpecialCodeIndex::VMIN,
    SpecialCodeIndex::VSWTC,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VDISCARD,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
    SpecialCodeIndex::VEOL2,
];

/// XON and XOFF (`ascii(7)`).
const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

/// The bits that both ends of a line must agree on.
const SIZE: ControlModes = ControlModes::CSIZE;
const PARITY: ControlModes = ControlModes::PARENB
    .union(ControlModes::PARODD)
    .union(ControlModes::CMSPAR);
const SOFTWARE: InputModes = InputModes::IXON
    .union(InputModes::IXOFF)
    .union(InputModes::IXANY);

/// The driver makes a speed that is more than 3 % off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WrongSpeed(pub(super) u32);

/// Sets every flag, code and speed in `termios`, whatever is in there.
pub(super) fn set(serial: &Serial<'_>, termios: &mut Termios) -> rustix::io::Result<()> {
    use ControlModes as C;
    termios.local_modes = LocalModes::empty();
    termios.output_modes = OutputModes::empty();
    termios.input_modes = match serial.flow {
        Flow::Software => InputModes::IXON | InputModes::IXOFF,
        Flow::None | Flow::Hardware => InputModes::empty(),
    };
    let checks = serial.parity != Parity::None;
    termios.input_modes.set(InputModes::INPCK, checks);
    termios.control_modes = C::CREAD | C::CLOCAL;
    termios.control_modes |= match serial.bits {
        Bits::Five => C::CS5,
        Bits::Six => C::CS6,
        Bits::Seven => C::CS7,
        Bits::Eight => C::CS8,
    };
    termios.control_modes |= match serial.parity {
        Parity::None => C::empty(),
        Parity::Even => C::PARENB,
        Parity::Odd => C::PARENB | C::PARODD,
        Parity::Mark => C::PARENB | C::PARODD | C::CMSPAR,
        Parity::Space => C::PARENB | C::CMSPAR,
    };
    let hardware = serial.flow == Flow::Hardware;
    termios.control_modes.set(C::CSTOPB, serial.two_stop_bits);
    termios.control_modes.set(C::CRTSCTS, hardware);
    termios.control_modes.set(C::HUPCL, serial.hang_up);
    for code in CODES {
        termios.special_codes[code] = 0;
    }
    termios.special_codes[SpecialCodeIndex::VMIN] = 1;
    termios.special_codes[SpecialCodeIndex::VSTART] = XON;
    termios.special_codes[SpecialCodeIndex::VSTOP] = XOFF;
    // Last: the bits of the speeds (CBAUD, CIBAUD) stand among the control modes.
    termios.set_speed(serial.speed)
}

/// What of `wanted` is not in `taken`, which a driver has made of it. `termios(3)`: it is a success if any of it was taken.
pub(super) fn compare(wanted: &Termios, taken: &Termios) -> Result<Ignored, WrongSpeed> {
    let speed = taken.output_speed();
    if !is_near(speed, wanted.output_speed()) {
        return Err(WrongSpeed(speed));
    }
    let control = wanted.control_modes ^ taken.control_modes;
    let input = wanted.input_modes ^ taken.input_modes;
    // 0: the same as that of output.
    let same = taken.input_speed() == 0 || is_near(taken.input_speed(), wanted.input_speed());
    let reads = taken.special_codes[SpecialCodeIndex::VMIN] == 1
        && taken.special_codes[SpecialCodeIndex::VTIME] == 0;
    let raw = input.difference(SOFTWARE | InputModes::INPCK).is_empty()
        && wanted.local_modes == taken.local_modes
        && wanted.output_modes == taken.output_modes
        && reads
        && !control.intersects(ControlModes::CREAD | ControlModes::CLOCAL);
    let flow = control.contains(ControlModes::CRTSCTS) || input.intersects(SOFTWARE);
    Ok(Ignored::DATA_BITS.when(control.intersects(SIZE))
        | Ignored::PARITY.when(control.intersects(PARITY))
        | Ignored::STOP_BITS.when(control.contains(ControlModes::CSTOPB))
        | Ignored::FLOW_CONTROL.when(flow)
        | Ignored::INPUT_SPEED.when(!same)
        | Ignored::HANG_UP.when(control.contains(ControlModes::HUPCL))
        | Ignored::RAW.when(!raw))
}

/// Whether a speed is within 3 % of the requested one: then ten bits come through.
fn is_near(speed: u32, asked: u32) -> bool {
    u64::from(speed.abs_diff(asked)) * 100 <= u64::from(asked) * 3
}

#[cfg(test)]
mod tests {
    extern crate alloc;

    use super::*;
    use alloc::string::ToString;
    use rustix::termios::tcgetattr;

    /// The settings of a new terminal.
    fn fresh() -> Termios {
        let master = std::fs::File::open("/dev/ptmx").expect("a terminal");
        tcgetattr(&master).expect("settings")
    }

    /// The same with the settings of `serial`.
    fn set_to(serial: &Serial<'_>) -> Termios {
        let mut termios = fresh();
        set(serial, &mut termios).expect("settable");
        termios
    }

    /// A line with everything unusual.
    const ODD: Serial<'_> = Serial {
        speed: 250_000,
        bits: Bits::Seven,
        parity: Parity::Mark,
        two_stop_bits: true,
        flow: Flow::Hardware,
        ..Serial::at("x")
    };

    const FRAME: ControlModes = SIZE
        .union(PARITY)
        .union(ControlModes::CSTOPB)
        .union(ControlModes::CRTSCTS);

    #[test]
    fn every_setting_is_set() {
        use ControlModes as C;
        let plain = set_to(&Serial::at("x"));
        assert_eq!(plain.control_modes & FRAME, C::CS8);
        assert!(
            plain
                .control_modes
                .contains(C::CREAD | C::CLOCAL | C::HUPCL)
        );
        assert_eq!((plain.input_speed(), plain.output_speed()), (9600, 9600));
        assert_eq!(plain.special_codes[SpecialCodeIndex::VMIN], 1);
        assert!(plain.local_modes.is_empty() && plain.output_modes.is_empty());
        let odd = set_to(&ODD);
        let expected = C::CS7 | C::PARENB | C::PARODD | C::CMSPAR | C::CSTOPB | C::CRTSCTS;
        assert_eq!(odd.control_modes & FRAME, expected);
        assert_eq!(odd.output_speed(), 250_000, "no speed of the old list");
        assert_eq!(odd.input_modes, InputModes::INPCK);
        for (parity, expected) in [
            (Parity::None, C::empty()),
            (Parity::Even, C::PARENB),
            (Parity::Odd, C::PARENB | C::PARODD),
            (Parity::Mark, C::PARENB | C::PARODD | C::CMSPAR),
            (Parity::Space, C::PARENB | C::CMSPAR),
        ] {
            let serial = Serial {
                bits: Bits::Five,
                parity,
                flow: Flow::Software,
                hang_up: false,
                ..Serial::at("x")
            };
            let set = set_to(&serial);
            assert_eq!(set.control_modes & FRAME, expected | C::CS5);
            assert!(
                set.input_modes
                    .contains(InputModes::IXON | InputModes::IXOFF)
            );
            assert!(!set.control_modes.contains(C::HUPCL));
        }
    }

    #[test]
    fn nothing_of_a_former_program_stays() {
        let mut left = fresh();
        left.input_modes = InputModes::from_bits_retain(!0);
        left.output_modes = OutputModes::from_bits_retain(!0);
        left.local_modes = LocalModes::from_bits_retain(!0);
        for code in CODES {
            left.special_codes[code] = 7;
        }
        left.set_speed(1_234_567).expect("any");
        left.control_modes = ControlModes::from_bits_retain(!0);
        for serial in [Serial::at("x"), ODD] {
            let (mut over, clean) = (left.clone(), set_to(&serial));
            set(&serial, &mut over).expect("settable");
            assert_eq!(over.input_modes, clean.input_modes);
            assert_eq!(over.output_modes, clean.output_modes);
            assert_eq!(over.local_modes, clean.local_modes);
            assert_eq!(over.control_modes, clean.control_modes);
            assert_eq!(over.output_speed(), clean.output_speed());
            assert_eq!(over.input_speed(), clean.input_speed());
            for code in CODES {
                assert_eq!(over.special_codes[code], clean.special_codes[code]);
            }
        }
    }

    #[test]
    fn a_speed_within_three_percent_is_taken_whatever_made_it() {
        // What CP2104, FTDI, i.MX, 16550 and PL011 make of the requested speeds, and the bound to either side.
        for (asked, made, fits) in [
            (115_200, 115_384, true),
            (115_200, 115_200, true),
            (921_600, 923_076, true),
            (250_000, 250_000, true),
            (230_400, 237_312, true),
            (230_400, 237_313, false),
            (100, 97, true),
            (100, 96, false),
            (115_200, 9_600, false),
            (115_200, 0, false),
            (4_000_000_000, 4_294_967_295, false),
            (u32::MAX, u32::MAX, true),
            (1, 1, true),
            (1, 2, false),
        ] {
            let serial = Serial {
                speed: asked,
                ..Serial::at("x")
            };
            let wanted = set_to(&serial);
            let mut taken = wanted.clone();
            taken.set_speed(made).expect("any");
            let expected = if fits {
                Ok(Ignored::NONE)
            } else {
                Err(WrongSpeed(made))
            };
            assert_eq!(compare(&wanted, &taken), expected, "{made} for {asked}");
        }
    }

    #[test]
    fn what_a_driver_leaves_out_is_named_and_nothing_else_is() {
        use ControlModes as C;
        type Driver = fn(&mut Termios);
        let drivers: [(Driver, &str); 12] = [
            (|_| {}, "nothing"),
            (|t| t.control_modes -= PARITY, "parity"),
            (|t| t.control_modes -= C::CMSPAR, "parity"),
            // A pseudo-terminal: `pty_set_termios`.
            (
                |t| {
                    t.control_modes -= SIZE | C::PARENB;
                    t.control_modes |= C::CS8;
                },
                "data bits, parity",
            ),
            (|t| t.control_modes -= C::CSTOPB, "stop bits"),
            (|t| t.control_modes -= C::CRTSCTS, "flow control"),
            (|t| t.input_modes |= InputModes::IXON, "flow control"),
            (|t| t.control_modes -= C::HUPCL, "hang-up at close"),
            (|t| t.set_input_speed(300).expect("any"), "input speed"),
            (|t| t.set_input_speed(0).expect("any"), "nothing"),
            (|t| t.local_modes |= LocalModes::ECHO, "raw mode"),
            (|t| t.special_codes[SpecialCodeIndex::VMIN] = 0, "raw mode"),
        ];
        for (driver, expected) in drivers {
            let wanted = set_to(&ODD);
            let mut taken = wanted.clone();
            driver(&mut taken);
            let ignored = compare(&wanted, &taken).expect("the speed is right");
            assert_eq!(ignored.to_string(), expected);
        }
    }
}
