//! The documents' links: each names a file that is there, and a heading that it has.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose documents are others'.
const OTHERS: [&str; 3] = ["target", "node_modules", ".git"];

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if !path.is_symlink() && !OTHERS.contains(&&*name) {
                documents(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    for line in prose(text) {
        let title = line.trim_start_matches('#');
        if !line.starts_with('#') || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let repeated = (1..).map(|n| format!("{anchor}-{n}"));
        let mut names = std::iter::once(anchor.clone()).chain(repeated);
        found.insert(names.find(|name| !found.contains(name)).unwrap());
    }
    found
}

/// What the links of a line lead to; what stands in backquotes is no link.
fn links(line: &str) -> Vec<&str> {
    let text: Vec<&str> = line.split('`').step_by(2).collect();
    let starts = text.iter().flat_map(|text| text.split("](").skip(1));
    starts.filter_map(|rest| rest.split(')').next()).collect()
}

fn mistake(document: &Path, text: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = document.parent().unwrap().join(file);
    if !file.is_empty() && !path.exists() {
        return Some(format!(
            "{}: {link}: there is no such file",
            document.display()
        ));
    }
    if anchor.is_empty() {
        return None;
    }
    let there = if file.is_empty() {
        text.to_owned()
    } else {
        fs::read_to_string(path).unwrap()
    };
    let is_known = anchors(&there).contains(anchor);
    (!is_known).then(|| format!("{}: {link}: there is no such heading", document.display()))
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    documents(root, &mut found);
    assert!(found.len() > 10, "the documents are elsewhere");
    let mut mistakes = Vec::new();
    for document in found {
        let text = fs::read_to_string(&document).unwrap();
        for line in prose(&text) {
            mistakes.extend(
                links(line)
                    .into_iter()
                    .filter_map(|link| mistake(&document, &text, link)),
            );
        }
    }
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

#[test]
fn a_link_to_nowhere_is_found() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = "# A `door`, and a key\n```\n# code\n```\n# A `door`, and a key\n";
    let wrong = |link| mistake(&document, text, link).is_some();
    assert!(!wrong("#a-door-and-a-key") && !wrong("#a-door-and-a-key-1"));
    assert!(!wrong("docs/protocol.md#errors") && !wrong("https://example.org/#x"));
    assert!(wrong("#code") && wrong("docs/nowhere.md") && wrong("docs/protocol.md#nowhere"));
    assert_eq!(
        links("[a](b.md) and `[c](d)` and [`e`](f#g)"),
        ["b.md", "f#g"]
    );
}
