//! What a process has used, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// `USER_HZ`, which is 100 on every Linux that matters.
const TICKS_PER_SECOND: u64 = 100;

/// A process to be watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

/// What it has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Time on a processor, in user and kernel.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) memory: u64,
}

impl Process {
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// Fails if there is no such process.
    pub(crate) fn find(pid: u32) -> io::Result<Self> {
        let process = Self(pid);
        process.usage().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!(
                    "process {pid} cannot be watched: {error}; `--pid` is that of the server, on this machine (Linux only)"
                ),
            )
        })?;
        Ok(process)
    }

    pub(crate) fn usage(self) -> io::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        parse(&stat, &status).ok_or_else(|| io::Error::other("its /proc files cannot be read"))
    }
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The name in parentheses may contain spaces; user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = resident?.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Usage {
        cpu: Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND),
        memory: kilobytes << 10,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_confuse() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 1 2 3";
        let usage = parse(stat, "Name:\tx\nVmRSS:\t  12 kB\n").unwrap();
        assert_eq!(usage.cpu, Duration::from_secs(2));
        assert_eq!(usage.memory, 12 << 10);
    }
}
