//! A match that a referee runs from a terminal: each request to the HTTP API is one thing that happens.
//!
//! The API brings a request to the room `pitch` as a message. The room checks it against the match as it stands, answers with the
//! new score, or refuses it with a reason, and hands on the event. The publisher publishes it like any event of a replay.

use courtside::{RoomId, ServerHandle, prelude::*};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    board::Phase,
    minute::Minute,
    problem::Problem,
    publisher::unix_ms,
    tournament::{Score, Side},
    update::{Event, FullTime, GoalScored, KickOff, Whistle},
};

/// The id of the room.
pub(crate) const PITCH: &str = "pitch";

/// How many events may wait for the publisher.
const WAITING: usize = 64;

/// The most characters of a name.
const NAME: usize = 40;

/// What the room is given: where events go, how fast a match is, and the word that only the server knows.
#[derive(Debug)]
pub(crate) struct PushedFeed {
    events: mpsc::Sender<Event>,
    /// Minutes of football per second.
    speed: f64,
    word: String,
}

impl PushedFeed {
    /// That, and the events that the room accepts.
    pub(crate) fn new(speed: f64) -> (Self, mpsc::Receiver<Event>) {
        let (events, accepted) = mpsc::channel(WAITING);
        let word = Uuid::new_v4().to_string();
        let this = Self {
            events,
            speed,
            word,
        };
        (this, accepted)
    }

    /// What the server creates the room with.
    pub(crate) fn opening(&self) -> Opening {
        Opening {
            word: self.word.clone(),
        }
    }
}

/// The room's options. Clients, who can ask for any kind of room, do not have them.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Opening {
    word: String,
}

/// Creates the room.
pub(crate) async fn open(server: &ServerHandle, opening: &Opening) -> Result<(), Problem> {
    let room = server.create::<Pitch>(opening).id(RoomId::from(PITCH));
    let opened = room.await.map(drop);
    opened.map_err(|error| Problem::Server(error.to_string()))
}

/// The match begins.
#[derive(Deserialize, Message)]
#[message(name = "kick_off", reply = Standing)]
#[serde(deny_unknown_fields)]
struct Begin {
    teams: [String; 2],
    /// Default: `Live`.
    round: Option<String>,
    ground: Option<String>,
}

/// A goal.
#[derive(Deserialize, Message)]
#[message(name = "goal", reply = Standing)]
#[serde(deny_unknown_fields)]
struct Scored {
    /// The team that it counts for.
    team: String,
    scorer: String,
    /// Such as `23` or `45+2`. Default: what the clock shows.
    minute: Option<String>,
    #[serde(default)]
    penalty: bool,
    #[serde(default)]
    own_goal: bool,
}

/// The end of the first half.
#[derive(Deserialize, Message)]
#[message(name = "half_time", reply = Standing)]
struct Break;

/// The second half begins.
#[derive(Deserialize, Message)]
#[message(name = "second_half", reply = Standing)]
struct GoOn;

/// The final whistle.
#[derive(Deserialize, Message)]
#[message(name = "full_time", reply = Standing)]
struct End;

/// How the match stands.
#[derive(Debug, PartialEq, Serialize)]
struct Standing {
    #[serde(rename = "match")]
    id: String,
    teams: [String; 2],
    score: Score,
    phase: Phase,
}

/// The match that is being played, or the last one: what happens in it, and what cannot.
#[derive(Debug)]
struct Game {
    kick_off: KickOff,
    score: Score,
    phase: Phase,
    /// Since when, in Unix milliseconds.
    since: u64,
}

impl Game {
    /// The match of this number begins.
    fn begin(number: u32, begin: Begin, now: u64) -> Result<(Self, Event), Refusal> {
        for team in &begin.teams {
            check_name("teams", team)?;
        }
        if begin.teams[0] == begin.teams[1] {
            return Err(Refusal::new("same_teams", "a match has two teams"));
        }
        for name in [&begin.round, &begin.ground].into_iter().flatten() {
            check_name("round and ground", name)?;
        }
        let kick_off = KickOff {
            id: format!("live-{number}"),
            teams: begin.teams,
            round: begin.round.unwrap_or_else(|| "Live".to_owned()),
            group: None,
            date: String::new(),
            time: None,
            ground: begin.ground,
            pitch: 0,
        };
        let game = Self {
            kick_off: kick_off.clone(),
            score: Score::default(),
            phase: Phase::FirstHalf,
            since: now,
        };
        Ok((game, Event::KickOff(kick_off)))
    }

    fn goal(&mut self, goal: Scored, now: u64, speed: f64) -> Result<Event, Refusal> {
        let period = self
            .phase
            .period()
            .ok_or_else(|| Refusal::new("not_playing", "nobody is playing: begin a half first"))?;
        check_name("scorer", &goal.scorer)?;
        let side = match &self.kick_off.teams {
            [first, _] if *first == goal.team => Side::First,
            [_, second] if *second == goal.team => Side::Second,
            [first, second] => {
                let message = format!("`team` is `{first}` or `{second}`");
                return Err(Refusal::new("unknown_team", message));
            }
        };
        if goal.penalty && goal.own_goal {
            return Err(Refusal::new("bad_goal", "a penalty is no own goal"));
        }
        let bad = |why: &str| Refusal::new("bad_minute", format!("`minute` is {why}"));
        let minute = match &goal.minute {
            Some(text) => Minute::parse(text).map_err(bad)?,
            None => {
                let over = now.saturating_sub(self.since) as f64 / 1_000.0 * speed;
                let minute = period.from().saturating_add(1).saturating_add(over as u16);
                let stoppage = minute.saturating_sub(period.to()).min(60);
                Minute::new(minute.min(period.to()).into(), stoppage.into()).map_err(bad)?
            }
        };
        if minute.period() != period {
            return Err(bad("one of the half that is being played"));
        }
        self.score = self.score.plus(side);
        Ok(Event::Goal(GoalScored {
            id: self.kick_off.id.clone(),
            teams: self.kick_off.teams.clone(),
            minute: minute.regular(),
            stoppage: minute.stoppage(),
            scorer: goal.scorer,
            team: goal.team,
            side,
            penalty: goal.penalty,
            own_goal: goal.own_goal,
            score: self.score,
        }))
    }

    /// The whistle that begins `to`, which follows `from`.
    fn whistle(&mut self, from: Phase, to: Phase, now: u64) -> Result<Event, Refusal> {
        if self.phase != from {
            return Err(Refusal::new("wrong_phase", "this does not come next"));
        }
        (self.phase, self.since) = (to, now);
        let KickOff { id, teams, .. } = self.kick_off.clone();
        let score = self.score;
        let winner = score.leader().map(|side| match side {
            Side::First => teams[0].clone(),
            Side::Second => teams[1].clone(),
        });
        Ok(match to {
            Phase::HalfTime => Event::HalfTime(Whistle { id, teams, score }),
            Phase::SecondHalf => Event::SecondHalf(Whistle { id, teams, score }),
            _ => Event::FullTime(FullTime {
                id,
                teams,
                score,
                penalties: None,
                winner,
            }),
        })
    }

    fn standing(&self) -> Standing {
        Standing {
            id: self.kick_off.id.clone(),
            teams: self.kick_off.teams.clone(),
            score: self.score,
            phase: self.phase,
        }
    }
}

fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    let is_plain = !name.chars().any(char::is_control);
    match (1..=NAME).contains(&name.trim().chars().count()) && is_plain {
        true => Ok(()),
        false => {
            let message = format!("`{field}`: a name has 1 to {NAME} characters");
            Err(Refusal::new("bad_name", message))
        }
    }
}

/// The room that is told what happens. It has no members.
#[derive(Debug, Default)]
pub(crate) struct Pitch {
    game: Option<Game>,
    matches: u32,
}

impl Pitch {
    /// Lets something happen in the match, and hands it on. What cannot be handed on has not happened.
    fn happens(
        &mut self,
        ctx: &RoomContext<Self>,
        what: impl FnOnce(&mut Game, f64) -> Result<Event, Refusal>,
    ) -> Result<Standing, Refusal> {
        let server = ctx.data::<PushedFeed>();
        let place = server.events.try_reserve().map_err(|_| busy())?;
        let none = || Refusal::new("no_match", "there is no match: send `kick_off` first");
        let game = self.game.as_mut().ok_or_else(none)?;
        place.send(what(game, server.speed)?);
        Ok(game.standing())
    }
}

fn busy() -> Refusal {
    Refusal::new("busy", "too much happens at the moment: try again")
}

#[courtside::room]
impl Pitch {
    fn config() -> RoomConfig {
        RoomConfig::default().empty_grace(std::time::Duration::MAX)
    }

    fn create(opening: Opening, ctx: &mut RoomContext<Self>) -> Result<Self, Refusal> {
        if opening.word != ctx.data::<PushedFeed>().word {
            return Err(Refusal::new("closed", "only the server has a pitch"));
        }
        ctx.set_private(true);
        ctx.lock();
        Ok(Self::default())
    }

    #[receive]
    fn kick_off(&mut self, begin: Begin, ctx: &mut RoomContext<Self>) -> Result<Standing, Refusal> {
        let is_on = |game: &Game| game.phase != Phase::FullTime;
        if self.game.as_ref().is_some_and(is_on) {
            return Err(Refusal::new(
                "match_on",
                "end this match first: send `full_time`",
            ));
        }
        let server = ctx.data::<PushedFeed>();
        let place = server.events.try_reserve().map_err(|_| busy())?;
        let (game, event) = Game::begin(self.matches + 1, begin, unix_ms())?;
        self.matches += 1;
        place.send(event);
        Ok(self.game.insert(game).standing())
    }

    #[receive]
    fn goal(&mut self, goal: Scored, ctx: &mut RoomContext<Self>) -> Result<Standing, Refusal> {
        self.happens(ctx, |game, speed| game.goal(goal, unix_ms(), speed))
    }

    #[receive]
    fn half_time(
        &mut self,
        _break: Break,
        ctx: &mut RoomContext<Self>,
    ) -> Result<Standing, Refusal> {
        self.happens(ctx, |game, _| {
            game.whistle(Phase::FirstHalf, Phase::HalfTime, unix_ms())
        })
    }

    #[receive]
    fn second_half(
        &mut self,
        _go_on: GoOn,
        ctx: &mut RoomContext<Self>,
    ) -> Result<Standing, Refusal> {
        self.happens(ctx, |game, _| {
            game.whistle(Phase::HalfTime, Phase::SecondHalf, unix_ms())
        })
    }

    #[receive]
    fn full_time(&mut self, _end: End, ctx: &mut RoomContext<Self>) -> Result<Standing, Refusal> {
        self.happens(ctx, |game, _| {
            game.whistle(Phase::SecondHalf, Phase::FullTime, unix_ms())
        })
    }
}

#[cfg(test)]
mod tests;
