//! The whole client against a scripted server, over a cable, on a paused clock, in both formats.

mod delivery;
mod ends;
mod peer;
mod requests;
mod returning;
mod socket;
