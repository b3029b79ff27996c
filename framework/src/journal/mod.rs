//! The journal: what has happened in a server, in one order, on a disk.
//!
//! A [`RecordList`](record_list::RecordList) collects the [records](record) of a thread's turn. The [`Writer`](writer::Writer)
//! appends lists to [segments](segment) as [batches](batch), behind the port [`Storage`](storage::Storage). A
//! [`Replay`](replay::Replay) reads them back.
//!
//! [`Settled`](settled::Settled) counts the actions of one session.
//!
//! Everything here is synchronous, and is handed the time.

pub(crate) mod batch;
pub(crate) mod committer;
pub(crate) mod compaction;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod file_storage;
pub(crate) mod gate;
pub(crate) mod head;
pub(crate) mod journal_thread;
pub(crate) mod key;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory_storage;
pub(crate) mod place;
pub(crate) mod ranges;
pub(crate) mod record;
pub(crate) mod record_list;
pub(crate) mod records;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod segment;
pub(crate) mod settings;
pub(crate) mod settled;
pub(crate) mod storage;
pub(crate) mod sync_thread;
pub(crate) mod writer;

#[cfg(test)]
mod tests;
