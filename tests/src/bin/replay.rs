//! `cargo run -p tests --bin replay -- FILE`: what the program recorded with `--record` happens again.

fn main() -> std::process::ExitCode {
    tests::replay::main(std::env::args_os())
}
