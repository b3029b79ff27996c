//! The pilot of a ship, and the pilot's score in the round.

use crate::bot::Bot;
use crate::inputs::Inputs;
use crate::rng::Rng;
use crate::round::Standing;
use crate::ship::ShipId;

/// How many colours there are: one for each ship of a full arena.
pub const HUES: u8 = 12;

/// Who controls the ship.
#[derive(Debug)]
pub enum Hands {
    /// A member of the arena, with these inputs.
    Player(Inputs),
    /// Nobody.
    Bot(Bot),
}

/// The pilot of one ship.
#[derive(Debug)]
pub struct Pilot {
    /// The name shown beside the ship.
    pub name: String,
    /// The number of the ship's colour.
    pub hue: u8,
    /// Who controls the ship.
    pub hands: Hands,
    /// Points of this round.
    pub score: u32,
    /// Ships destroyed in this round.
    pub kills: u32,
    /// How often the pilot's ship was destroyed in this round.
    pub deaths: u32,
    /// Ships destroyed since the pilot's own ship was.
    pub streak: u32,
}

/// Points for a ship.
const KILL: u32 = 100;
/// Points for a shot that damages a hull.
const HIT: u32 = 5;
/// Extra points for each ship since the pilot's own was destroyed, up to [`LONGEST_STREAK`] of them.
const STREAK: u32 = 25;
const LONGEST_STREAK: u32 = 4;

const BOT_NAMES: [&str; 16] = [
    "Biscuit", "Comet", "Dynamo", "Echo", "Fennel", "Gizmo", "Juno", "Kestrel", "Moss", "Nimbus",
    "Pixel", "Quill", "Rook", "Saffron", "Turbo", "Zephyr",
];

impl Pilot {
    /// A pilot without points.
    pub fn new(name: String, hue: u8, hands: Hands) -> Self {
        Self {
            name,
            hue,
            hands,
            score: 0,
            kills: 0,
            deaths: 0,
            streak: 0,
        }
    }

    /// Whether the pilot is a bot.
    pub fn is_bot(&self) -> bool {
        matches!(self.hands, Hands::Bot(_))
    }

    /// The number of the player's last input that the ship has followed; 0 before the first, and for bots.
    pub fn applied(&self) -> u32 {
        match &self.hands {
            Hands::Player(inputs) => inputs.applied(),
            Hands::Bot(_) => 0,
        }
    }

    /// Credits a shot that damages a hull.
    pub fn score_hit(&mut self) {
        self.score += HIT;
    }

    /// Credits a destroyed ship and returns its points.
    pub fn score_kill(&mut self) -> u32 {
        let points = KILL + STREAK * self.streak.min(LONGEST_STREAK);
        self.score += points;
        self.kills += 1;
        self.streak += 1;
        points
    }

    /// Records that the pilot's ship was destroyed.
    pub fn lose_ship(&mut self) {
        self.deaths += 1;
        self.streak = 0;
    }

    /// Resets the points for a new round.
    pub fn begin_round(&mut self) {
        (self.score, self.kills, self.deaths, self.streak) = (0, 0, 0, 0);
    }

    /// The pilot's result of this round.
    pub fn standing(&self, ship: ShipId) -> Standing {
        Standing {
            ship,
            score: self.score,
            deaths: self.deaths,
        }
    }
}

/// A name for a player that has given none.
pub fn generated_name(rng: &mut Rng) -> String {
    format!("Pilot {}", 10 + rng.below(90))
}

/// A bot's name that is not in `taken`, as long as there are any.
pub fn bot_name<'a>(taken: impl Iterator<Item = &'a str>, rng: &mut Rng) -> String {
    let taken: Vec<&str> = taken.collect();
    let free: Vec<&str> = BOT_NAMES
        .into_iter()
        .filter(|name| !taken.contains(name))
        .collect();
    let name = free.get(rng.below(free.len())).copied();
    name.unwrap_or("Bot").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_is_worth_more_and_ends_with_the_ship() {
        let mut pilot = Pilot::new("Ann".to_owned(), 0, Hands::Player(Inputs::default()));
        let points: Vec<u32> = (0..6).map(|_| pilot.score_kill()).collect();
        assert_eq!(points, [100, 125, 150, 175, 200, 200]);
        pilot.lose_ship();
        assert_eq!(pilot.score_kill(), 100);
        assert_eq!((pilot.kills, pilot.deaths, pilot.score), (7, 1, 1050));
    }

    #[test]
    fn bots_do_not_share_a_name_while_there_are_others() {
        let mut rng = Rng::new(1);
        let mut names: Vec<String> = Vec::new();
        for _ in 0..BOT_NAMES.len() {
            let name = bot_name(names.iter().map(String::as_str), &mut rng);
            assert!(!names.contains(&name));
            names.push(name);
        }
        assert_eq!(bot_name(names.iter().map(String::as_str), &mut rng), "Bot");
    }
}
