//! A model of a server whose sessions and rooms survive it: what clients send and receive is neither lost nor repeated nor
//! reordered, whatever happens to connections and processes.
//!
//! Random schedules of two clients and three rooms, with cuts, kills at any byte, owners that stall and come back, pages that are
//! reloaded, and compaction, over the real journal on a simulated disk. Room A answers each action, and room B one in three: the
//! rest is committed with a later answer, or at a checkpoint. Room C is not durable: it ends with its process.
//!
//! Each rule of the journal has a mutant without it, which the same checks have to catch.

use std::collections::VecDeque;

use self::client::Client;
use self::server::Server;
use super::super::memory_storage::MemoryStorage;

mod client;
mod rebuilt;
mod server;

const ROOMS: usize = 3;
const A: usize = 0;
const C: usize = 2;
const CLIENTS: usize = 2;

/// What is wrong with a run.
type Check = Result<(), String>;

macro_rules! check {
    ($is_right:expr, $($why:tt)+) => {
        if !$is_right {
            return Err(format!($($why)+));
        }
    };
}
use check;

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mutant {
    /// Events leave when they are made, and not after the commit.
    NoGate,
    /// Actions are acknowledged when they are taken.
    AcknowledgesTaken,
    /// What a turn has consumed is logged as "up to" and not as a set.
    ConsumesUpTo,
    /// Each of two threads writes and sends by itself.
    InlineWithTwoThreads,
    /// A reloaded page numbers its actions on from the settled prefix.
    RenumbersFromPrefix,
    /// A reloaded page is told its numbers before they are committed.
    TellsRenumberingEarly,
    /// A session's snap claims to contain all that is in the journal, also what has not reached the session.
    SnapsWithoutPlace,
    /// A room's snap does not say which actions its state contains that no record has settled.
    SnapsWithoutConsumed,
}

const MUTANTS: [Mutant; 8] = [
    Mutant::NoGate,
    Mutant::AcknowledgesTaken,
    Mutant::ConsumesUpTo,
    Mutant::InlineWithTwoThreads,
    Mutant::RenumbersFromPrefix,
    Mutant::TellsRenumberingEarly,
    Mutant::SnapsWithoutPlace,
    Mutant::SnapsWithoutConsumed,
];

/// Random numbers from a seed (xorshift64*).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn is_one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }
}

/// An action, which the model tells from all others of its client by `id`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Action {
    number: u64,
    id: u64,
    room: usize,
}

struct World {
    random: Random,
    mutant: Option<Mutant>,
    clients: Vec<Client>,
    /// The present owner, and stalled ones that do not know it yet. A server is named by its number.
    server: Server,
    stalled: Vec<Server>,
    servers: usize,
    disk: MemoryStorage,
}

impl World {
    fn new(seed: u64, mutant: Option<Mutant>) -> Result<Self, String> {
        let disk = MemoryStorage::new();
        Ok(Self {
            random: Random::new(seed),
            mutant,
            clients: (0..CLIENTS).map(Client::new).collect(),
            server: Server::start(0, &disk, mutant)?,
            stalled: Vec::new(),
            servers: 1,
            disk,
        })
    }

    /// A server that still runs.
    fn some_server(&mut self) -> &mut Server {
        self.stalled.retain(|server| !server.is_dead());
        let at = self.random.below(self.stalled.len() + 1);
        match self.stalled.get_mut(at) {
            Some(server) => server,
            None => &mut self.server,
        }
    }

    /// The server that a client is connected to, if it still runs.
    fn server_of(&mut self, client: usize) -> Option<&mut Server> {
        let server = self.clients[client].server?;
        let mut all = self.stalled.iter_mut().chain([&mut self.server]);
        all.find(|candidate| candidate.name == server && !candidate.is_dead())
    }

    fn step(&mut self) -> Check {
        let client = self.random.below(CLIENTS);
        let room = self.random.below(ROOMS);
        match self.random.below(104) {
            0..18 => self.clients[client].act(room),
            18..34 => self.deliver_up(client)?,
            34..50 => self.deliver_down(client)?,
            50..66 => {
                let mut random = self.random.clone();
                self.some_server().turn(room, &mut random);
                self.random = random;
            }
            66..76 => self.some_server().commit()?,
            76..86 => {
                let lane = self.random.below(2);
                self.some_server().receive_released(lane);
            }
            86..89 => self.some_server().checkpoint(room, 0),
            89..92 => {
                if let Some(server) = self.server_of(client) {
                    let told = server.acknowledged(client);
                    self.clients[client].confirm_later(told);
                }
            }
            92..94 => self.clients[client].cut(),
            94..97 => self.connect(client)?,
            97 => self.kill()?,
            98 => self.overtake()?,
            99 => self.disk.die_after(self.random.below(300)),
            100 => self.clients[client].reload(),
            _ => self.some_server().rewrite(),
        }
        if self.server.is_dead() {
            self.kill()?;
        }
        Ok(())
    }

    fn deliver_up(&mut self, client: usize) -> Check {
        if let Some(action) = self.clients[client].up.pop_front()
            && let Some(server) = self.server_of(client)
        {
            server.take(client, action)?;
        }
        Ok(())
    }

    fn deliver_down(&mut self, client: usize) -> Check {
        let from = self.clients[client].sent_to;
        if let Some(server) = self.server_of(client) {
            let sent = server.events_from(client, from)?;
            self.clients[client].sent(sent);
        }
        self.clients[client].hear()
    }

    /// A client connects: it resumes, or it has lost its counts and gets new numbers first.
    fn connect(&mut self, client: usize) -> Check {
        if self.clients[client].server.is_some() {
            return Ok(());
        }
        if self.clients[client].has_counts {
            let received = self.server.resume(client, &self.clients[client])?;
            return self.clients[client].resumed(self.server.name, received);
        }
        if let Some((received, events)) = self.server.renumber(client) {
            self.clients[client].renumbered(self.server.name, received, events);
        }
        Ok(())
    }

    fn cut_from(&mut self, server: usize) {
        let connected = self.clients.iter_mut();
        connected
            .filter(|client| client.server == Some(server))
            .for_each(Client::cut);
    }

    /// All processes die, and a new one starts.
    fn kill(&mut self) -> Check {
        (0..self.servers).for_each(|server| self.cut_from(server));
        self.stalled.clear();
        self.disk = self.disk.kill();
        self.start()
    }

    /// The owner stalls, and another one takes over.
    fn overtake(&mut self) -> Check {
        self.disk = self.disk.another_process();
        self.disk.take_over();
        let next = match Server::start(self.servers, &self.disk, self.mutant) {
            Err(_) if self.disk.is_dead() => return self.kill(),
            next => next?,
        };
        self.servers += 1;
        self.stalled.push(std::mem::replace(&mut self.server, next));
        Ok(())
    }

    fn start(&mut self) -> Check {
        self.server = Server::start(self.servers, &self.disk, self.mutant)?;
        self.servers += 1;
        Ok(())
    }

    /// Lets everything arrive, and compares what both sides have.
    fn settle_down(&mut self) -> Check {
        self.stalled.clear();
        let mut is_quiet = false;
        for _ in 0..10_000 {
            if std::mem::replace(&mut is_quiet, true) && self.server.is_quiet() {
                break;
            }
            for client in 0..CLIENTS {
                if self.clients[client].server != Some(self.server.name) {
                    self.clients[client].cut();
                    self.connect(client)?;
                    is_quiet = false;
                }
                while !self.clients[client].up.is_empty() {
                    self.deliver_up(client)?;
                    is_quiet = false;
                }
            }
            for room in 0..ROOMS {
                self.server.turn(room, &mut self.random);
                self.server.checkpoint(room, 0);
            }
            while !self.server.is_quiet() {
                self.server.commit()?;
                self.server.receive_released(0);
                self.server.receive_released(1);
                is_quiet = false;
            }
            for client in 0..CLIENTS {
                let told = self.server.acknowledged(client);
                self.clients[client].confirm_later(told);
                let before = self.clients[client].heard();
                self.deliver_down(client)?;
                while self.clients[client].hear_next()? {}
                is_quiet &= before == self.clients[client].heard();
            }
        }
        check!(is_quiet, "the model does not settle down");
        for client in &self.clients {
            client.check(&self.server)?;
        }
        self.server.check()
    }
}

fn run(seed: u64, mutant: Option<Mutant>, steps: usize) -> Check {
    let mut world = World::new(seed, mutant)?;
    for _ in 0..steps {
        world.step()?;
    }
    if world.disk.set_life_forever() {
        world.kill()?;
    }
    world.settle_down()
}

#[test]
fn nothing_is_lost_repeated_or_reordered() {
    for seed in 0..800 {
        if let Err(why) = run(seed, None, 400) {
            panic!("seed {seed}: {why}");
        }
    }
}

#[test]
fn each_rule_has_a_mutant_that_is_caught() {
    for mutant in MUTANTS {
        let caught = (0..2000).find(|seed| run(*seed, Some(mutant), 400).is_err());
        assert!(caught.is_some(), "{mutant:?} is not caught");
    }
}

/// The process dies at each byte that it appends in a busy while.
#[test]
fn a_process_may_die_at_every_byte() {
    let busy = |world: &mut World| -> Result<(), String> {
        for turn in 0..60 {
            for client in 0..CLIENTS {
                world.connect(client)?;
                world.clients[client].act((turn + client) % ROOMS);
                world.deliver_up(client)?;
            }
            world.server.turn(turn % ROOMS, &mut world.random);
            if turn % 3 == 0 {
                world.server.rewrite();
            }
            if turn % 2 == 0 {
                world.server.commit()?;
                if world.server.is_dead() {
                    world.kill()?;
                }
            }
            for client in 0..CLIENTS {
                world.server.receive_released(0);
                world.deliver_down(client)?;
            }
        }
        Ok(())
    };
    let mut world = World::new(1, None).unwrap();
    let before = world.disk.appended();
    busy(&mut world).unwrap();
    let bytes = world.disk.appended() - before;
    assert!(bytes > 2000, "{bytes}");
    for byte in 0..bytes {
        let mut world = World::new(1, None).unwrap();
        world.disk.die_after(byte);
        let done = busy(&mut world).and_then(|()| world.settle_down());
        assert_eq!(done, Ok(()), "at byte {byte}");
    }
}
