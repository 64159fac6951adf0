//! A scene as the text of a test.

use super::Scene;
use super::parts::{Code, SETUP, fields};
use super::peer::{Script, Step};
use crate::faults::Faults;
use alloc::format;
use alloc::string::String;

pub(super) fn test(scene: &Scene, memory: &str, handler: &str) -> String {
    let mut setup = fields(&scene.setup, SETUP, 8);
    let faults = scene.setup.faults.code();
    if faults != Faults::none().code() {
        setup += &format!("        faults: {faults},\n");
    }
    let setup = if setup.is_empty() {
        String::from("sim::Setup::default()")
    } else {
        format!("sim::Setup {{\n{setup}        ..sim::Setup::default()\n    }}")
    };
    let scripts = scene.scripts.iter().map(script);
    let scripts: String = scripts
        .map(|script| format!("    world.add({script});\n"))
        .collect();
    format!(
        "#[test]
fn shrunk() {{
    use tidegate_core::*;
    use tidegate_sim as sim;
    let mut memory = {memory};
    let setup = {setup};
    let mut world = sim::World::new(&mut memory, &setup, {handler}).unwrap();
{scripts}    world.settle().unwrap();
}}
"
    )
}

fn script(script: &Script) -> String {
    let steps: String = script.steps.iter().map(step).collect();
    format!("sim::Script::new(){steps}")
}

fn step(step: &Step) -> String {
    match step {
        Step::Send(sent) => format!(".send({})", bytes(sent)),
        Step::Urgent(byte) => format!(".send_urgent({byte})"),
        Step::Segments(n) => format!(".segments({n})"),
        Step::Expect(n) => format!(".expect({n})"),
        Step::Wait(length) => format!(".wait({})", length.code()),
        Step::Reading(true) => String::from(".resume()"),
        Step::Reading(false) => String::from(".stall()"),
        Step::Vanish => String::from(".vanish()"),
        Step::Finish => String::from(".finish()"),
        Step::Reset => String::from(".reset()"),
        Step::Close => String::from(".close()"),
    }
}

fn bytes(bytes: &[u8]) -> String {
    match bytes.first() {
        Some(first) if bytes.len() > 8 && bytes.iter().all(|byte| byte == first) => {
            format!("&[{first}; {}]", bytes.len())
        }
        _ => format!("b\"{}\"", bytes.escape_ascii()),
    }
}
