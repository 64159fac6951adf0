//! Masters that others wrote use every function of the example `modbus_tcp`, up to its maximum.

use std::process::Command;
use tests::bounded::Watchdog;
use tests::clients::python;
use tests::process::{Folder, Program, run_with};

fn start() -> (Program, String) {
    let sizes = [
        "--coils",
        "2048",
        "--discrete-inputs",
        "2048",
        "--input-registers",
        "256",
    ];
    let program = Program::example("modbus_tcp", &sizes);
    let port = program.address().port().to_string();
    (program, port)
}

fn is_content(mut master: Command) {
    let _bound = Watchdog::new();
    let (program, port) = start();
    let ended = run_with(master.arg(&port), b"");
    assert_eq!(ended.output.trim_end(), "all good", "{}", ended.errors);
    assert_eq!(program.stop().code, Some(0));
}

#[test]
#[ignore = "needs mbpoll"]
fn mbpoll() {
    let _bound = Watchdog::new();
    let (program, port) = start();
    let poll = |arguments: &[&str]| {
        let mut command = Command::new("mbpoll");
        command.args(["-m", "tcp", "-p", &port, "-a", "1", "-q"]);
        let ended = run_with(command.args(arguments), b"");
        let said = format!("{arguments:?}: {}{}", ended.output, ended.errors);
        assert_eq!(ended.code, Some(0), "{said}");
        ended.output
    };
    // It writes up to 123 registers, reads up to 125 of anything, and addresses every unit.
    let values: Vec<String> = (1..=123).map(|n| (n * 500).to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    poll(&[&["-r", "11", "127.0.0.1"], &values[..]].concat());
    let said = poll(&["-r", "11", "-c", "125", "-1", "127.0.0.1"]);
    for (n, value) in (11..).zip(&values) {
        // It shows them with a sign, too.
        let line = format!("[{n}]: \t{value}");
        assert!(said.contains(&line), "{line} in {said}");
    }
    let bits: Vec<&str> = (0..123)
        .map(|n| if n % 3 == 0 { "1" } else { "0" })
        .collect();
    poll(&[&["-t", "0", "-r", "5", "127.0.0.1"], &bits[..]].concat());
    let said = poll(&["-t", "0", "-r", "5", "-c", "125", "-1", "127.0.0.1"]);
    for (n, bit) in (5..).zip(bits) {
        assert!(said.contains(&format!("[{n}]: \t{bit}")), "{said}");
    }
    for kind in ["1", "3", "3:int", "4:float"] {
        poll(&["-t", kind, "-r", "1", "-c", "60", "-1", "127.0.0.1"]);
    }
    for unit in ["0", "1", "247", "255"] {
        poll(&["-a", unit, "-r", "1", "-c", "1", "-1", "127.0.0.1"]);
    }
    assert_eq!(program.stop().code, Some(0));
}

/// Each function at its maximum, by the names that these arguments have in that version.
const PYMODBUS: &str = r#"
import sys
from pymodbus.client import ModbusTcpClient
import pymodbus, inspect
client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]))
assert client.connect()
unit = "device_id" if "device_id" in inspect.signature(client.read_coils).parameters else "slave"
values = "values" if "values" in inspect.signature(client.readwrite_registers).parameters else "write_registers"
def good(method, *arguments, **options):
    answer = method(*arguments, **options, **{unit: 1})
    assert not answer.isError(), (method, answer)
    return answer
def fails(code, method, *arguments, **options):
    answer = method(*arguments, **options, **{unit: 1})
    assert answer.isError() and answer.exception_code == code, (method, answer)
bits = [n % 7 < 3 for n in range(2000)]
good(client.write_coils, 0, bits[:1968])
assert good(client.read_coils, 0, count=1968).bits == bits[:1968]
assert len(good(client.read_coils, 48, count=2000).bits) == 2000
assert not any(good(client.read_discrete_inputs, 0, count=2000).bits)
words = [n * 523 % 65536 for n in range(125)]
for count in (121, 122, 123):
    good(client.write_registers, 20, words[:count])
    assert good(client.read_holding_registers, 20, count=count).registers == words[:count]
assert len(good(client.read_holding_registers, 0, count=125).registers) == 125
assert len(good(client.read_input_registers, 0, count=125).registers) == 125
good(client.write_register, 7, 4711)
good(client.write_coil, 1, True)
assert good(client.read_holding_registers, 7, count=1).registers == [4711]
good(client.mask_write_register, address=7, and_mask=0xff00, or_mask=0x0042)
assert good(client.read_holding_registers, 7, count=1).registers == [4711 & 0xff00 | 0x42]
both = good(client.readwrite_registers, read_address=0, read_count=125, write_address=0, **{values: words[:121]})
assert both.registers[:121] == words[:121]
fails(2, client.read_holding_registers, 250, count=10)
fails(2, client.readwrite_registers, read_address=250, read_count=10, write_address=0, **{values: [1]})
assert good(client.read_holding_registers, 0, count=1).registers == words[:1]
# That of Debian has no name for it.
if hasattr(client, "read_device_information"):
    found, object_id = {}, 0
    while True:
        part = good(client.read_device_information, read_code=3, object_id=object_id)
        found.update(part.information)
        if part.more_follows == 0:
            break
        object_id = part.next_object_id
    assert found[0] == b"tidegate" and found[1] == b"modbus_tcp" and sorted(found) == [0, 1, 2, 4, 5, 6, 0x80, 0x81], found
    assert good(client.read_device_information, read_code=4, object_id=5).information == {5: b"example"}
    assert sorted(good(client.read_device_information, read_code=1).information) == [0, 1, 2]
client.close()
print("all good")
"#;

#[test]
#[ignore = "needs .ci/clients"]
fn pymodbus() {
    is_content(python(PYMODBUS));
}

#[test]
#[ignore = "needs python3-pymodbus, python3-serial-asyncio"]
fn pymodbus_of_debian() {
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PYMODBUS]);
    is_content(python);
}

/// libmodbus knows the maximum of each function, and requests no more.
const LIBMODBUS: &str = r#"
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#define GOOD(call, n) if ((call) != (n)) { fprintf(stderr, "%s: %s\n", #call, modbus_strerror(errno)); return 1; }
#define FAILS(call, why) if ((call) != -1 || errno != (why)) { fprintf(stderr, "%s: %s\n", #call, modbus_strerror(errno)); return 1; }
static uint8_t bits[MODBUS_MAX_READ_BITS], read_bits[MODBUS_MAX_READ_BITS];
static uint16_t words[MODBUS_MAX_READ_REGISTERS], read_words[MODBUS_MAX_READ_REGISTERS];
int main(int argc, char **argv) {
    modbus_t *master = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0);
    for (int n = 0; n < MODBUS_MAX_READ_BITS; n++) bits[n] = n % 5 == 0;
    for (int n = 0; n < MODBUS_MAX_READ_REGISTERS; n++) words[n] = n * 523;
    modbus_set_slave(master, 1);
    GOOD(modbus_connect(master), 0)
    GOOD(modbus_write_bits(master, 0, MODBUS_MAX_WRITE_BITS, bits), MODBUS_MAX_WRITE_BITS)
    GOOD(modbus_read_bits(master, 0, MODBUS_MAX_READ_BITS, read_bits), MODBUS_MAX_READ_BITS)
    for (int n = 0; n < MODBUS_MAX_WRITE_BITS; n++) if (read_bits[n] != bits[n]) return 2;
    GOOD(modbus_read_input_bits(master, 0, MODBUS_MAX_READ_BITS, read_bits), MODBUS_MAX_READ_BITS)
    GOOD(modbus_write_registers(master, 3, MODBUS_MAX_WRITE_REGISTERS, words), MODBUS_MAX_WRITE_REGISTERS)
    GOOD(modbus_read_registers(master, 3, MODBUS_MAX_READ_REGISTERS, read_words), MODBUS_MAX_READ_REGISTERS)
    for (int n = 0; n < MODBUS_MAX_WRITE_REGISTERS; n++) if (read_words[n] != words[n]) return 3;
    GOOD(modbus_read_input_registers(master, 0, MODBUS_MAX_READ_REGISTERS, read_words), MODBUS_MAX_READ_REGISTERS)
    GOOD(modbus_write_and_read_registers(master, 9, MODBUS_MAX_WR_WRITE_REGISTERS, words, 9, MODBUS_MAX_WR_READ_REGISTERS, read_words), MODBUS_MAX_WR_READ_REGISTERS)
    for (int n = 0; n < MODBUS_MAX_WR_WRITE_REGISTERS; n++) if (read_words[n] != words[n]) return 4;
    GOOD(modbus_write_bit(master, 7, 1), 1)
    GOOD(modbus_write_register(master, 7, 0x12), 1)
    GOOD(modbus_mask_write_register(master, 7, 0xf2, 0x25), 1)
    GOOD(modbus_read_registers(master, 7, 1, read_words), 1)
    if (read_words[0] != 0x17) return 5;
    FAILS(modbus_report_slave_id(master, sizeof bits, read_bits), EMBXILFUN)
    FAILS(modbus_read_registers(master, 250, 10, read_words), EMBXILADD)
    GOOD(modbus_read_registers(master, 7, 1, read_words), 1)
    modbus_close(master);
    modbus_free(master);
    puts("all good");
    return 0;
}
"#;

#[test]
#[ignore = "needs gcc, libmodbus-dev"]
fn libmodbus() {
    let folder = Folder::new("libmodbus");
    let (source, program) = (folder.path("master.c"), folder.path("master"));
    std::fs::write(&source, LIBMODBUS).expect("written");
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-Wall",
        "-Werror",
        "-I/usr/include/modbus",
        &source,
        "-o",
        &program,
    ]);
    let ended = run_with(gcc.arg("-lmodbus"), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    is_content(Command::new(program));
}
