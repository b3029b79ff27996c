//! Reading a feed: a file in the format of openfootball's `worldcup.json`.
//!
//! People write these files by hand, so the parser is handwritten instead of derived: its errors
//! name the match and the field that is wrong, and what to write instead. Incomplete data (no
//! half-time score, a goal that is not listed, a match that has not been played) is not an error; it
//! becomes a note.

mod doubts;
mod error;
mod field;

use std::collections::HashMap;

pub(crate) use self::error::FeedError;
use self::field::Field;
use crate::{
    kickoff::Kickoff,
    minute::Minute,
    tournament::{Fixture, Goal, Outcome, Score, Side, Tournament},
};

/// A parsed feed: the tournament, and notes about its data.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// What can be replayed.
    pub(crate) tournament: Tournament,
    /// Full sentences for the person who started the program.
    pub(crate) notes: Vec<String>,
}

impl Feed {
    /// Reads the text of a feed.
    pub(crate) fn parse(text: &str) -> Result<Self, FeedError> {
        let document = serde_json::from_str(text).map_err(|error| FeedError::json(&error))?;
        let document = Field::root(&document);
        let name = document
            .get("name")
            .and_then(|name| name.text().ok())
            .unwrap_or("Tournament");
        let Some(matches) = document.get("matches") else {
            let hint = match document.get("rounds") {
                Some(_) => {
                    "This is the older layout with `rounds`: move their matches into one list"
                }
                None => "Take a file in the format of openfootball/worldcup.json",
            };
            return Err(document.wrong("a list `matches`").hint(hint));
        };
        let mut fixtures = Vec::new();
        let mut unplayed = 0_usize;
        for entry in matches.list()? {
            match fixture(&entry).map_err(|error| error.in_match(&entry))? {
                Some(fixture) => fixtures.push(fixture),
                None => unplayed += 1,
            }
        }
        if fixtures.is_empty() {
            return Err(matches
                .wrong("at least one match with a result")
                .hint("Add `\"score\": { \"ft\": [2, 1] }` to the matches that have been played"));
        }
        // A stable sort: matches that begin together stay in the order of the feed.
        fixtures.sort_by_key(|fixture| fixture.kickoff.minutes());
        tell_apart(&mut fixtures);

        let mut notes: Vec<String> = fixtures.iter().flat_map(doubts::about).collect();
        match unplayed {
            0 => {}
            1 => notes.push("One match has no result yet and is left out.".to_owned()),
            _ => notes.push(format!(
                "{unplayed} matches have no result yet and are left out."
            )),
        }
        Ok(Self {
            tournament: Tournament {
                name: name.to_owned(),
                fixtures,
            },
            notes,
        })
    }
}

/// One entry of `matches`, or `None` if it has not been played.
fn fixture(entry: &Field<'_>) -> Result<Option<Fixture>, FeedError> {
    let Some(score) = entry.get("score") else {
        return Ok(None);
    };
    let Some(full_time) = score.get("ft") else {
        return Ok(None);
    };
    let result = Outcome {
        half_time: score.get("ht").map(|pair| pair_of(&pair)).transpose()?,
        full_time: pair_of(&full_time)?,
        extra_time: score.get("et").map(|pair| pair_of(&pair)).transpose()?,
        penalties: score.get("p").map(|pair| pair_of(&pair)).transpose()?,
    };

    let date = entry.need("date", "a date such as \"2022-12-18\"")?;
    let time = entry.get("time");
    let day = date.text()?;
    // Check the date first and separately, so that the error names the wrong field.
    Kickoff::parse(day, None).map_err(|expected| date.wrong(expected))?;
    let kickoff = match &time {
        None => Kickoff::parse(day, None).map_err(|expected| date.wrong(expected))?,
        Some(time) => {
            Kickoff::parse(day, Some(time.text()?)).map_err(|expected| time.wrong(expected))?
        }
    };

    let teams = [team(entry, "team1")?, team(entry, "team2")?];
    let mut goals = goals(entry, "goals1", Side::First)?;
    goals.extend(self::goals(entry, "goals2", Side::Second)?);
    // Feeds list goals by scorer; stable, so that the first team comes first within a minute.
    goals.sort_by_key(|goal| goal.minute);

    let text = |name: &str| -> Result<Option<String>, FeedError> {
        entry
            .get(name)
            .map(|field| field.text().map(str::to_owned))
            .transpose()
    };
    let [first, second] = &teams;
    Ok(Some(Fixture {
        id: format!("{day}-{}-{}", slug(first), slug(second)),
        round: text("round")?.unwrap_or_else(|| "Matches".to_owned()),
        group: text("group")?,
        kickoff,
        ground: text("ground")?,
        teams,
        goals,
        result,
    }))
}

/// A team's name: plain, or the `name` of an object.
fn team(entry: &Field<'_>, name: &str) -> Result<String, FeedError> {
    let team = entry.need(name, "the name of a team")?;
    let label = team.get("name").unwrap_or_else(|| team.clone());
    match label.text()?.trim() {
        "" => Err(label.wrong("the name of a team")),
        text => Ok(text.to_owned()),
    }
}

fn goals(entry: &Field<'_>, name: &str, side: Side) -> Result<Vec<Goal>, FeedError> {
    let Some(list) = entry.get(name) else {
        return Ok(Vec::new());
    };
    let flag = |goal: &Field<'_>, name: &str| goal.get(name).map_or(Ok(false), |it| it.flag());
    list.list()?
        .map(|goal| {
            Ok(Goal {
                minute: minute(&goal)?,
                scorer: goal
                    .need("name", "the name of the scorer")?
                    .text()?
                    .trim()
                    .to_owned(),
                side,
                penalty: flag(&goal, "penalty")?,
                own_goal: flag(&goal, "owngoal")?,
            })
        })
        .collect()
}

/// `"minute": 90, "offset": 9` and `"minute": "90+9"` are both in use.
fn minute(goal: &Field<'_>) -> Result<Minute, FeedError> {
    let minute = goal
        .need("minute", "a minute from 1 to 120")
        .map_err(|error| {
            error.hint("Add it, or leave the goal out: the whistle corrects the score")
        })?;
    if let Ok(text) = minute.text() {
        return Minute::parse(text).map_err(|expected| minute.wrong(expected));
    }
    let offset = goal.get("offset");
    let stoppage = offset.as_ref().map_or(Ok(0), Field::number)?;
    Minute::new(minute.number()?, stoppage)
        .map_err(|expected| offset.as_ref().unwrap_or(&minute).wrong(expected))
        .or_else(|error| {
            // If the minute is valid without its offset, the offset is wrong.
            Minute::new(minute.number()?, 0).map_err(|expected| minute.wrong(expected))?;
            Err(error)
        })
}

fn pair_of(field: &Field<'_>) -> Result<Score, FeedError> {
    const PAIR: &str = "two numbers of goals such as [2, 1]";
    let goals: Vec<u64> = field
        .list()
        .and_then(|list| list.map(|item| item.number()).collect())
        .map_err(|_| field.wrong(PAIR))?;
    match goals.as_slice() {
        &[first @ 0..=99, second @ 0..=99] => Ok(Score(first as u16, second as u16)),
        _ => Err(field.wrong(PAIR)),
    }
}

/// Numbers the ids of matches that would share one, such as a replay on the same day.
fn tell_apart(fixtures: &mut [Fixture]) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for fixture in fixtures {
        let count = seen.entry(fixture.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            fixture.id = format!("{}-{count}", fixture.id);
        }
    }
}

/// A name for use in an address: `Bosnia & Herzegovina` becomes `bosnia-herzegovina`.
fn slug(name: &str) -> String {
    let plain = name
        .chars()
        .flat_map(char::to_lowercase)
        .map(|letter| match letter {
            'à'..='å' => 'a',
            'ç' => 'c',
            'è'..='ë' => 'e',
            'ì'..='ï' => 'i',
            'ñ' => 'n',
            'ò'..='ö' | 'ø' => 'o',
            'ù'..='ü' => 'u',
            'a'..='z' | '0'..='9' => letter,
            _ => ' ',
        });
    plain
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests;
