//! The program `tidegate`: a small TCP and Unix server that prints, echoes, discards or forwards lines. `--help` lists
//! the options.

mod program;

fn main() -> std::process::ExitCode {
    program::run(std::env::args_os())
}
