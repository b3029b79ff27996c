//! The `curl` lines of the documents work: they are read from the pages and asked.

use courtside::testing::run;
use serde_json::Value;

use super::site::{ALL, Site};

const PAGE: &str = include_str!("../../docs/http-api.md");

/// A `curl` line, as far as the documents need it.
#[derive(Default, Debug)]
struct Line {
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// The words of a line of a shell. Quotes are single or double; `\` ends a line that goes on.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut is_word = false;
    for c in line.replace("\\\n", " ").chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, is_word) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            (None, c) => {
                word.push(c);
                is_word = true;
            }
        }
    }
    assert_eq!(quote, None, "{line}");
    if is_word {
        words.push(word);
    }
    words
}

impl Line {
    fn read(line: &str) -> Self {
        let mut read = Self::default();
        let mut words = words(line).into_iter().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-H" => {
                    let header = words.next().unwrap();
                    let (name, value) = header.split_once(": ").unwrap();
                    let value = value.replace("$KEY", ALL);
                    read.headers.push((name.to_owned(), value));
                }
                "--json" => read.body = words.next(),
                address => {
                    let path = address
                        .strip_prefix("$API")
                        .unwrap_or_else(|| panic!("{line}"));
                    read.path = path.to_owned();
                }
            }
        }
        read
    }
}

/// The `curl` lines of a page, each with the lines that it goes on with, and the answer below it, if there is one.
fn lines(page: &str) -> Vec<(String, Option<Value>)> {
    let mut lines = Vec::new();
    let mut blocks = page.split("```").skip(1).step_by(2).peekable();
    while let Some(block) = blocks.next() {
        let Some(commands) = block.strip_prefix("sh\n") else {
            continue;
        };
        let answer = blocks.peek().and_then(|next| next.strip_prefix("json\n"));
        let answer = answer.map(|answer| serde_json::from_str(answer).unwrap());
        // What stands in quotes may go on in the next line.
        let commands = format!("\n{commands}");
        let curls = commands.split("\ncurl ").skip(1);
        lines.extend(curls.map(|line| (format!("curl {line}"), answer.clone())));
    }
    lines
}

/// Whether an answer has what a document shows: the same fields, with values of the same kinds.
fn is_like(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => {
            answer.len() == shown.len()
                && shown.iter().all(|(name, value)| {
                    answer.get(name).is_some_and(|found| is_like(found, value))
                })
        }
        (Value::Array(answer), Value::Array(shown)) => match (answer.first(), shown.first()) {
            (Some(answer), Some(shown)) => is_like(answer, shown),
            _ => true,
        },
        (answer, shown) => std::mem::discriminant(answer) == std::mem::discriminant(shown),
    }
}

#[test]
fn the_lines_of_the_page_work_in_their_order() {
    run(async {
        let site = Site::usual().await;
        let lines = lines(PAGE);
        let document = site.get("/openapi.json").await.done();
        let paths = document["paths"].as_object().unwrap();
        for path in paths.keys() {
            let has_line =
                |line: &(String, _)| Line::read(&line.0).path.split('?').next() == Some(path);
            assert!(
                lines.iter().any(has_line),
                "docs/http-api.md has no line for {path}"
            );
        }
        for (text, shown) in lines {
            let line = Line::read(&text);
            let method = if line.body.is_some() { "POST" } else { "GET" };
            let mut request = Site::request(method, &line.path, "");
            for (name, value) in line.headers {
                request = request.insert_header((name, value));
            }
            if let Some(body) = line.body {
                let json = ("content-type", "application/json");
                request = request.set_payload(body).insert_header(json);
            }
            let answer = site.ask(request).await;
            assert_eq!(answer.status, 200, "{text} {answer:?}");
            if let Some(shown) = shown {
                let answer = answer.json();
                assert!(
                    is_like(&answer, &shown),
                    "{text}\nis answered {answer}\nand not {shown}"
                );
            }
        }
    });
}
