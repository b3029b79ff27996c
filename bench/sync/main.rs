//! `courtside-sync-bench`: the cost of finding and writing the changes of a state, without a network.
#![deny(unsafe_op_in_unsafe_fn)]
#![allow(clippy::print_stdout, reason = "it is a program for a terminal")]

mod allocations;
mod world;

use std::time::{Duration, Instant};

use clap::Parser;
use courtside::bench::sync::{Shared, View};
use courtside::{Format, Grid, Subset};
use serde::Serialize;

use allocations::Counting;
use world::World;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Measures state synchronisation.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// How many ticks are measured, after a tenth as many without measurement.
    #[arg(long, default_value_t = 5000)]
    ticks: u32,
    /// Ships that all members see.
    #[arg(long, default_value_t = 200)]
    ships: u32,
    /// How many of them move in each tick.
    #[arg(long, default_value_t = 50)]
    moving: u32,
    /// Ships in the world of which each member sees a part; the same fraction of them moves.
    #[arg(long, default_value_t = 1000)]
    far_ships: u32,
    /// Members of that world.
    #[arg(long, default_value_t = 100)]
    members: u32,
    /// Approximately how many ships each of them sees.
    #[arg(long, default_value_t = 40)]
    sees: u32,
    /// The width of the world that all members see. Ships circle, so some leave it slightly.
    #[arg(long, default_value_t = 1000.0)]
    width: f64,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Measure nothing; print what is sent, for comparisons: in JSON the whole state, and then, line by line, each tick's patch
    /// with how many bytes it has in MessagePack.
    #[arg(long)]
    record: bool,
}

/// Everything, as it is printed.
#[derive(Serialize)]
struct Report {
    ships: u32,
    moving: u32,
    ticks: u32,
    patch: [Patches; 2],
    /// For a tick in which nothing changed.
    unchanged_us: f64,
    unchanged_allocations: f64,
    hash_us: f64,
    views: Views,
}

/// One format's patches.
#[derive(Serialize)]
struct Patches {
    format: &'static str,
    /// Update and patch.
    us: f64,
    bytes: f64,
    allocations: f64,
    /// rmp-serde, named fields, of the whole state, each time right after the patch.
    rmp_named_us: f64,
    rmp_named_bytes: usize,
    /// The first divided by that.
    ratio: f64,
    /// The cost of a new table of keys; JSON needs none.
    begin_table_us: f64,
    whole_us: f64,
    whole_bytes: usize,
}

#[derive(Serialize)]
struct Views {
    ships: u32,
    moving: u32,
    members: u32,
    /// How many ships each member saw, on average.
    seen: f64,
    /// All members' views and patches of a tick: finding what is near, updating, writing.
    us_per_tick: f64,
    bytes_per_member: f64,
    allocations_per_member: f64,
    wholes: u32,
}

fn main() {
    let cli = Cli::parse();
    if cli.record {
        record(&cli);
        return;
    }
    let report = measure(&cli);
    if cli.json {
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        print(&report);
    }
}

fn measure(cli: &Cli) -> Report {
    let patch = Format::ALL.map(|format| patches(cli, format));
    let world = World::new(cli.ships, cli.width);
    let mut shared = Shared::default();
    shared.update(&world);
    let hash_us = each(cli.ticks / 10, |_| {
        std::hint::black_box(shared.hash(Format::MsgPack));
    });
    let mut bytes = Vec::new();
    let before = allocations::count();
    let unchanged_us = each(cli.ticks, |_| {
        bytes.clear();
        if shared.update(&world) != Some(false) {
            shared.write_patch(Format::MsgPack, &mut bytes);
        }
    });
    Report {
        ships: cli.ships,
        moving: cli.moving,
        ticks: cli.ticks,
        patch,
        unchanged_us,
        unchanged_allocations: (allocations::count() - before) as f64 / f64::from(cli.ticks),
        hash_us,
        views: views(cli),
    }
}

fn patches(cli: &Cli, format: Format) -> Patches {
    let mut world = World::new(cli.ships, cli.width);
    let (mut shared, mut whole, mut out) = (Shared::default(), Vec::new(), Vec::new());
    shared.update(&world);
    let begin_table_us = each(cli.ticks / 10, |_| shared.begin_table());
    let whole_us = each(cli.ticks / 10, |_| {
        whole.clear();
        shared.write_whole(format, &mut whole);
    });
    let mut spent = Vec::with_capacity(cli.ticks as usize);
    let mut rmp_spent = Vec::with_capacity(cli.ticks as usize);
    let (mut bytes, mut allocated, mut named) = (0, 0, Vec::new());
    for tick in 0..cli.ticks / 10 + cli.ticks {
        world.step(tick, cli.moving, None);
        out.clear();
        let (before, began) = (allocations::count(), now());
        shared.update(&world);
        shared.write_patch(format, &mut out);
        if tick >= cli.ticks / 10 {
            spent.push(began.elapsed());
            allocated += allocations::count() - before;
            bytes += out.len();
        }
        named.clear();
        let began = now();
        let mut serializer = rmp_serde::Serializer::new(&mut named).with_struct_map();
        let _written = world.serialize(&mut serializer);
        if tick >= cli.ticks / 10 {
            rmp_spent.push(began.elapsed());
        }
    }
    let (us, rmp_named_us) = (undisturbed(spent), undisturbed(rmp_spent));
    let ticks = f64::from(cli.ticks);
    Patches {
        format: format.name(),
        us,
        bytes: bytes as f64 / ticks,
        allocations: allocated as f64 / ticks,
        rmp_named_us,
        rmp_named_bytes: named.len(),
        ratio: us / rmp_named_us,
        begin_table_us,
        whole_us,
        whole_bytes: whole.len(),
    }
}

fn record(cli: &Cli) {
    let mut world = World::new(cli.ships, cli.width);
    let (mut shared, mut json, mut msgpack) = (Shared::default(), Vec::new(), Vec::new());
    shared.update(&world);
    shared.begin_table();
    shared.write_whole(Format::Json, &mut json);
    shared.write_whole(Format::MsgPack, &mut msgpack);
    for tick in 0..=cli.ticks {
        println!(
            r#"{{"msgpack":{},"json":{}}}"#,
            msgpack.len(),
            String::from_utf8_lossy(&json)
        );
        json.clear();
        msgpack.clear();
        world.step(tick, cli.moving, None);
        shared.update(&world);
        shared.write_patch(Format::Json, &mut json);
        shared.write_patch(Format::MsgPack, &mut msgpack);
    }
}

/// A member's view.
#[derive(Serialize)]
struct Sight<T> {
    ships: T,
}

fn views(cli: &Cli) -> Views {
    let ticks = cli.ticks / 10;
    let width = 10_000.0;
    // A circle that holds as many as are to be seen, if all are spread evenly.
    let radius =
        width * (f64::from(cli.sees) / f64::from(cli.far_ships) / std::f64::consts::PI).sqrt();
    let moving = cli.far_ships / (cli.ships / cli.moving.max(1)).max(1);
    let mut world = World::new(cli.far_ships, width);
    let mut grid = Grid::new(radius);
    for (id, ship) in &world.ships {
        grid.place(*id, ship.x.get(), ship.y.get());
    }
    let mut shared = Shared::default();
    let mut members: Vec<View> = (0..cli.members).map(|_| View::default()).collect();
    let mut spent = Vec::with_capacity(ticks as usize);
    let (mut bytes, mut seen, mut wholes, mut allocated) = (0, 0, 0, 0);
    let (mut near, mut out) = (Vec::new(), Vec::new());
    for tick in 0..ticks + ticks / 10 {
        world.step(tick, moving, Some(&mut grid));
        let is_measured = tick >= ticks / 10;
        let (before, began) = (allocations::count(), now());
        shared.update(&serde_json::json!({ "round": 1 }));
        for (own, member) in (0..).zip(&mut members) {
            let Some(ship) = world.ships.get(&own) else {
                continue;
            };
            near.clear();
            near.extend(grid.within(ship.x.get(), ship.y.get(), radius));
            near.sort_unstable();
            let ships = Subset::new(&near, |id| world.ships.get(id));
            out.clear();
            member.update(&shared, &Sight { ships });
            let is_patch = member.write(&shared, Format::MsgPack, &mut out);
            if is_measured {
                (seen, bytes) = (seen + near.len(), bytes + out.len());
                wholes += u32::from(!is_patch);
            }
        }
        if is_measured {
            spent.push(began.elapsed());
            allocated += allocations::count() - before;
        }
    }
    let told = f64::from(ticks) * f64::from(cli.members);
    Views {
        ships: cli.far_ships,
        moving,
        members: cli.members,
        seen: seen as f64 / told,
        us_per_tick: undisturbed(spent),
        bytes_per_member: bytes as f64 / told,
        allocations_per_member: allocated as f64 / told,
        wholes,
    }
}

/// How long one of the runs took without disturbance, in microseconds.
fn each(times: u32, mut run: impl FnMut(u32)) -> f64 {
    let mut spent = Vec::with_capacity(times as usize);
    for n in 0..times {
        let began = now();
        run(n);
        spent.push(began.elapsed());
    }
    undisturbed(spent)
}

/// The value that nine of ten runs reached or exceeded, in microseconds. The mean would depend more on other load of the machine.
fn undisturbed(mut spent: Vec<Duration>) -> f64 {
    spent.sort_unstable();
    let tenth = spent.get(spent.len() / 10).copied();
    tenth.unwrap_or_default().as_secs_f64() * 1e6
}

#[allow(clippy::disallowed_methods, reason = "it measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn print(report: &Report) {
    println!(
        "{} ships, {} move in each of {} ticks",
        report.ships, report.moving, report.ticks
    );
    for patch in &report.patch {
        println!(
            "  {:<8} update and patch {:.2} µs, {:.0} bytes, {:.2} allocations; \
             rmp-serde, named, of all of it {:.2} µs, {} bytes: {:.2} times that",
            patch.format,
            patch.us,
            patch.bytes,
            patch.allocations,
            patch.rmp_named_us,
            patch.rmp_named_bytes,
            patch.ratio
        );
        println!(
            "           whole {:.2} µs, {} bytes; a new table of keys {:.2} µs",
            patch.whole_us, patch.whole_bytes, patch.begin_table_us
        );
    }
    println!(
        "  nothing changed: {:.2} µs, {:.2} allocations; hash {:.2} µs",
        report.unchanged_us, report.unchanged_allocations, report.hash_us
    );
    let views = &report.views;
    println!(
        "{} ships, {} move in each tick, {} members each of whom sees about {:.0}",
        views.ships, views.moving, views.members, views.seen
    );
    println!(
        "  {:.0} µs in a tick for all; for each member {:.0} bytes and {:.2} allocations; {} whole states",
        views.us_per_tick, views.bytes_per_member, views.allocations_per_member, views.wholes
    );
}
