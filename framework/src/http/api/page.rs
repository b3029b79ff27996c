//! The page that shows the document: plain HTML, without scripts and without anything from elsewhere.

use std::fmt::Write;

use serde_json::{Map, Value};

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #b4540a; }
@media (prefers-color-scheme: dark) { :root { --accent: #ffab6b; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { margin: 0; } h2 { margin: 2.5rem 0 .25rem; border-top: 1px solid var(--line); padding-top: 1.25rem; font-size: 1.15rem; }
h2 small { font: .8rem ui-monospace, monospace; margin-left: .5rem; } h3 { font-size: .9rem; margin: 1rem 0 .25rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; } code { background: var(--soft); padding: .1em .3em; border-radius: 3px; }
pre { background: var(--soft); padding: .75rem; border-radius: 6px; overflow-x: auto; } pre code { background: none; padding: 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } td { border-top: 1px solid var(--line); padding: .3rem .5rem .3rem 0; vertical-align: top; }
td:first-child { white-space: nowrap; } nav a { margin-right: .75rem; } a { color: var(--accent); } b { color: var(--accent); }
@media (max-width: 40rem) { td { display: block; border: 0; padding: 0; } tr { display: block; border-top: 1px solid var(--line); padding: .3rem 0; } }";

/// The page.
pub(super) fn page(document: &Value) -> String {
    let mut html = String::new();
    let title = text(&document["info"]["title"]);
    put(
        &mut html,
        format_args!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} HTTP API</title><style>{STYLE}</style><h1>{title} HTTP API</h1>"
        ),
    );
    paragraphs(&mut html, &document["info"]["description"]);
    paragraphs(
        &mut html,
        &document["components"]["securitySchemes"]["key"]["description"],
    );
    html.push_str(
        "<p>The same for programs: <a href=\"openapi.json\">openapi.json</a> (OpenAPI 3.1). \
         In the examples, <code>$API</code> is the address of this API, such as <code>https://example.org/api/v1</code>, \
         and <code>$KEY</code> the secret of a key.</p><nav>",
    );
    let all = operations(document);
    for (_, _, operation) in &all {
        let id = text(&operation["operationId"]);
        put(&mut html, format_args!("<a href=\"#{id}\">{id}</a> "));
    }
    html.push_str("</nav>");
    for (path, method, operation) in all {
        show(&mut html, document, path, method, operation);
    }
    html
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object();
    let each = paths.into_iter().flatten().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    each.filter(|(.., operation)| operation["operationId"].is_string())
        .collect()
}

fn show(html: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
    put(
        html,
        format_args!(
            "<h2 id=\"{id}\">{summary} <small>{} {path}</small></h2>",
            method.to_uppercase()
        ),
    );
    paragraphs(html, &operation["description"]);
    put(
        html,
        format_args!(
            "<pre><code>{}</code></pre>",
            escape(&curl(path, method, operation))
        ),
    );
    let parameters = operation["parameters"].as_array();
    let in_query = |parameter: &&Value| parameter["in"] == "query";
    let parameters: Vec<_> = parameters.into_iter().flatten().filter(in_query).collect();
    if !parameters.is_empty() {
        html.push_str("<h3>Parameters</h3><table>");
        for parameter in parameters {
            let is_required = parameter["required"] == true;
            field(html, &parameter["name"], is_required, &parameter["schema"]);
        }
        html.push_str("</table>");
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if body.is_object() {
        html.push_str("<h3>Body</h3>");
        fields(html, document, body);
    }
    html.push_str("<h3>Answers</h3><table>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let about = code(&text(&response["description"]));
        put(
            html,
            format_args!("<tr><td><b>{status}</b></td><td>{about}"),
        );
        let schema = &response["content"]["application/json"]["schema"];
        if status == "200" {
            fields(html, document, schema);
        }
        html.push_str("</td></tr>");
    }
    html.push_str("</table>");
}

/// A line for a terminal.
fn curl(path: &str, method: &str, operation: &Value) -> String {
    let mut line = "curl".to_owned();
    let mut query = String::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let value = match &parameter["example"] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let begin = if query.is_empty() { '?' } else { '&' };
        put(
            &mut query,
            format_args!(
                "{begin}{}={value}",
                parameter["name"].as_str().unwrap_or("")
            ),
        );
    }
    put(&mut line, format_args!(" \"$API{path}{query}\""));
    if operation["security"].is_array() {
        line.push_str(" -H \"Authorization: Bearer $KEY\"");
    }
    if method == "post" {
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        put(&mut line, format_args!(" \\\n  --json '{example}'"));
    }
    line
}

/// The fields of a type, one in each row.
fn fields(html: &mut String, document: &Value, schema: &Value) {
    let schema = resolve(document, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        html.push_str("<table>");
        for choice in choices {
            for (name, value) in properties(choice).into_iter().flatten() {
                row(html, name, true, &kind(value), "");
            }
        }
        html.push_str("</table>");
        return;
    }
    html.push_str("<table>");
    for (name, value) in properties(schema).into_iter().flatten() {
        let required = schema["required"].as_array();
        let is_required = required.is_some_and(|names| names.iter().any(|known| known == name));
        field(html, &Value::String(name.clone()), is_required, value);
    }
    html.push_str("</table>");
    for (_, value) in properties(schema).into_iter().flatten() {
        let items = &value["items"];
        for inner in [value, items] {
            if inner["$ref"].is_string() {
                let name = kind(inner);
                put(html, format_args!("<p>{}:</p>", escape(&name)));
                fields(html, document, inner);
            }
        }
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema["properties"].as_object()
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let to = schema["$ref"].as_str();
    let found = to.and_then(|to| document.pointer(to.strip_prefix('#')?));
    found.unwrap_or(schema)
}

fn field(html: &mut String, name: &Value, is_required: bool, schema: &Value) {
    let name = name.as_str().unwrap_or("");
    // A type that may be null is a choice of two.
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let mut all = std::iter::once(schema).chain(choices);
    let about = all.find_map(|schema| schema["description"].as_str());
    row(html, name, is_required, &kind(schema), about.unwrap_or(""));
}

fn row(html: &mut String, name: &str, is_required: bool, kind: &str, about: &str) {
    let optional = if is_required { "" } else { ", optional" };
    put(
        html,
        format_args!(
            "<tr><td><code>{}</code></td><td>{}{optional}</td><td>{}</td></tr>",
            escape(name),
            escape(kind),
            code(&escape(about))
        ),
    );
}

/// A word for the type.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    let named = |name: &Value| {
        name.as_str()
            .filter(|name| *name != "null")
            .map(str::to_owned)
    };
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().find_map(named),
        name => named(name),
    };
    match name {
        Some(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Some(name) => name,
        None => match schema["oneOf"].as_array() {
            Some(choices) => choices
                .iter()
                .map(kind)
                .find(|kind| kind != "any")
                .unwrap_or_default(),
            None => "any".to_owned(),
        },
    }
}

/// Text with blank lines between its paragraphs, and with lists.
fn paragraphs(html: &mut String, value: &Value) {
    for paragraph in text(value).split("\n\n").filter(|text| !text.is_empty()) {
        match paragraph.strip_prefix("- ") {
            Some(items) => {
                let items = items.split("\n- ").map(code).collect::<Vec<_>>();
                put(html, format_args!("<ul><li>{}</ul>", items.join("<li>")));
            }
            None => put(
                html,
                format_args!("<p>{}</p>", code(paragraph).replace('\n', "<br>")),
            ),
        }
    }
}

/// Escaped text, with what is between backticks as code.
fn code(escaped: &str) -> String {
    let parts = escaped.split('`').enumerate();
    parts
        .map(|(n, part)| match n % 2 {
            1 => format!("<code>{part}</code>"),
            _ => part.to_owned(),
        })
        .collect()
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or(""))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Writing to a text does not fail.
fn put(html: &mut String, what: std::fmt::Arguments<'_>) {
    let _never = html.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::{document, operations};
    use super::*;

    #[test]
    fn the_page_shows_each_operation_and_takes_nothing_from_elsewhere() {
        let document = document::document(&operations(), 1 << 20);
        let page = page(&document);
        for operation in operations() {
            assert!(page.contains(&format!("id=\"{}\"", operation.id)));
            assert!(page.contains(&format!("\"$API{}", operation.path).replace('"', "&quot;")));
        }
        for foreign in ["<script", "src=", "url(", "@import"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn text_of_the_document_is_no_html() {
        let mut html = String::new();
        paragraphs(&mut html, &Value::String("<b> & `<i>`".to_owned()));
        assert_eq!(html, "<p>&lt;b&gt; &amp; <code>&lt;i&gt;</code></p>");
    }
}
