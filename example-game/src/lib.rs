//! An arena for the browser: the example game of courtside.
//!
//! From the inside out:
//!
//! - [`world`] is the simulation: [`ship`], [`shot`] and [`pickup`] on a [`field`], stepped by a fixed tick.
//! - [`game`] is the rules around it: [`round`], points ([`pilot`]) and [`bot`]s.
//! - [`arena`] is the room, with a hook for what happens to members and a handler for each of the [`messages`]; [`chat`] and
//!   [`leaderboard`] are its rules, [`shared`] is what everybody sees and [`sight`] what one member sees beside it.
//! - [`sign_in`] issues the passes by which a [`player`] is recognised, and [`roster`] makes all tabs of a player one entry.
//! - [`calls`] are the requests to the server itself: the best scores, and private arenas. [`ratings`] are by which the queue finds
//!   opponents, and [`throttle`] bounds what one visitor can ask for.
//! - [`site`] puts it all together; [`pages`] is the page, which is in the folder `page`.
#![forbid(unsafe_code)]

pub mod arena;
pub mod bot;
pub mod calls;
pub mod chat;
pub mod field;
pub mod flight;
pub mod game;
pub mod happening;
pub mod inputs;
pub mod leaderboard;
pub mod messages;
pub mod pages;
pub mod pickup;
pub mod pilot;
pub mod player;
pub mod ratings;
pub mod rng;
pub mod roster;
pub mod round;
pub mod settings;
pub mod shared;
pub mod ship;
pub mod shot;
pub mod sight;
pub mod sign_in;
pub mod site;
pub mod throttle;
pub mod vector;
pub mod world;
