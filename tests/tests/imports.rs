//! No file of the core imports, over others, itself: each can be understood after those that it imports.

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The modules that each imports, by their paths: `session/bytes` is `session/bytes.rs`, `session` its `mod.rs`, the
/// empty path `lib.rs`.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The sources below a folder, without those that are there for tests alone.
fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    read(&root, "", &mut sources);
    for (module, text) in sources.clone() {
        let lines = text.lines().zip(text.lines().skip(1));
        for (_, declared) in lines.filter(|(before, _)| *before == "#[cfg(test)]") {
            if let Some((_, name)) = declared.split_once("mod ") {
                let inner = format!("{module}/{}", name.trim_end_matches(';'));
                sources.remove(inner.trim_start_matches('/'));
            }
        }
    }
    assert!(sources.len() > 50, "{} files", sources.len());
    sources
}

fn read(folder: &Path, module: &str, sources: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("UTF-8");
        let inner = match name {
            "lib" | "mod" => module.to_owned(),
            "tests" => continue,
            _ => format!("{module}/{name}")
                .trim_start_matches('/')
                .to_owned(),
        };
        if path.is_dir() {
            read(&path, &inner, sources);
        } else {
            let text = fs::read_to_string(&path).expect("a source");
            sources.insert(inner, without_tests(&text));
        }
    }
}

/// Without comments, and without the module of tests, which is the last of a file.
fn without_tests(text: &str) -> String {
    let (text, _) = text.split_once("\nmod tests {").unwrap_or((text, ""));
    let lines = text.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}

/// The paths that begin with `crate` or `super` in a source, each as its words. Of a list in braces, each is one.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            // `super::super` is found once, and `$crate` is no path of this file.
            if !before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                words(&text[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads a path at the beginning of `text`. Returns what follows it.
fn words<'t>(text: &'t str, path: &mut Vec<&'t str>, found: &mut Vec<Vec<&'t str>>) -> &'t str {
    let depth = path.len();
    let mut rest = text;
    loop {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if !word.is_empty() {
            path.push(word);
        }
        rest = behind;
        if let Some(list) = rest.strip_prefix('{') {
            rest = list.trim_start();
            while !rest.starts_with('}') {
                rest = words(rest, path, found).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
                assert!(!rest.is_empty(), "a list without an end");
            }
            rest = &rest[1..];
        } else if let Some(more) = rest.strip_prefix("::") {
            rest = more;
            continue;
        } else {
            found.push(path.clone());
            rest = rest.strip_prefix('*').unwrap_or(rest);
        }
        path.truncate(depth);
        return rest;
    }
}

/// The module that a path in `module` leads to.
fn target(modules: &BTreeMap<String, String>, module: &str, path: &[&str]) -> String {
    let mut words: Vec<&str> = match path.first() {
        Some(&"super") => module.split('/').collect(),
        _ => Vec::new(),
    };
    for word in path {
        match *word {
            "crate" => words.clear(),
            "super" => drop(words.pop()),
            word => words.push(word),
        }
    }
    while !words.is_empty() && !modules.contains_key(&words.join("/")) {
        words.pop();
    }
    words.join("/")
}

/// What each file imports. A part is one with its files: what is declared in its `mod.rs` is theirs, and the other way.
fn files() -> Graph {
    let sources = sources();
    let within = |outer: &str, inner: &str| {
        (inner.strip_prefix(outer)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut graph = Graph::new();
    for (module, text) in &sources {
        let imports = paths(text).into_iter();
        let imports = imports.map(|path| target(&sources, module, &path));
        let others = imports.filter(|other| !within(other, module) && !within(module, other));
        graph.insert(module.clone(), others.collect());
    }
    // The crate's own file has all parts.
    let parts = sources.keys().filter(|module| !module.contains('/'));
    graph.insert(
        String::new(),
        parts.filter(|part| !part.is_empty()).cloned().collect(),
    );
    graph
}

/// The same of the parts: the files and folders of `src`.
fn parts(files: &Graph) -> Graph {
    let part = |module: &str| module.split('/').next().unwrap_or_default().to_owned();
    let mut graph = Graph::new();
    for (module, imports) in files {
        let of_part = graph.entry(part(module)).or_default();
        let others = imports.iter().map(|other| part(other));
        of_part.extend(others.filter(|other| *other != part(module)));
    }
    graph
}

/// A way from a module to itself.
fn circle(graph: &Graph) -> Option<String> {
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|module| walk(graph, module, &mut Vec::new(), &mut done))
}

fn walk<'g>(
    graph: &'g Graph,
    module: &'g str,
    way: &mut Vec<&'g str>,
    done: &mut BTreeSet<&'g str>,
) -> Option<String> {
    if let Some(at) = way.iter().position(|passed| *passed == module) {
        way.push(module);
        return Some(way[at..].join(" → "));
    }
    if done.contains(module) {
        return None;
    }
    way.push(module);
    let found = graph.get(module).into_iter().flatten();
    let found = found
        .map(String::as_str)
        .find_map(|next| walk(graph, next, way, done));
    if found.is_none() {
        way.pop();
        done.insert(module);
    }
    found
}

#[test]
fn no_file_of_the_core_imports_itself_over_others() {
    let files = files();
    assert_eq!(circle(&files), None, "files");
    assert_eq!(circle(&parts(&files)), None, "parts");
}

#[test]
fn a_circle_is_found() {
    let graph = |arrows: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph
                .entry((*from).into())
                .or_default()
                .insert((*to).into());
        }
        graph
    };
    let straight = [("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")];
    assert_eq!(circle(&graph(&straight)), None);
    let around = [&straight[..], &[("d", "b")]].concat();
    assert_eq!(circle(&graph(&around)).as_deref(), Some("b → c → d → b"));
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let text = without_tests(
        "use crate::a::{b::C, d, e::{F, G}};\nuse super::x::*;\n// use crate::no;\nfn f(_: super::super::Y) {\n\
         crate::z::now() }\n#[cfg(test)]\nmod tests {\nuse crate::tests;",
    );
    let found: Vec<String> = paths(&text).iter().map(|path| path.join(" ")).collect();
    let expected = [
        "crate a b C",
        "crate a d",
        "crate a e F",
        "crate a e G",
        "crate z now",
        "super x",
        "super super Y",
    ];
    assert_eq!(found, expected);
}
