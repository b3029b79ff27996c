//! Dependencies run one way: a module uses only modules of its own floor and of those below.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The floor on which each top-level module stands.
const FLOORS: &[(u8, &[&str])] = &[
    (
        0,
        &[
            "address", "caller", "claims", "ids", "time", "tick", "close", "error", "config",
            "memory",
        ],
    ),
    (1, &["wire", "sync"]),
    (2, &["session", "channel", "lobby"]),
    (3, &["room", "handler", "observer"]),
    (4, &["runtime"]),
    (5, &["server", "call", "http", "client", "testing", "bench"]),
];

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map(|(floor, _)| *floor)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without its unit tests, which may look up.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn nothing_looks_up() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    assert!(found.len() > 30, "the files were not found");
    let mut wrong = Vec::new();
    for path in found {
        let inside = path.strip_prefix(&source).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        // A file of unit tests may look up, as they may at the end of a file.
        if module == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let own = floor(module)
            .unwrap_or_else(|| panic!("{} stands on no floor: give it one here", inside.display()));
        for line in code(&path).lines().map(str::trim) {
            let Some(used) = line.strip_prefix("use crate::") else {
                continue;
            };
            let used: String = used
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            // What begins with a capital or a brace is the crate's public face, which only examples and tests use.
            match floor(&used) {
                Some(other) if other <= own => {}
                _ => wrong.push(format!("{}: {line}", inside.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "these look up:\n{}", wrong.join("\n"));
}

#[test]
fn only_one_file_knows_actix_web_actors() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let knowing: Vec<_> = found
        .iter()
        .filter(|path| code(path).contains("actix_web_actors"))
        .map(|path| path.strip_prefix(&source).unwrap().to_owned())
        .collect();
    assert_eq!(knowing, [Path::new("runtime/connection/websocket.rs")]);
}

/// A counted event leaves its owner with the turn and reaches outboxes by the hub alone: so all that a session receives is in the
/// one order in which its thread sent it, and there is one place at which all of it could be held back.
#[test]
fn only_the_hub_puts_counted_events_into_outboxes() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime");
    let mut found = Vec::new();
    files(&source, &mut found);
    let mut pushing = Vec::new();
    for path in found {
        let text = code(&path);
        let pushes = text.matches("send_queue.push(").count();
        let uncounted = text.matches("&Delivery::Plain)").count();
        if pushes > uncounted {
            pushing.push(path.strip_prefix(&source).unwrap().to_owned());
        }
    }
    pushing.sort();
    let hub = [
        "worker/forwarding.rs",
        "worker/hub.rs",
        "worker/hub_items.rs",
    ];
    assert_eq!(pushing, hub.map(PathBuf::from));
}
