//! The runs: disturbances of server, network and clients, and the table of outcomes.

use std::io;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cli::{Fault, FreezeArgs, HistoriesArgs, Library, OutageArgs, Way};
use crate::host::{Players, Server};
use crate::proxy::{Proxy, Weather};
use crate::summary::Summary;

/// How long players play before and after the disturbance.
const AROUND: Duration = Duration::from_secs(4);

/// How long clients whose estimate of the window has ended may take to find a server that is back.
const RETURN: Duration = Duration::from_secs(35);

const HEADER: &str =
    "proof                          library     clients resumed    lost  closed missing   stuck";

/// Runs all of them in parallel, and prints a line for each as soon as it has ended. Returns false if one failed.
fn all<Run>(runs: Vec<(String, Library, Run)>) -> io::Result<bool>
where
    Run: FnOnce() -> io::Result<Summary> + Send,
{
    println!("{HEADER}");
    thread::scope(|scope| {
        let running: Vec<_> = runs
            .into_iter()
            .map(|(name, library, run)| scope.spawn(move || line(&name, library, run())))
            .collect();
        let mut is_whole = true;
        for run in running {
            is_whole &= run
                .join()
                .map_err(|_| io::Error::other("a run panicked"))??;
        }
        Ok(is_whole)
    })
}

fn line(name: &str, library: Library, summary: io::Result<Summary>) -> io::Result<bool> {
    let Summary {
        clients,
        resumed,
        lost,
        closed,
        missing,
        stuck,
        ref reasons,
    } = *summary.as_ref().map_err(|error| {
        println!("{name:<30} {library:?}: {error}");
        io::Error::new(error.kind(), error.to_string())
    })?;
    let library = format!("{library:?}").to_lowercase();
    println!(
        "{name:<30} {library:<10} {clients:>8} {resumed:>7} {lost:>7} {closed:>7} {missing:>7} {stuck:>7}"
    );
    for reason in reasons {
        println!("  {reason}");
    }
    Ok(summary.is_ok_and(|summary| summary.is_whole()))
}

/// All durations at once, one library and way of the server after the other.
pub(crate) fn freeze(args: &FreezeArgs) -> io::Result<bool> {
    let mut is_whole = true;
    for way in &args.way {
        for library in &args.library {
            let run = |secs: u64| {
                let (way, library, clients) = (*way, *library, args.clients);
                let run = move || freeze_once(way, library, clients, Duration::from_secs(secs));
                (
                    format!("frozen for {secs} s, {way:?}").to_lowercase(),
                    library,
                    run,
                )
            };
            is_whole &= all(args.secs.iter().copied().map(run).collect())?;
        }
    }
    Ok(is_whole)
}

fn freeze_once(
    way: Way,
    library: Library,
    clients: usize,
    duration: Duration,
) -> io::Result<Summary> {
    let server = Server::start(way, "127.0.0.1:0", &[])?;
    let players = Players::start(library, server.address, clients, 0)?;
    thread::sleep(AROUND);
    server.signal(Signal::SIGSTOP)?;
    thread::sleep(duration);
    server.signal(Signal::SIGCONT)?;
    thread::sleep(RETURN);
    Ok(players.end())
}

/// All durations at once, one library and fault after the other.
pub(crate) fn outage(args: &OutageArgs) -> io::Result<bool> {
    let mut is_whole = true;
    for fault in &args.fault {
        for library in &args.library {
            let run = |secs: u64| {
                let (fault, library, clients) = (*fault, *library, args.clients);
                let run = move || outage_once(fault, library, clients, Duration::from_secs(secs));
                (
                    format!("no network for {secs} s, {fault:?}").to_lowercase(),
                    library,
                    run,
                )
            };
            is_whole &= all(args.secs.iter().copied().map(run).collect())?;
        }
    }
    Ok(is_whole)
}

fn outage_once(
    fault: Fault,
    library: Library,
    clients: usize,
    duration: Duration,
) -> io::Result<Summary> {
    let server = Server::start(Way::Lean, "127.0.0.1:0", &[])?;
    let network = Proxy::start(server.address)?;
    let players = Players::start(library, network.address, clients, 0)?;
    thread::sleep(AROUND);
    network.set(match fault {
        Fault::Refuse => Weather::Refusing,
        Fault::Swallow => Weather::Swallowing,
    });
    thread::sleep(duration);
    network.set(Weather::Fine);
    thread::sleep(RETURN);
    Ok(players.end())
}

pub(crate) fn histories(args: &HistoriesArgs) -> io::Result<bool> {
    let mut is_whole = true;
    for library in &args.library {
        let library = *library;
        let many = move || at_once(library, 128, 70);
        let full = move || at_once(library, 8, 2_500);
        is_whole &= all(vec![("128 channels at once".to_owned(), library, many)])?;
        is_whole &= all(vec![(
            "8 channels of 250 KB at once".to_owned(),
            library,
            full,
        )])?;
        let again = move || restart(library, args.clients);
        is_whole &= all(vec![(
            "8 channels, server restarted".to_owned(),
            library,
            again,
        )])?;
    }
    Ok(is_whole)
}

fn at_once(library: Library, channels: usize, bytes: usize) -> io::Result<Summary> {
    let server = Server::start(Way::Lean, "127.0.0.1:0", &filled(channels, bytes))?;
    let players = Players::start(library, server.address, 4, channels)?;
    Ok(players.end())
}

/// A new server replaces the old one and has none of the sessions. Here, lost sessions are not a failure.
fn restart(library: Library, clients: usize) -> io::Result<Summary> {
    let server = Server::start(Way::Lean, "127.0.0.1:0", &filled(8, 70))?;
    let address = server.address;
    let players = Players::start(library, address, clients, 8)?;
    drop(server);
    let server = Server::start(Way::Lean, &address.to_string(), &filled(8, 70))?;
    thread::sleep(RETURN);
    let mut summary = players.end();
    drop(server);
    // Each exactly once: a second loss would be a session that the new server lost.
    let began_anew = std::mem::take(&mut summary.lost);
    if began_anew != clients {
        summary.lost = clients.abs_diff(began_anew);
        summary.reason(format!("{began_anew} of {clients} came back"));
    }
    Ok(summary)
}

fn filled(channels: usize, bytes: usize) -> Vec<String> {
    vec![
        format!("--histories={channels}"),
        format!("--publication-bytes={bytes}"),
    ]
}
