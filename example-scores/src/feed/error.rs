//! What is wrong with a feed, told to the person who can correct it.

use thiserror::Error;

use super::field::Field;

/// A feed that cannot be replayed. Its text names the match, the field, what stands there and what
/// should.
#[derive(Debug, Error)]
#[error("{}{problem}. {hint}.", prefix(place))]
pub(crate) struct FeedError {
    place: String,
    problem: String,
    hint: &'static str,
}

impl FeedError {
    /// A field does not hold what it should.
    pub(super) fn new(place: &str, problem: String) -> Self {
        Self {
            place: place.to_owned(),
            problem,
            hint: "Correct the file and start again",
        }
    }

    /// The file is no JSON at all.
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

    /// Says which match it was, for nobody finds `matches[41]` by counting.
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

/// A place as it stands before what is wrong there.
fn prefix(place: &str) -> String {
    if place.is_empty() {
        String::new()
    } else {
        format!("{place}: ")
    }
}
