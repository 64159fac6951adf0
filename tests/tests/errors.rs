//! There are eight types of errors in the core and the library, and no public function returns another.

use std::fs;
use std::path::Path;

/// One for each kind of thing that fails, so that a caller has few to match.
const ERRORS: [&str; 8] = [
    "AddressError",
    "ConfigError",
    "DecodeError",
    "Error",
    "FrameError",
    "Refusal",
    "SendError",
    "Unavailable",
];

/// What else stands in a public result: the kernel's own number, and the value that a queue did not take.
const OTHERS: [&str; 2] = ["Errno", "T"];

/// The sources of the core and of the library, without tests and the program.
fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    read(&root.join("core/src"), &mut found);
    read(&root.join("linux/tidegate/src"), &mut found);
    assert!(found.len() > 100, "{} files", found.len());
    found
}

fn read(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        match name.expect("UTF-8") {
            "tests" => {}
            _ if path.is_dir() => read(&path, found),
            _ => {
                let text = fs::read_to_string(&path).expect("a source");
                let (code, _) = text.split_once("\nmod tests {").unwrap_or((&text, ""));
                found.push(code.to_owned());
            }
        }
    }
}

/// The names of what implements `core::error::Error`.
fn implemented(text: &str) -> impl Iterator<Item = &str> {
    let found = text.split("impl core::error::Error for ").skip(1);
    found.map(|rest| rest.split_whitespace().next().expect("a name"))
}

/// The errors of the public functions whose result is written out.
fn returned(text: &str) -> Vec<&str> {
    let functions = ["pub fn ", "pub const fn ", "pub unsafe fn "]
        .iter()
        .flat_map(|start| text.split(start).skip(1));
    let mut found = Vec::new();
    for function in functions {
        let signature = function.split(['{', ';']).next().unwrap_or_default();
        let Some((_, result)) = signature.split_once("-> Result<") else {
            continue;
        };
        let result = result.trim().trim_end_matches(|c: char| c != '>');
        let result = result.strip_suffix('>').unwrap_or(result);
        let result = result.trim_end().trim_end_matches(',');
        let (_, error) = result.rsplit_once(',').unwrap_or(("", result));
        found.push(error.trim());
    }
    found
}

#[test]
fn there_are_eight_and_no_function_returns_another() {
    let sources = sources();
    let mut errors: Vec<_> = sources.iter().flat_map(|text| implemented(text)).collect();
    errors.sort_unstable();
    assert_eq!(errors, ERRORS);
    let returned: Vec<_> = sources.iter().flat_map(|text| returned(text)).collect();
    assert!(returned.contains(&"SendError"), "{returned:?}");
    let strange: Vec<_> = (returned.into_iter())
        .filter(|name| !ERRORS.contains(name) && !OTHERS.contains(name))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn results_are_read_as_the_compiler_reads_them() {
    let text = "pub fn a(&self) -> Result<(Token, Option<u32>), AError> {\n} pub(crate) fn b() -> Result<(), B> { }\n\
                pub const fn c(\n    x: u8,\n) -> Result<\n    u8,\n    CError,\n>\nwhere\n    T: Copy {\n} pub fn d() -> bool {";
    assert_eq!(returned(text), ["AError", "CError"]);
    let text = "impl core::error::Error for A {}\nimpl core::error::Error for B<'_> {";
    assert_eq!(implemented(text).collect::<Vec<_>>(), ["A", "B<'_>"]);
}
