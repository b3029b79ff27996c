//! The resources that a process has used, from its CPU clock and `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// A process to be watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

/// The resources used so far.
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
        Ok(Usage {
            cpu: self.cpu()?,
            memory: self.memory()?,
        })
    }

    /// In nanoseconds; `/proc/<pid>/stat` counts in units of 10 ms, and a storm of 5,000 takes only 300 ms.
    #[cfg(target_os = "linux")]
    fn cpu(self) -> io::Result<Duration> {
        use nix::time::{clock_getcpuclockid, clock_gettime};
        let process = nix::unistd::Pid::from_raw(self.0.cast_signed());
        Ok(clock_gettime(clock_getcpuclockid(process)?)?.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn cpu(self) -> io::Result<Duration> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        resident(&status).ok_or_else(|| io::Error::other("its memory cannot be read"))
    }

    /// The number of open files, including sockets.
    pub(crate) fn files(self) -> io::Result<u64> {
        let folder = format!("/proc/{}/fd", self.0);
        // Kernels from 6.2 on report the number as the folder's size; counting a thousand entries would affect the result.
        match fs::metadata(&folder)?.len() {
            0 => Ok(fs::read_dir(&folder)?.count() as u64),
            files => Ok(files),
        }
    }
}

fn resident(status: &str) -> Option<u64> {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = resident?.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t  12 kB\n"), Some(12 << 10));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_knows_what_itself_uses() {
        let usage = Process::own().usage().unwrap();
        assert!(usage.cpu > Duration::ZERO && usage.memory > 0);
        assert!(Process::own().files().unwrap() > 2);
    }
}
