//! A copy of the sources, for what must be built wrong: no source that a product is built from contains a wrong version.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// What of the project the tests need.
const SOURCES: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "core",
    "linux",
    "tests",
    "fuzz/corpus",
];

/// Where the sources are.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Copies the sources as they are, next to what was built from them last time.
///
/// # Errors
///
/// A file cannot be read or written.
pub fn sources(to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("fuzz"))?;
    (SOURCES.iter()).try_for_each(|name| copy(&root().join(name), &to.join(name)))
}

/// Copies the files that differ, so that the others are not built again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            if name != "target" {
                copy(&from.join(&name), &to.join(&name))?;
            }
        }
        return Ok(());
    }
    write(to, &fs::read(from)?)
}

/// Writes a file, unless it is the same already.
///
/// # Errors
///
/// As [`fs::write`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    fs::write(path, bytes)
}
