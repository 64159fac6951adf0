//! The program `tidegate`: a small TCP and Unix server that prints, echoes, discards or passes lines on. `--help` tells
//! what can be set.

mod program;

fn main() -> std::process::ExitCode {
    program::run(std::env::args_os())
}
