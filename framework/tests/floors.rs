//! Dependencies run one way: a module uses only modules of its own floor and of lower floors.
//!
//! The diagrams in `docs/architecture.md` show the same floors, and are compared with the list here.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the crate, the lowest first.
const FLOORS: &[&[&str]] = &[
    &[
        "address", "app_data", "bound", "caller", "claims", "close", "config", "error", "ids",
        "memory", "origin", "tick", "time",
    ],
    &["journal", "sync", "wire"],
    &["channel", "lobby", "matchmaking", "presence", "session"],
    &["handler", "jwt", "observer", "room"],
    &["runtime"],
    &["client", "room_handle", "server_handle", "user_handle"],
    &["call", "follower", "http"],
    &["server"],
    &["bench", "testing"],
];

/// The floors within a module, the lowest first.
const INNER_FLOORS: &[(&str, &[&[&str]])] = &[(
    "runtime",
    &[
        &[
            "authentication",
            "claim_once",
            "contain",
            "ended_rooms",
            "instruction",
            "permit",
            "sign_in",
            "topic",
            "visitor",
            "writes",
        ],
        &[
            "actor_address",
            "channel_outward",
            "hub_address",
            "hub_batches",
            "messages",
            "posts",
        ],
        &[
            "receiver_hubs",
            "room_registry",
            "server_inner",
            "server_journal",
        ],
        &["mail"],
        &["flusher"],
        &["hub_sending"],
        &[
            "channel_shard",
            "connection",
            "listings",
            "lobby",
            "matchmaker",
            "room",
            "room_admission",
            "room_effects",
            "room_inbox",
            "worker",
        ],
    ],
)];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
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

/// The files of the crate, and where they are within it.
fn all_files() -> Vec<(PathBuf, PathBuf)> {
    let source = source();
    let mut found = Vec::new();
    files(&source, &mut found);
    assert!(found.len() > 30, "the files were not found");
    let inside = |path: PathBuf| (path.strip_prefix(&source).unwrap().to_owned(), path);
    found.into_iter().map(inside).collect()
}

/// A file's code: without comments, texts and characters, and without its unit tests, which may use higher floors.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with('"') {
            text_length(rest)
        } else if let Some(hashes) = raw_text(rest, at.checked_sub(1).map(|before| bytes[before])) {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = hashes + 2;
            rest[begin..]
                .find(&end)
                .map_or(rest.len(), |length| begin + length + end.len())
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            0
        };
        let next = rest[skipped..].chars().next();
        code.push_str(if skipped > 0 { " " } else { "" });
        at += skipped;
        if skipped == 0
            && let Some(next) = next
        {
            code.push(next);
            at += next.len_utf8();
        }
    }
    without_unit_tests(&code).to_owned()
}

fn text_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// How many hashes a raw text has that begins here.
fn raw_text(rest: &str, before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|before| before.is_ascii_alphanumeric() || before == b'_') {
        return None;
    }
    let rest = rest.strip_prefix('r')?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn without_unit_tests(code: &str) -> &str {
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]") {
        let mut rest = code[from + at..].trim_start();
        while rest.starts_with("#[") {
            rest = rest[rest.find(']').unwrap() + 1..].trim_start();
        }
        if rest.starts_with("mod tests {") {
            return &code[..from + at];
        }
        from += at + 1;
    }
    code
}

/// The module that a file is, as its path from the crate's root.
fn module_of(inside: &Path) -> Vec<String> {
    let mut module: Vec<_> = inside
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first name of a text, and the rest of the text.
fn first_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
}

/// Every path in some code that begins at the crate's root or at the module itself, with its groups written out.
fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut before = None;
    let mut rest = code;
    while let Some(next) = rest.chars().next() {
        let (name, behind) = first_name(rest);
        if name.is_empty() {
            before = Some(next);
            rest = &rest[next.len_utf8()..];
            continue;
        }
        // `x::self::…` is the middle of a path that was found, and `$crate` is the crate.
        let is_begin = before != Some(':');
        if is_begin && behind.starts_with("::") {
            let base = match name {
                "crate" => Some(Vec::new()),
                "self" => Some(module.to_vec()),
                "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
                _ => None,
            };
            if let Some(base) = base {
                expand(&behind[2..], base, &mut found);
            }
        }
        before = name.chars().last();
        rest = behind;
    }
    found
}

/// Adds the paths that begin with `base` and go on with the tree at the beginning of `tree`. Returns what follows it.
fn expand<'a>(tree: &'a str, mut base: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut group) = tree.strip_prefix('{') {
        loop {
            group = group.trim_start();
            if let Some(rest) = group.strip_prefix('}') {
                return rest;
            }
            let rest = expand(group, base.clone(), found);
            // A name in a group may be followed by `as`.
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            group = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
            if group.is_empty() {
                return group;
            }
        }
    }
    let (name, rest) = first_name(tree);
    match name {
        "super" => drop(base.pop()),
        "" | "self" => {}
        _ => base.push(name.to_owned()),
    }
    match rest.strip_prefix("::") {
        Some(rest) => expand(rest, base, found),
        None => {
            found.push(base);
            rest
        }
    }
}

/// The floor of a path's module among `floors`; `depth` says which of its names counts.
fn floor(floors: &[&[&str]], path: &[String], depth: usize) -> Option<usize> {
    let name = path.get(depth)?.as_str();
    floors.iter().position(|modules| modules.contains(&name))
}

/// Why a module must not use this path; `None` if it may.
fn fault(module: &[String], path: &[String]) -> Option<String> {
    let told = || format!("crate::{}", path.join("::"));
    let own = floor(FLOORS, module, 0)?;
    match floor(FLOORS, path, 0) {
        None => return Some(format!("{} is no module that has a floor", told())),
        Some(other) if other > own => return Some(format!("{} is above", told())),
        Some(_) => {}
    }
    let inner = INNER_FLOORS.iter().find(|(outer, _)| module[0] == *outer);
    let (outer, floors) = inner?;
    if path[0] != *outer || path.len() < 2 {
        return None;
    }
    let own = floor(floors, module, 1)?;
    match floor(floors, path, 1) {
        None => Some(format!("{} is no module that has a floor", told())),
        Some(other) if other > own => Some(format!("{} is above", told())),
        Some(_) => None,
    }
}

#[test]
fn every_module_uses_only_its_own_floor_and_lower_ones() {
    let mut wrong = Vec::new();
    let mut uses = 0;
    for (inside, path) in all_files() {
        let module = module_of(&inside);
        // The crate's root shows all of it, and files of unit tests may use higher floors.
        if module.is_empty() || module.iter().any(|name| name == "tests") {
            continue;
        }
        let told = inside.display();
        assert!(
            floor(FLOORS, &module, 0).is_some(),
            "{told} has no floor: give it one here and in docs/architecture.md"
        );
        for (outer, floors) in INNER_FLOORS {
            assert!(
                module[0] != *outer || module.len() < 2 || floor(floors, &module, 1).is_some(),
                "{told} has no floor within `{outer}`: give it one here and in docs/architecture.md"
            );
        }
        let paths = paths(&code(&fs::read_to_string(&path).unwrap()), &module);
        uses += paths.len();
        let faults = paths.iter().filter_map(|path| fault(&module, path));
        wrong.extend(faults.map(|fault| format!("{told}: {fault}")));
    }
    assert!(uses > 500, "the paths were not found");
    assert!(
        wrong.is_empty(),
        "these use a higher floor:\n{}",
        wrong.join("\n")
    );
}

/// The floors that a diagram of the document shows: lines such as `│ 2 │ session  channel │`, within the code block that follows
/// the mark.
fn shown(document: &str, mark: &str) -> BTreeMap<usize, Vec<String>> {
    let (_, rest) = document.split_once(mark).unwrap();
    let mut blocks = rest.split("```");
    let block = blocks.nth(1).unwrap();
    let mut floors: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for line in block.lines() {
        let mut cells = line.split('│').map(str::trim).skip(1);
        let (Some(number), Some(modules)) = (cells.next(), cells.next()) else {
            continue;
        };
        if let Ok(number) = number.parse() {
            let modules = modules.split_whitespace().map(str::to_owned);
            floors.entry(number).or_default().extend(modules);
        }
    }
    floors
}

fn listed(floors: &[&[&str]]) -> BTreeMap<usize, Vec<String>> {
    let modules = |floor: &&[&str]| floor.iter().map(|module| (*module).to_owned()).collect();
    floors.iter().map(modules).enumerate().collect()
}

#[test]
fn the_architectures_diagrams_show_these_floors() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let document = fs::read_to_string(document).unwrap();
    assert_eq!(shown(&document, "<!-- floors: crate -->"), listed(FLOORS));
    for (outer, floors) in INNER_FLOORS {
        let mark = format!("<!-- floors: {outer} -->");
        assert_eq!(shown(&document, &mark), listed(floors));
    }
}

/// The walk of one inbound message is short enough to be read, and leads to files that exist.
#[test]
fn the_walk_of_a_message_passes_at_most_twelve_files() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, walk) = document
        .split_once("## The walk of one inbound message\n")
        .unwrap();
    let (walk, _) = walk.split_once("\n## ").unwrap();
    let steps: Vec<_> = walk
        .lines()
        .filter_map(|line| line.split_once(". `"))
        .filter(|(number, _)| number.parse::<usize>().is_ok())
        .map(|(_, step)| step.split('`').next().unwrap())
        .collect();
    assert!((2..=12).contains(&steps.len()), "{steps:?}");
    for step in steps {
        assert!(source().join(step).is_file(), "there is no {step}");
    }
}

#[test]
fn only_one_file_knows_actix_web_actors() {
    let knowing: Vec<_> = all_files()
        .into_iter()
        .filter(|(_, path)| code(&fs::read_to_string(path).unwrap()).contains("actix_web_actors"))
        .map(|(inside, _)| inside)
        .collect();
    assert_eq!(knowing, [Path::new("runtime/connection/websocket.rs")]);
}

/// A counted event leaves its owner with the turn and reaches outboxes by the hub alone: so all that a session receives is in the
/// one order in which its thread sent it, and there is one place at which all of it could be held back.
#[test]
fn only_the_hub_puts_counted_events_into_outboxes() {
    let mut pushing = Vec::new();
    for (inside, path) in all_files() {
        if !inside.starts_with("runtime") {
            continue;
        }
        let text = code(&fs::read_to_string(path).unwrap());
        let pushes = text.matches("send_queue.push(").count();
        let uncounted = text.matches("&Delivery::Plain)").count();
        if pushes > uncounted {
            pushing.push(inside);
        }
    }
    pushing.sort();
    let hub = [
        "runtime/worker/forwarding.rs",
        "runtime/worker/hub_items.rs",
    ];
    assert_eq!(pushing, hub.map(PathBuf::from));
}

/// The paths of `code` in the module `a::b`, as text.
fn paths_in(text: &str) -> Vec<String> {
    let module = ["a", "b"].map(str::to_owned);
    let paths = paths(&code(text), &module);
    paths.iter().map(|path| path.join("::")).collect()
}

#[test]
fn paths_are_found_wherever_they_are() {
    let grouped = "use crate::{x::{self, Y as Z}, w::*};\nuse std::fmt;";
    assert_eq!(paths_in(grouped), ["x", "x::Y", "w"]);
    let lines = "pub(crate) use crate::x::{\n    y::{A, B},\n    z,\n};";
    assert_eq!(paths_in(lines), ["x::y::A", "x::y::B", "x::z"]);
    assert_eq!(paths_in("use super::c::D;"), ["a::c::D"]);
    assert_eq!(paths_in("use super::super::c;"), ["c"]);
    assert_eq!(paths_in("use self::c::D;"), ["a::b::c::D"]);
    let inline = "fn f(x: &crate::x::Y<crate::z::W>) { super::c::d() }";
    assert_eq!(paths_in(inline), ["x::Y", "z::W", "a::c::d"]);
    assert_eq!(
        paths_in("macro_rules! m { () => { $crate::x::y() } }"),
        ["x::y"]
    );
}

#[test]
fn comments_texts_and_unit_tests_are_no_code() {
    let text = concat!(
        "//! [`crate::a`]\n/* crate::b */ const C: &str = \"crate::c \\\" crate::d\";\n",
        "const R: &str = r#\"crate::e\"#; const Q: char = '\"';\n",
        "#[cfg(test)]\nfn see() { crate::f::g() }\n",
        "#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests {\n    use crate::h::i;\n}\n",
    );
    assert_eq!(paths_in(text), ["f::g"]);
}

#[test]
fn a_path_to_a_higher_floor_is_a_fault() {
    let names = |path: &str| -> Vec<String> { path.split("::").map(str::to_owned).collect() };
    let fault = |module, path| fault(&names(module), &names(path)).is_some();
    assert!(fault("ids", "wire::frame"));
    assert!(fault("wire::frame", "Server"), "the crate's public face");
    assert!(!fault("wire::frame", "ids::SessionId"));
    assert!(!fault("session::outbox", "session::resume"));
    assert!(fault("runtime::messages", "runtime::worker::hub::Hub"));
    assert!(fault("runtime::mail", "runtime::flusher"));
    assert!(!fault(
        "runtime::worker::hub",
        "runtime::connection::handle"
    ));
    assert!(!fault("runtime::flusher", "runtime::mail::Mail"));
    assert!(!fault("server::builder", "runtime::worker::hub"));
}
