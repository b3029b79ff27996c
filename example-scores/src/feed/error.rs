//! What is wrong with a feed, told to the person who can correct it.

use std::fmt;

use super::field::Field;

/// A feed that cannot be replayed. Its text names the match, the field, what stands there and what
/// should.
#[derive(Debug)]
pub(crate) struct FeedError {
    place: String,
    problem: String,
    hint: Option<String>,
}

impl FeedError {
    /// A field does not hold what it should.
    pub(super) fn new(place: &str, problem: String) -> Self {
        Self {
            place: place.to_owned(),
            problem,
            hint: None,
        }
    }

    /// The file is no JSON at all.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self {
            place: String::new(),
            problem: format!("the file is not JSON: {error}"),
            hint: Some("Check that the download is complete and is the raw file".to_owned()),
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
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

impl fmt::Display for FeedError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(out, "{}: ", self.place)?;
        }
        write!(out, "{}.", self.problem)?;
        match &self.hint {
            Some(hint) => write!(out, " {hint}."),
            None => write!(out, " Correct the file and start again."),
        }
    }
}

impl std::error::Error for FeedError {}
