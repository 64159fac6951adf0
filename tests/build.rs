//! Tells the tests which machine they are built for: they build programs for the same one (`process.rs`).
fn main() {
    for name in ["HOST", "TARGET"] {
        println!(
            "cargo:rustc-env={name}={}",
            std::env::var(name).expect("cargo sets it")
        );
    }
    println!("cargo:rerun-if-changed=build.rs");
}
