//! The rules of the chat, and of the names that stand in it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

/// The most characters of a line.
pub const LONGEST_LINE: usize = 200;
/// The most characters of a name.
pub const LONGEST_NAME: usize = 16;
/// How many lines somebody who comes in is shown.
pub const KEPT_LINES: usize = 40;

/// Why a line or a name was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Rejection {
    /// Nothing was left after trimming.
    #[error("There is nothing in it to be shown.")]
    Empty,
    /// More characters than the limit.
    #[error("It has more than {most} characters.")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// Too many lines in too short a time.
    #[error("That was too much at once; wait a moment.")]
    TooFast,
}

impl Rejection {
    /// The code by which a client tells one from the other.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "chat_empty",
            Self::TooLong { .. } => "chat_too_long",
            Self::TooFast => "chat_too_fast",
        }
    }
}

/// What will be shown of a line: trimmed, on one line, and without characters that would not print.
pub fn clean_line(text: &str) -> Result<String, Rejection> {
    clean(text, LONGEST_LINE)
}

/// What will be shown of a name.
pub fn clean_name(name: &str) -> Result<String, Rejection> {
    clean(name, LONGEST_NAME)
}

fn clean(text: &str, most: usize) -> Result<String, Rejection> {
    // A new line or a tab separates words as a blank does.
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| {
            word.chars()
                .filter(|letter| !is_invisible(*letter))
                .collect::<String>()
        })
        .filter(|word| !word.is_empty())
        .collect();
    let cleaned = words.join(" ");
    if cleaned.is_empty() {
        Err(Rejection::Empty)
    } else if cleaned.chars().count() > most {
        Err(Rejection::TooLong { most })
    } else {
        Ok(cleaned)
    }
}

/// Characters that take no place or turn the text around, by which a line or a name could pass for another one.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How much one member may still say: a handful of lines at once, and one more every so often.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// When it will be full again, since the room began.
    full_at: Duration,
}

impl Allowance {
    /// Lines at once.
    const BURST: u32 = 5;
    /// Until one more is allowed.
    const PAUSE: Duration = Duration::from_millis(1200);

    /// A full allowance.
    pub const fn full() -> Self {
        Self {
            full_at: Duration::ZERO,
        }
    }

    /// Takes one line out of the allowance; `now` is the time since the room began.
    pub fn spend(&mut self, now: Duration) -> Result<(), Rejection> {
        let full_at = self.full_at.max(now) + Self::PAUSE;
        if full_at > now + Self::PAUSE * Self::BURST {
            return Err(Rejection::TooFast);
        }
        self.full_at = full_at;
        Ok(())
    }
}

/// One line, as everybody gets it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Line {
    /// Counts the lines of this arena from one without a gap, so that a client can tell that it has them all.
    pub number: u64,
    /// The member who said it; none for what the arena itself has to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// The name of whoever said it, as it was then; empty for the arena itself.
    pub name: String,
    /// The colour of the ship of whoever said it, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hue: Option<u8>,
    /// What was said.
    pub text: String,
    /// When, in Unix milliseconds.
    pub time: u64,
}

/// The last lines of an arena.
#[derive(Debug, Default)]
pub struct Log {
    lines: VecDeque<Line>,
    said: u64,
}

impl Log {
    /// Numbers a line, keeps it for those who come later, and hands it back to be told to everybody.
    pub fn push(&mut self, mut line: Line) -> Line {
        self.said += 1;
        line.number = self.said;
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.clone());
        line
    }

    /// The last lines, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_stays_on_one_line() {
        assert_eq!(clean_line("  good\n\t game  "), Ok("good game".to_owned()));
        assert_eq!(clean_line("a\u{202e}b\u{0}c"), Ok("abc".to_owned()));
    }

    #[test]
    fn a_line_without_content_is_refused() {
        for nothing in ["", "   \n", "\u{200b}\u{feff}", "\u{0} \u{1}"] {
            assert_eq!(clean_line(nothing), Err(Rejection::Empty), "{nothing:?}");
        }
    }

    #[test]
    fn the_limit_counts_characters_and_not_bytes() {
        let longest = "é".repeat(LONGEST_LINE);
        assert_eq!(clean_line(&longest), Ok(longest.clone()));
        assert_eq!(
            clean_line(&format!("{longest}é")),
            Err(Rejection::TooLong { most: LONGEST_LINE })
        );
        assert!(clean_name(&"n".repeat(LONGEST_NAME + 1)).is_err());
    }

    #[test]
    fn a_burst_is_allowed_and_a_flood_is_not() {
        let mut allowance = Allowance::full();
        let start = Duration::from_secs(60);
        for _ in 0..Allowance::BURST {
            assert_eq!(allowance.spend(start), Ok(()));
        }
        assert_eq!(allowance.spend(start), Err(Rejection::TooFast));
        // A refused line costs nothing: after one pause there is room for one line and not for two.
        let later = start + Allowance::PAUSE;
        assert_eq!(allowance.spend(later), Ok(()));
        assert_eq!(allowance.spend(later), Err(Rejection::TooFast));
    }

    #[test]
    fn lines_are_numbered_without_a_gap_and_the_oldest_are_forgotten() {
        let mut log = Log::default();
        for _ in 0..KEPT_LINES + 5 {
            let line = Line {
                number: 0,
                from: None,
                name: String::new(),
                hue: None,
                text: "hello".to_owned(),
                time: 0,
            };
            log.push(line);
        }
        let numbers: Vec<u64> = log.lines().iter().map(|line| line.number).collect();
        let expected: Vec<u64> = (6..=KEPT_LINES as u64 + 5).collect();
        assert_eq!(numbers, expected);
    }
}
