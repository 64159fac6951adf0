//! The core has few public types, and each is listed where the crate or one of its modules exports it.

use std::fs;
use std::path::Path;

/// A newcomer meets no more of them; with all features but `inspect`, which only proofs use. The aim is 45.
const MOST: usize = 60;

/// The public modules of the core, by the file that exports their types. `inspect` is for proofs.
const MODULES: [&str; 4] = ["lib.rs", "errno.rs", "framing/mod.rs", "trace/mod.rs"];

fn source(name: &str) -> String {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    fs::read_to_string(core.join(name)).expect(name)
}

/// The types that a file exports: in `pub use`, and, since `errno.rs` has no parts, defined there.
fn exported(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let uses = text.split("\npub use ").skip(1);
    let of_proofs = |before: &str| before.ends_with("#[cfg(feature = \"inspect\")]");
    let mut before = text.split("\npub use ").next().unwrap_or_default();
    for rest in uses {
        if !of_proofs(before) {
            let (names, _) = rest.split_once(';').expect("the end of a use");
            let names = names.split(['{', '}', ',', ':', ' ', '\n']);
            found.extend(names.filter(|name| is_type(name)).map(str::to_owned));
        }
        before = rest;
    }
    for kind in ["struct ", "enum ", "trait ", "type ", "union "] {
        let start = format!("\npub {kind}");
        let defined = text.split(&start).skip(1);
        let end = |c: char| !c.is_alphanumeric();
        found.extend(defined.filter_map(|rest| rest.split(end).next().map(str::to_owned)));
    }
    found
}

/// By the language's own custom: functions and modules begin with a small letter, constants have no small ones.
fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.contains(|c: char| c.is_lowercase())
}

#[test]
fn the_core_has_few() {
    let root = source("lib.rs");
    let modules: Vec<_> = (root.lines())
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(modules, ["errno", "framing", "trace"], "each is counted");
    let mut types: Vec<_> = MODULES
        .iter()
        .flat_map(|name| exported(&source(name)))
        .collect();
    types.sort_unstable();
    assert!(types.contains(&"Dispatcher".into()) && types.contains(&"Errno".into()));
    assert!(types.len() <= MOST, "{}: {types:?}", types.len());
}

#[test]
fn what_is_exported_is_read_as_the_compiler_reads_it() {
    let text = "mod a;\npub use a::{B, C::Dee, E_F, g, Hi};\n#[cfg(feature = \"inspect\")]\npub use a::Image;\npub use Jay;\n\
                #[derive(Debug)]\npub struct Kay<'a>(u8);\npub(crate) struct Ell;\npub type Em = u8;\n";
    assert_eq!(exported(text), ["Dee", "Hi", "Jay", "Kay", "Em"]);
}
