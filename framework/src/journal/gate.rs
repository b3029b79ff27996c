//! The gate: what a thread's turn sends leaves after its records are committed.
//!
//! Lists leave in the order in which they came, those of all threads in one order, which is also that of their records in the
//! journal. A list without records waits only if an earlier list of its thread does.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::AppendError;
use super::record_list::{Mark, RecordList};

/// When a journal forces what it has written to the disk: see [`Journal::sync`](crate::Journal::sync).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum JournalSync {
    /// Once for each segment of 64 MiB. What was acknowledged survives the end of the process; a failure of the machine may lose up to
    /// a segment. Then channels begin new epochs, so that subscribers learn that they may have missed something.
    #[default]
    Never,
    /// This often, while the server goes on. A failure of the machine loses what was written since, as with `Never`.
    Every(Duration),
    /// Before anything is delivered or acknowledged. A failure of the machine loses nothing that anybody knows of. Everything that is
    /// published during one sync shares the next one.
    Always,
}

/// The bytes that may be under way before turns pause, by default.
pub(crate) const UNDER_WAY: usize = 8 << 20;

/// A thread whose lists leave in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lane(pub(crate) usize);

/// What a turn sends, on its way through the gate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaving<T> {
    pub(crate) lane: Lane,
    pub(crate) outward: T,
    /// The number of the list, or of the last list before it if it has no records. A session's snap says the number of the last
    /// list that has reached the session.
    pub(crate) number: u64,
    has_records: bool,
    /// The bytes that count as under way: those of the records, and those of what leaves.
    bytes: usize,
}

/// What became of a list.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a list that passes has to be sent"]
pub(crate) enum Submitted<T> {
    /// It waits for nothing: the thread sends it itself.
    Passed(T),
    /// It leaves after a commit.
    Held,
    /// The gate is shut for good, and the list is dropped.
    Shut,
}

/// How the journal does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Health {
    #[default]
    Good,
    /// Nothing can be written since then, because the disk is full or fails. What waits leaves when it can be written.
    Stalled { since: Duration, why: String },
    /// Nothing leaves any more: the process has to end.
    Ended { why: String },
}

/// The lists that become one batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    lists: Vec<RecordList>,
}

impl Batch {
    /// Whether it has no records, so that there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// What its records mean for the segments that are still needed.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.lists.iter().flat_map(|list| &list.marks)
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = &RecordList> {
        self.lists.iter()
    }
}

#[derive(Debug)]
pub(crate) struct OutputGate<T> {
    waits_for_disk: bool,
    /// The bytes that may be under way before turns should pause.
    bound: usize,
    /// What is not in a batch yet.
    waiting: VecDeque<(RecordList, Leaving<T>)>,
    /// What leaves when the batch is committed that is being written.
    writing: Vec<Leaving<T>>,
    /// What was written and waits for the disk, by the number of its last list.
    written: VecDeque<(u64, Vec<Leaving<T>>)>,
    /// How many lists of each lane are held, or are being sent.
    lanes: Vec<usize>,
    under_way: usize,
    is_full: bool,
    /// The journal has reached its bound on the disk.
    is_over: bool,
    health: Health,
}

impl<T> OutputGate<T> {
    pub(crate) fn new(sync: JournalSync, bound: usize) -> Self {
        Self {
            waits_for_disk: sync == JournalSync::Always,
            bound,
            waiting: VecDeque::new(),
            writing: Vec::new(),
            written: VecDeque::new(),
            lanes: Vec::new(),
            under_way: 0,
            is_full: false,
            is_over: false,
            health: Health::Good,
        }
    }

    /// A turn has ended. `bytes` is about the length of what it sends, which is accepted in any case.
    pub(crate) fn submit(
        &mut self,
        lane: Lane,
        records: RecordList,
        outward: T,
        bytes: usize,
    ) -> Submitted<T> {
        if self.has_ended() {
            return Submitted::Shut;
        }
        if self.lanes.len() <= lane.0 {
            self.lanes.resize(lane.0 + 1, 0);
        }
        if records.is_empty() && self.lanes[lane.0] == 0 {
            return Submitted::Passed(outward);
        }
        let bytes = bytes.saturating_add(records.len());
        self.lanes[lane.0] += 1;
        self.under_way = self.under_way.saturating_add(bytes);
        self.is_full |= self.under_way >= self.bound;
        let leaving = Leaving {
            lane,
            outward,
            number: 0,
            has_records: !records.is_empty(),
            bytes,
        };
        self.waiting.push_back((records, leaving));
        Submitted::Held
    }

    /// Whether turns should pause: too much is under way, or the journal has too little room on the disk. It is so until half of
    /// the bound is free.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full || self.is_over
    }

    /// Whether lists wait for a batch.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_empty() && self.written.is_empty()
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    fn has_ended(&self) -> bool {
        matches!(self.health, Health::Ended { .. })
    }

    /// The journal has reached its bound on the disk, or is below it again.
    pub(crate) fn set_over(&mut self, is_over: bool) {
        self.is_over = is_over;
    }

    /// Takes lists for the next batch, in order, until their records have `most` bytes. `None`: nothing waits, or a batch is being
    /// written.
    pub(crate) fn next_batch(&mut self, most: usize) -> Option<Batch> {
        if !self.writing.is_empty() || self.has_ended() {
            return None;
        }
        let mut batch = Batch::default();
        let mut bytes = 0;
        while bytes < most
            && let Some((records, leaving)) = self.waiting.pop_front()
        {
            bytes += records.len();
            self.writing.push(leaving);
            if !records.is_empty() {
                batch.lists.push(records);
            }
        }
        (!self.writing.is_empty()).then_some(batch)
    }

    /// The batch was written, or had no records: `number` is that of the last list in the journal. Returns what leaves.
    pub(crate) fn written(&mut self, number: u64) -> Vec<Leaving<T>> {
        if self.has_ended() {
            return Vec::new();
        }
        self.health = Health::Good;
        let mut lists = std::mem::take(&mut self.writing);
        let records = lists.iter().filter(|list| list.has_records).count() as u64;
        let is_empty = records == 0;
        let mut next = number.saturating_sub(records);
        for list in &mut lists {
            next += u64::from(list.has_records);
            list.number = next;
        }
        let waits_for_others = !self.written.is_empty();
        if self.waits_for_disk && (!is_empty || waits_for_others) {
            self.written.push_back((number, lists));
            return Vec::new();
        }
        self.release(lists)
    }

    /// All lists up to `number` are on the disk. Returns what leaves.
    pub(crate) fn synced(&mut self, number: u64) -> Vec<Leaving<T>> {
        let mut lists = Vec::new();
        while let Some((_, some)) = self.written.pop_front_if(|(last, _)| *last <= number) {
            lists.extend(some);
        }
        self.release(lists)
    }

    /// Lists that left were sent. Until then, no later list of their lanes passes, which would overtake them.
    pub(crate) fn sent(&mut self, lanes: impl IntoIterator<Item = Lane>) {
        for lane in lanes {
            if let Some(held) = self.lanes.get_mut(lane.0) {
                *held = held.saturating_sub(1);
            }
        }
    }

    fn release(&mut self, lists: Vec<Leaving<T>>) -> Vec<Leaving<T>> {
        for list in &lists {
            self.under_way = self.under_way.saturating_sub(list.bytes);
        }
        self.is_full &= self.under_way > self.bound / 2;
        lists
    }

    /// The batch could not be written at the moment.
    pub(crate) fn stall(&mut self, now: Duration, error: &AppendError) {
        if self.health == Health::Good {
            let why = error.to_string();
            self.health = Health::Stalled { since: now, why };
        }
    }

    /// Shuts for good, and drops what waits: nobody may learn of it, because another process may not know it.
    pub(crate) fn end(&mut self, why: String) {
        self.health = Health::Ended { why };
        self.waiting.clear();
        self.writing.clear();
        self.written.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::list;
    use super::*;

    const A: Lane = Lane(0);
    const B: Lane = Lane(1);

    fn gate(sync: JournalSync) -> OutputGate<&'static str> {
        OutputGate::new(sync, 1000)
    }

    fn hold(
        gate: &mut OutputGate<&'static str>,
        lane: Lane,
        records: RecordList,
        word: &'static str,
    ) {
        assert_eq!(gate.submit(lane, records, word, 10), Submitted::Held);
    }

    fn words(leaving: Vec<Leaving<&'static str>>) -> Vec<&'static str> {
        leaving.into_iter().map(|list| list.outward).collect()
    }

    #[test]
    fn lists_of_all_threads_leave_in_the_order_of_their_records() {
        let mut gate = gate(JournalSync::Never);
        hold(&mut gate, A, list(1), "a");
        let batch = gate.next_batch(1000).unwrap();
        assert_eq!(batch.lists, [list(1)]);
        hold(&mut gate, B, list(2), "b");
        hold(&mut gate, A, RecordList::default(), "without records");
        hold(&mut gate, A, list(3), "c");
        assert!(gate.next_batch(1000).is_none(), "one batch at a time");
        assert_eq!(words(gate.written(1)), ["a"]);
        let batch = gate.next_batch(1000).unwrap();
        assert_eq!(batch.lists, [list(2), list(3)]);
        let left = gate.written(3);
        assert_eq!(
            left.iter().map(|list| list.number).collect::<Vec<_>>(),
            [2, 2, 3]
        );
        assert_eq!(words(left), ["b", "without records", "c"]);
        assert!(gate.is_idle());
    }

    #[test]
    fn a_list_without_records_waits_only_for_its_own_thread() {
        let mut gate = gate(JournalSync::Always);
        let none = RecordList::default;
        assert_eq!(
            gate.submit(A, none(), "at once", 10),
            Submitted::Passed("at once")
        );
        hold(&mut gate, A, list(1), "a");
        assert_eq!(
            gate.submit(B, none(), "at once", 10),
            Submitted::Passed("at once")
        );
        hold(&mut gate, A, none(), "later");
        let batch = gate.next_batch(1).unwrap();
        assert_eq!(batch.lists, [list(1)]);
        assert_eq!(words(gate.written(1)), [""; 0]);
        assert!(gate.next_batch(1).unwrap().is_empty());
        assert_eq!(words(gate.written(1)), [""; 0]);
        assert_eq!(words(gate.synced(1)), ["a", "later"]);
        hold(&mut gate, A, none(), "behind what is being sent");
        gate.sent([A, A]);
        gate.next_batch(1).unwrap();
        assert_eq!(words(gate.written(1)), ["behind what is being sent"]);
        gate.sent([A]);
        assert_eq!(
            gate.submit(A, none(), "at once", 10),
            Submitted::Passed("at once")
        );
    }

    #[test]
    fn a_gate_that_waits_for_the_disk_opens_up_to_the_sync() {
        let mut gate = gate(JournalSync::Always);
        for (number, word) in [(1, "a"), (2, "b"), (3, "c")] {
            hold(&mut gate, A, list(number), word);
            gate.next_batch(1).unwrap();
            assert_eq!(words(gate.written(number)), [""; 0]);
        }
        assert_eq!(words(gate.synced(2)), ["a", "b"]);
        assert_eq!(words(gate.synced(3)), ["c"]);
    }

    #[test]
    fn a_gate_is_full_until_half_of_its_bound_is_free() {
        let mut gate = gate(JournalSync::Never);
        while !gate.is_full() {
            assert!(gate.under_way < 1000);
            assert_eq!(gate.submit(A, list(1), "a", 100), Submitted::Held);
        }
        // What a turn has sent when it learns of this is accepted.
        hold(&mut gate, A, list(1), "b");
        let mut left = 0;
        while gate.is_full() {
            gate.next_batch(1).unwrap();
            left += gate.written(1).len();
        }
        assert!(left >= 4 && gate.under_way <= 500);
        gate.set_over(true);
        assert!(gate.is_full());
    }

    #[test]
    fn nothing_leaves_a_gate_that_was_shut() {
        let mut gate = gate(JournalSync::Never);
        hold(&mut gate, A, list(1), "a");
        gate.next_batch(1).unwrap();
        gate.stall(Duration::ZERO, &AppendError::TooLong(1));
        assert!(matches!(gate.health(), Health::Stalled { .. }));
        gate.end("another process has the journal".to_owned());
        assert_eq!(words(gate.written(1)), [""; 0]);
        assert_eq!(gate.submit(A, list(2), "b", 1), Submitted::Shut);
        assert!(matches!(gate.health(), Health::Ended { .. }));
        assert!(gate.next_batch(1).is_none());
    }
}
