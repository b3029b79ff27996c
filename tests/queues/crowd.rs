//! Many players at once, alone and in parties, whose connections come and go.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use courtside::Format;
use courtside::client::{CallError, Client, Party};
use courtside::matchmaking::{Made, Player, RankRule};
use courtside::testing::{TestServer, run};
use courtside_tests::queue_tools::{DuelOptions, Played, builder, player, ranked, secs};
use tokio::time::{sleep, timeout};

const PLAYERS: usize = 300;

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A player, or one of a party, with a rank.
struct Seeker {
    name: String,
    rank: i64,
    party: Option<Party>,
}

fn seekers(dice: &mut Dice) -> Vec<Seeker> {
    let mut seekers = Vec::new();
    for n in 0.. {
        if seekers.len() >= PLAYERS {
            break;
        }
        let size = 1 + (dice.roll(6) / 4) as usize + (dice.roll(8) / 7) as usize;
        let rank = 1000 + dice.roll(1000) as i64;
        let party = (size > 1).then(|| Party::new(format!("party {n}"), size));
        seekers.extend((0..size).map(|of| Seeker {
            name: format!("p{n}.{of}"),
            rank: rank + dice.roll(80) as i64,
            party: party.clone(),
        }));
    }
    seekers
}

async fn search(client: &Client, seeker: &Seeker) -> Result<String, CallError> {
    let room = match &seeker.party {
        Some(party) => client.find_match_with("duel", &(), party).await,
        None => client.find_match("duel", &()).await,
    };
    room.map(|room| room.id().to_string())
}

#[test]
fn nobody_plays_twice_and_nobody_is_forgotten() {
    run(async {
        let made: Arc<Mutex<Vec<Made>>> = Arc::default();
        let rule = RankRule::new(4).window(50).widening(20);
        let noted = made.clone();
        let queue = ranked(rule).timeout(secs(600)).options(move |made| {
            noted.lock().unwrap().push(made.clone());
            let of = |player: &Player| (player.data.as_str().unwrap().to_owned(), player.rank);
            DuelOptions {
                players: made.players.iter().map(of).collect(),
                ..DuelOptions::default()
            }
        });
        let played = Played::default();
        let server = TestServer::start(builder(&played, queue), 3).await.unwrap();
        let mut dice = Dice(7);
        let seekers = Rc::new(seekers(&mut dice));
        let (found, gone) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut tasks = Vec::new();
        for at in 0..seekers.len() {
            let format = [Format::Json, Format::MsgPack][at % 2];
            let seeker = &seekers[at];
            let options = player(format, &seeker.name, seeker.rank);
            let client = server.client(options).await.unwrap();
            let delay = dice.roll(60_000);
            // One in twenty of those who are alone closes at some time.
            let closes = (seeker.party.is_none() && dice.roll(20) == 0).then(|| dice.roll(9000));
            let pause = 1000 + dice.roll(9000);
            let (seekers, found, gone) = (seekers.clone(), found.clone(), gone.clone());
            tasks.push(tokio::task::spawn_local(async move {
                sleep(Duration::from_millis(delay)).await;
                let cutter = client.clone();
                let cuts = tokio::task::spawn_local(async move {
                    loop {
                        sleep(Duration::from_millis(pause)).await;
                        cutter.cut();
                    }
                });
                let reader = client.clone();
                let reads =
                    tokio::task::spawn_local(async move { while reader.next().await.is_some() {} });
                let searching = search(&client, &seekers[at]);
                let time = closes.map_or(secs(1200), Duration::from_millis);
                let result = timeout(time, searching).await;
                cuts.abort();
                match result {
                    Ok(room) => {
                        found.set(found.get() + 1);
                        room.map(Some)
                    }
                    Err(_) => {
                        client.close().await;
                        reads.abort();
                        gone.set(gone.get() + 1);
                        Ok(None)
                    }
                }
                .map(|room| (at, client, room))
                .map_err(|error| (at, error))
            }));
        }
        let mut rooms = BTreeMap::<String, BTreeSet<String>>::new();
        let (mut clients, mut rest) = (Vec::new(), Vec::new());
        for task in tasks {
            match task.await.unwrap() {
                Ok((at, client, Some(room))) => {
                    let is_new = rooms
                        .entry(room)
                        .or_default()
                        .insert(seekers[at].name.clone());
                    assert!(is_new);
                    clients.push(client);
                }
                Ok((_, _, None)) => {}
                Err((at, error)) => {
                    assert_eq!(error, CallError::NoMatch("timeout".to_owned()));
                    rest.push(seekers[at].name.clone());
                }
            }
        }
        let made = made.lock().unwrap().clone();
        println!(
            "{} rooms for {} of {}, {} gone, {} without",
            made.len(),
            found.get(),
            seekers.len(),
            gone.get(),
            rest.len()
        );
        check_rest(&rest);
        assert!(gone.get() < 40);
        assert_eq!(made.len(), played.rooms().len(), "one room for each match");
        let mut seen = BTreeSet::new();
        for one in &made {
            assert_eq!(one.players.len(), 4);
            let lines = &played.rooms()[one.room.as_str()];
            let names: BTreeSet<_> = one
                .players
                .iter()
                .map(|p| p.data.as_str().unwrap().to_owned())
                .collect();
            for name in &names {
                assert!(seen.insert(name.clone()), "{name} plays twice");
                let entered = lines[1..].iter().filter(|line| *line == name).count();
                // Somebody may have closed its client between its join and the room's beginning.
                assert!(entered <= 1);
            }
            if let Some(found) = rooms.get(one.room.as_str()) {
                assert!(found.is_subset(&names));
            }
            check_windows(one);
            check_parties(&names, &seekers);
        }
        let in_rooms: usize = rooms.values().map(BTreeSet::len).sum();
        assert_eq!(in_rooms, found.get() - rest.len());
    });
}

/// Of those who are left at the end, none could have made up another match.
fn check_rest(rest: &[String]) {
    let mut sizes = BTreeMap::<_, usize>::new();
    for name in rest {
        *sizes.entry(name.split_once('.').unwrap().0).or_default() += 1;
    }
    let mut sums = BTreeSet::from([0]);
    for size in sizes.values() {
        sums.extend(sums.clone().into_iter().map(|sum| sum + size));
    }
    assert!(!sums.contains(&4), "{rest:?}");
}

/// Every ticket is within the window of every other.
fn check_windows(made: &Made) {
    let mut tickets = BTreeMap::<_, (Vec<i64>, u128)>::new();
    for player in &made.players {
        let ticket = tickets.entry(player.ticket).or_default();
        ticket.0.push(player.rank);
        ticket.1 = player.waited.as_millis();
    }
    let mean = |ranks: &[i64]| ranks.iter().sum::<i64>() / ranks.len() as i64;
    for (ranks, waited) in tickets.values() {
        for (others, _) in tickets.values() {
            let distance = mean(ranks).abs_diff(mean(others));
            let window = 50 + waited * 20 / 1000;
            assert!(u128::from(distance) <= window, "{distance} > {window}");
        }
    }
}

/// Whoever is in a party plays with all of it.
fn check_parties(names: &BTreeSet<String>, seekers: &[Seeker]) {
    for name in names {
        let of = name.split_once('.').unwrap().0;
        let with = |seeker: &&Seeker| seeker.name.split_once('.').unwrap().0 == of;
        assert!(
            seekers
                .iter()
                .filter(with)
                .all(|seeker| names.contains(&seeker.name))
        );
    }
}
