//! Plays the schedule in real time: publishes each event when it is due, run after run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::{
    schedule::{Plan, Schedule},
    scoreboard::Scoreboard,
    tournament::Tournament,
    update::{Event, RunStarted, Update},
};

/// The channel that carries everything.
pub(crate) const UPDATES: &str = "updates";

/// The prefix of the channels that carry the state of one match each.
pub(crate) const MATCH: &str = "match/";

/// How many matches of a referee the board keeps before it begins anew.
const MATCHES_OF_A_RUN: usize = 50;

/// Where updates go: the server, or a list in tests.
pub(crate) trait Outlet {
    /// Why nothing more can be published.
    type Error;

    /// Publishes to a channel and returns the offset.
    async fn publish<T: Serialize>(&self, channel: &str, data: &T) -> Result<u64, Self::Error>;
}

/// Publishes one run of the tournament after the other, for ever or until the outlet fails.
///
/// Times are counted from the start of the run, not from the previous event: a slow moment delays
/// the events that are due, but not the end of the run.
pub(crate) async fn play<O: Outlet>(
    outlet: &O,
    scoreboard: &Scoreboard,
    tournament: &Tournament,
    plan: &Plan,
) -> Result<(), O::Error> {
    let schedule = Schedule::of(tournament, plan);
    for run in 1.. {
        let start = Instant::now();
        for (number, (at, event)) in (1..).zip(&schedule.events) {
            sleep_until(start + plan.lasts(*at)).await;
            let update = Update::new(run, number, unix_ms(), event.clone());
            announce(outlet, scoreboard, &update).await?;
        }
        match plan.again_in {
            Some(seconds) => sleep_until(Instant::now() + Duration::from_secs(seconds)).await,
            None => break,
        }
    }
    Ok(())
}

/// Publishes what a referee's room accepts, for ever or until the outlet fails. After some matches, the board begins anew.
pub(crate) async fn relay<O: Outlet>(
    outlet: &O,
    scoreboard: &Scoreboard,
    speed: f64,
    mut accepted: Receiver<Event>,
) -> Result<(), O::Error> {
    for run in 1.. {
        let (mut number, mut matches) = (1, 0);
        let begins = Event::RunStarted(RunStarted::live(speed));
        let begins = Update::new(run, number, unix_ms(), begins);
        announce(outlet, scoreboard, &begins).await?;
        while matches < MATCHES_OF_A_RUN {
            let Some(event) = accepted.recv().await else {
                return Ok(());
            };
            matches += usize::from(matches!(event, Event::FullTime(_)));
            number += 1;
            let update = Update::new(run, number, unix_ms(), event);
            announce(outlet, scoreboard, &update).await?;
        }
    }
    Ok(())
}

/// Publishes an update, and the state of its match.
async fn announce<O: Outlet>(
    outlet: &O,
    scoreboard: &Scoreboard,
    update: &Update,
) -> Result<(), O::Error> {
    let offset = outlet.publish(UPDATES, update).await?;
    // After the publication: until then, callers get the board of the previous offset, and
    // this update follows on the channel.
    scoreboard.apply(offset, update);
    let id = update.event.match_id();
    if let Some((id, state)) = id.and_then(|id| Some((id, scoreboard.match_state(id)?))) {
        outlet.publish(&format!("{MATCH}{id}"), &state).await?;
    }
    Ok(())
}

/// The time in Unix milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use serde_json::Value;

    use super::*;
    use crate::feed::Feed;

    /// Remembers what was published, when and where, and fails after so many publications.
    #[derive(Default)]
    struct List {
        published: RefCell<Vec<(Instant, String, Value)>>,
        until: usize,
    }

    impl Outlet for List {
        type Error = ();

        async fn publish<T: Serialize>(&self, channel: &str, data: &T) -> Result<u64, ()> {
            let mut published = self.published.borrow_mut();
            if published.len() == self.until {
                return Err(());
            }
            let data = serde_json::to_value(data).unwrap();
            published.push((Instant::now(), channel.to_owned(), data));
            Ok(published
                .iter()
                .filter(|(_, name, _)| name == channel)
                .count() as u64)
        }
    }

    const ONE_MATCH: &str = r#"{"name":"Cup","matches":[{"round":"Final","date":"2022-12-18",
        "team1":"Reds","team2":"Blues","score":{"ft":[2,0]},
        "goals1":[{"name":"Ann","minute":10},{"name":"Ann","minute":80}]}]}"#;

    async fn published(again_in: Option<u64>, until: usize) -> (List, Scoreboard) {
        let list = List {
            until,
            ..List::default()
        };
        let scoreboard = Scoreboard::default();
        let tournament = Feed::parse(ONE_MATCH).unwrap().tournament;
        let plan = Plan {
            speed: 10.0,
            again_in,
        };
        let _ = play(&list, &scoreboard, &tournament, &plan).await;
        (list, scoreboard)
    }

    #[tokio::test(start_paused = true)]
    async fn goals_come_when_they_fall_and_the_match_has_them_at_once() {
        let began = Instant::now();
        let (list, scoreboard) = published(None, usize::MAX).await;
        let published = list.published.borrow();
        let mut goals: Vec<Duration> = Vec::new();
        for (n, (at, channel, update)) in published.iter().enumerate() {
            if update["type"] == "goal" {
                goals.push(*at - began);
                let (then, own, state) = &published[n + 1];
                assert_eq!((channel.as_str(), then), (UPDATES, at));
                assert_eq!(own, "match/2022-12-18-reds-blues");
                assert_eq!(state["score"], update["data"]["score"]);
            }
        }
        // 46 minutes of the first half, 15 of the break, then 34.5 more.
        assert_eq!(goals, [950, 9_550].map(Duration::from_millis));
        let (_, _, last) = published
            .iter()
            .rfind(|(_, channel, _)| channel.starts_with(MATCH))
            .unwrap();
        let kinds = last["events"].as_object().unwrap().values();
        let kinds: Vec<&str> = kinds
            .map(|entry| entry["phase"].as_str().or(entry["type"].as_str()).unwrap())
            .collect();
        let all = [
            "first_half",
            "goal",
            "half_time",
            "second_half",
            "goal",
            "full_time",
        ];
        assert_eq!(kinds, all);
        let board = scoreboard.snapshot();
        assert_eq!(board.matches[0].goals.len(), 2);
        assert!(board.finished.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_a_new_run_begins_and_no_id_comes_twice() {
        let (list, scoreboard) = published(Some(20), 40).await;
        let published = list.published.borrow();
        let starts: Vec<Instant> = published
            .iter()
            .filter(|(_, _, update)| update["type"] == "run_started")
            .map(|(at, ..)| *at)
            .collect();
        let ends: Vec<Instant> = published
            .iter()
            .filter(|(_, _, update)| update["type"] == "run_finished")
            .map(|(at, ..)| *at)
            .collect();
        assert_eq!(starts[1] - ends[0], Duration::from_secs(20));

        let mut times: HashMap<&str, usize> = HashMap::new();
        for (_, _, update) in published
            .iter()
            .filter(|(_, channel, _)| channel == UPDATES)
        {
            *times.entry(update["id"].as_str().unwrap()).or_default() += 1;
        }
        assert!(times.values().all(|count| *count == 1), "{times:?}");
        assert!(scoreboard.snapshot().run > 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_more_can_be_published() {
        let (list, _) = published(Some(0), 3).await;
        assert_eq!(list.published.borrow().len(), 3);
    }
}
