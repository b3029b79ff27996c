//! The channels that a server offers, by pattern: `{name}` stands for one segment of a name, `{*rest}` for the rest of it.

use std::sync::Arc;

use matchit::{InsertError, Router};

use super::config::Channel;
use super::kind::ChannelKind;
use crate::error::BuildError;

/// The channels that a server offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelPatterns {
    kinds: Router<Arc<ChannelKind>>,
}

impl ChannelPatterns {
    pub(crate) fn add<T>(&mut self, pattern: &str, channel: Channel<T>) -> Result<(), BuildError> {
        let bad = |remedy: &str| BuildError::BadPattern {
            pattern: pattern.to_owned(),
            remedy: remedy.to_owned(),
        };
        if pattern.is_empty() {
            return Err(bad("write a name or a pattern"));
        }
        // The router would take it as a letter, and offer a channel that nobody means.
        if pattern.replace("{*", "").contains('*') {
            return Err(bad(
                "write `{*rest}` at the end for all names that begin with what is before it, or `{name}` for one segment",
            ));
        }
        let is_exact = !pattern.replace("{{", "").contains('{');
        let kind = channel.into_kind(pattern, is_exact);
        self.kinds
            .insert(pattern, kind)
            .map_err(|error| match error {
                InsertError::Conflict { with } if with == pattern => BuildError::ChannelTaken(with),
                InsertError::Conflict { with } => BuildError::PatternsConflict {
                    pattern: pattern.to_owned(),
                    with,
                },
                InsertError::InvalidParamSegment => {
                    bad("write at most one parameter between two `/`")
                }
                InsertError::InvalidCatchAll => bad("write `{*rest}` only at the end"),
                _ => bad(
                    "write a parameter as `{name}`, and a brace that is part of the name as `{{` or `}}`",
                ),
            })
    }

    /// The kind of the channel of this name, if it is offered. If several patterns fit, the one with the longest text before its
    /// first parameter decides, so a channel's own name first of all.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<ChannelKind>> {
        Some(self.kinds.at(name).ok()?.value)
    }

    /// What stands in a channel's name for the parameters of its pattern.
    pub(crate) fn params(&self, name: &str) -> Vec<(String, String)> {
        let found = self.kinds.at(name);
        let params = found.iter().flat_map(|found| found.params.iter());
        params
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(all: &[&str]) -> Result<ChannelPatterns, BuildError> {
        let mut patterns = ChannelPatterns::default();
        for pattern in all {
            patterns.add(pattern, Channel::open())?;
        }
        Ok(patterns)
    }

    #[test]
    fn the_most_particular_pattern_wins() {
        let patterns = patterns(&[
            "{*any}",
            "match/{id}",
            "match/final",
            "match/{id}/log",
            "log-{day}",
            "a{{b}}",
        ]);
        let patterns = patterns.unwrap();
        for (name, pattern) in [
            ("news", "{*any}"),
            ("match/7", "match/{id}"),
            ("match/ä ö", "match/{id}"),
            ("match/final", "match/final"),
            ("match/final/log", "match/{id}/log"),
            ("match/7/log/1", "{*any}"),
            ("match/", "{*any}"),
            ("log-5", "log-{day}"),
            ("a{b}", "a{{b}}"),
        ] {
            let kind = patterns.find(name).unwrap();
            assert_eq!(kind.pattern, pattern, "{name}");
            assert_eq!(kind.is_exact, matches!(pattern, "match/final" | "a{{b}}"));
        }
        assert_eq!(
            patterns.params("match/ä ö/log"),
            [("id".to_owned(), "ä ö".to_owned())]
        );
        assert_eq!(patterns.params("match/final"), []);
        assert!(patterns.find("").is_none());
    }

    #[test]
    fn a_parameter_is_one_segment_and_not_empty() {
        let patterns = patterns(&["match/{id}", "news/{*rest}"]).unwrap();
        for name in ["match", "match/", "match/1/2", "news", "news/", "other"] {
            assert!(patterns.find(name).is_none(), "{name}");
        }
        assert!(patterns.find("news/1/2").is_some());
    }

    #[test]
    fn mistakes_are_named_with_what_to_write() {
        for (wrong, text) in [
            (&["a", "a"][..], "`a` is registered twice"),
            (
                &["a/{x}", "a/{y}"],
                "`a/{y}` and `a/{x}` fit the same names",
            ),
            (
                &["a/{x}", "a/{*y}"],
                "`a/{*y}` and `a/{x}` fit the same names",
            ),
            (&[""], "write a name or a pattern"),
            (&["match/*"], "write `{*rest}` at the end"),
            (&["a/{*x}/b"], "write `{*rest}` only at the end"),
            (&["a/{x}-{y}"], "at most one parameter between two `/`"),
            (&["a/{x"], "write a parameter as `{name}`"),
            (&["a/{}"], "write a parameter as `{name}`"),
        ] {
            let error = patterns(wrong).unwrap_err().to_string();
            assert!(error.contains(text), "{wrong:?}: {error}");
        }
    }
}
