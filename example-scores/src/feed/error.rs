//! Errors in a feed, for the person who can correct them.

use thiserror::Error;

use super::field::Field;

/// A feed that cannot be replayed. The text names the match, the field, its value and what was
/// expected.
#[derive(Debug, Error)]
#[error("{}{problem}. {hint}.", prefix(place))]
pub(crate) struct FeedError {
    place: String,
    problem: String,
    hint: &'static str,
}

impl FeedError {
    /// A field has the wrong value.
    pub(super) fn new(place: &str, problem: String) -> Self {
        Self {
            place: place.to_owned(),
            problem,
            hint: "Correct the file and start again",
        }
    }

    /// The file is not JSON.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self {
            place: String::new(),
            problem: format!("the file is not JSON: {error}"),
            hint: "Check that the download is complete and is the raw file",
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    /// Adds the name of the match, because `matches[41]` is hard to find.
    #[must_use]
    pub(super) fn in_match(mut self, entry: &Field<'_>) -> Self {
        let name = |field: &str| {
            entry.get(field).and_then(|team| {
                team.text()
                    .ok()
                    .or_else(|| team.get("name")?.text().ok())
                    .map(str::to_owned)
            })
        };
        let teams = [name("team1"), name("team2")].map(|team| team.unwrap_or_else(|| "?".into()));
        let date = name("date").map_or_else(String::new, |date| format!(", {date}"));
        self.place = format!("{} ({}{date})", self.place, teams.join(" – "));
        self
    }
}

/// A place, as a prefix of the error text.
fn prefix(place: &str) -> String {
    if place.is_empty() {
        String::new()
    } else {
        format!("{place}: ")
    }
}
