//! Which segments of a journal are still needed, and who has to write a snap so that the oldest one is not.
//!
//! Everything live is in memory, so there is no need for an index of the records: whatever has its last snap in the oldest segment
//! writes a new one, and then the segment goes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::place::Place;
use super::record_list::{Mark, Owner};
use super::storage::SegmentId;
use crate::time::after;

/// How many bytes of snaps are asked for after each commit, unless a single one has more.
const TURN: usize = 1 << 20;

/// If nothing is committed, the next owners are asked after this time.
const TURN_TIME: Duration = Duration::from_millis(10);

/// An owner that was asked for a snap and has not written one is asked again after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bounds of a journal's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CompactionBounds {
    /// The length of a segment. Default: 64 MiB.
    pub(crate) segment: u64,
    /// Segments that ended less than this time ago are not rewritten, because most of what they contain becomes useless by then:
    /// sessions keep their events no longer. Default: 90 s.
    pub(crate) age: Duration,
    /// The bytes of all segments. Beyond them, segments are rewritten whatever their age, and turns pause. Default: 16 GiB.
    pub(crate) bytes: u64,
}

impl Default for CompactionBounds {
    fn default() -> Self {
        Self {
            segment: 64 << 20,
            age: Duration::from_secs(90),
            bytes: 16 << 30,
        }
    }
}

/// What to do after a commit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Chores {
    /// These write a snap each.
    pub(crate) rewrite: Vec<Owner>,
    /// The oldest segment is not needed once everything up to here is on the disk, and can then be deleted.
    pub(crate) delete_after: Option<Place>,
    /// The journal has more bytes than it should: turns pause until it has fewer.
    pub(crate) is_over: bool,
}

#[derive(Debug)]
pub(crate) struct Compaction {
    bounds: CompactionBounds,
    /// Where each owner's last snap is, and its length.
    snaps: HashMap<Owner, (SegmentId, usize)>,
    /// The owners with their last snap in a segment.
    holders: BTreeMap<SegmentId, BTreeSet<Owner>>,
    /// Segments that have ended, the oldest first.
    ended: VecDeque<Ended>,
    ended_bytes: u64,
    /// The bytes of all last snaps.
    live: u64,
    /// The owners that are asked next, and the segment that they hold.
    asking: Vec<Owner>,
    asking_for: SegmentId,
    asked_at: Duration,
    /// The end of the journal when nobody held the oldest segment any more.
    free_at: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    segment: SegmentId,
    bytes: u64,
    at: Duration,
}

impl Compaction {
    pub(crate) fn new(bounds: CompactionBounds) -> Self {
        Self {
            bounds,
            snaps: HashMap::new(),
            holders: BTreeMap::new(),
            ended: VecDeque::new(),
            ended_bytes: 0,
            live: 0,
            asking: Vec::new(),
            asking_for: SegmentId(0),
            asked_at: Duration::ZERO,
            free_at: None,
        }
    }

    /// A record with this mark was committed, or replayed, in a segment.
    pub(crate) fn note(&mut self, mark: &Mark, segment: SegmentId) {
        let owner = match mark {
            Mark::Snapped(owner, _) | Mark::Ended(owner) => owner,
        };
        if let Some((held, bytes)) = self.snaps.remove(owner) {
            self.live -= bytes as u64;
            if let Some(holders) = self.holders.get_mut(&held) {
                holders.remove(owner);
                if holders.is_empty() {
                    self.holders.remove(&held);
                }
            }
        }
        if let Mark::Snapped(owner, bytes) = mark {
            self.live += *bytes as u64;
            self.snaps.insert(owner.clone(), (segment, *bytes));
            self.holders
                .entry(segment)
                .or_default()
                .insert(owner.clone());
        }
    }

    /// A segment has ended with so many bytes.
    pub(crate) fn end_segment(&mut self, segment: SegmentId, bytes: u64, now: Duration) {
        let at = now;
        self.ended_bytes += bytes;
        self.ended.push_back(Ended { segment, bytes, at });
    }

    /// The oldest segment was deleted.
    pub(crate) fn note_deleted(&mut self) {
        if let Some(deleted) = self.ended.pop_front() {
            self.ended_bytes -= deleted.bytes;
        }
        self.free_at = None;
    }

    /// What to do now that the journal ends at `end`.
    pub(crate) fn chores(&mut self, end: Place, now: Duration) -> Chores {
        let total = self.ended_bytes.saturating_add(end.offset);
        let mut chores = Chores {
            is_over: total > self.bounds.bytes,
            ..Chores::default()
        };
        let Some(oldest) = self.ended.front().copied() else {
            return chores;
        };
        if self
            .holders
            .first_key_value()
            .is_none_or(|(first, _)| *first > oldest.segment)
        {
            chores.delete_after = Some(*self.free_at.get_or_insert(end));
            return chores;
        }
        if chores.is_over || self.is_worth_it(oldest, total, now) {
            chores.rewrite = self.ask(oldest.segment, now);
        }
        chores
    }

    /// When to look again, although nothing was written: some owners may not have answered.
    pub(crate) fn due(&self, now: Duration) -> Option<Duration> {
        let oldest = self.ended.front()?.segment;
        let is_held = self.holders.contains_key(&oldest);
        let asks = is_held && self.asking_for == oldest;
        asks.then(|| match self.asking.is_empty() {
            true => after(self.asked_at, PATIENCE),
            false => after(now, TURN_TIME),
        })
    }

    /// Whether there is more waste than data, so that a byte that is rewritten frees another one at least.
    fn is_worth_it(&self, oldest: Ended, total: u64, now: Duration) -> bool {
        let is_enough =
            |needed: u64| total > needed.saturating_mul(2).saturating_add(self.bounds.segment);
        let is_young = |ended: &&Ended| now < after(ended.at, self.bounds.age);
        if is_young(&&oldest) || !is_enough(self.live) {
            return false;
        }
        let young = self.ended.iter().rev().take_while(is_young);
        is_enough(self.live + young.map(|ended| ended.bytes).sum::<u64>())
    }

    /// The next owners that have their last snap in the oldest segment.
    fn ask(&mut self, oldest: SegmentId, now: Duration) -> Vec<Owner> {
        let is_unanswered = self.asking.is_empty() && now >= after(self.asked_at, PATIENCE);
        if self.asking_for != oldest || is_unanswered {
            let holders = self.holders.get(&oldest);
            self.asking = holders.into_iter().flatten().cloned().collect();
            self.asking_for = oldest;
        }
        let (mut asked, mut bytes) = (Vec::new(), 0);
        while bytes < TURN
            && let Some(owner) = self.asking.pop()
        {
            match self.snaps.get(&owner) {
                // It has written a snap since, or has ended.
                Some((segment, _)) if *segment != oldest => {}
                None => {}
                Some((_, length)) if bytes > 0 && bytes + length > TURN => {
                    self.asking.push(owner);
                    break;
                }
                Some((_, length)) => {
                    bytes += length;
                    asked.push(owner);
                }
            }
        }
        if !asked.is_empty() {
            self.asked_at = now;
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RoomId;

    const SECOND: Duration = Duration::from_secs(1);
    const MIB: u64 = 1 << 20;

    fn compaction() -> Compaction {
        Compaction::new(CompactionBounds {
            segment: MIB,
            age: 60 * SECOND,
            bytes: 100 * MIB,
        })
    }

    fn room(name: usize) -> Owner {
        Owner::Room(RoomId::from(format!("room-{name}")))
    }

    fn snap(compaction: &mut Compaction, name: usize, bytes: usize, segment: u64) {
        compaction.note(&Mark::Snapped(room(name), bytes), SegmentId(segment));
    }

    fn end(segment: u64) -> Place {
        let segment = SegmentId(segment);
        Place { segment, offset: 0 }
    }

    #[test]
    fn a_segment_goes_when_everybody_has_a_later_snap() {
        let mut compaction = compaction();
        snap(&mut compaction, 1, 100, 1);
        snap(&mut compaction, 2, 100, 1);
        for segment in 1..=4 {
            compaction.end_segment(SegmentId(segment), MIB, Duration::ZERO);
        }
        assert_eq!(
            compaction.chores(end(5), 10 * SECOND),
            Chores::default(),
            "it is young"
        );
        let mut asked = compaction.chores(end(5), 60 * SECOND).rewrite;
        asked.sort();
        assert_eq!(asked, [room(1), room(2)]);
        assert_eq!(compaction.chores(end(5), 60 * SECOND).rewrite, []);
        assert_eq!(
            compaction.chores(end(5), 61 * SECOND).rewrite.len(),
            2,
            "asked again"
        );
        snap(&mut compaction, 1, 100, 5);
        assert_eq!(compaction.chores(end(5), 61 * SECOND).delete_after, None);
        compaction.note(&Mark::Ended(room(2)), SegmentId(5));
        for _ in 1..=4 {
            let deleted = compaction.chores(end(6), 61 * SECOND);
            assert_eq!(deleted.delete_after, Some(end(6)));
            compaction.note_deleted();
        }
        assert_eq!(compaction.chores(end(6), 61 * SECOND), Chores::default());
    }

    #[test]
    fn at_most_a_mebibyte_is_rewritten_at_a_time_unless_one_snap_has_more() {
        let mut compaction = compaction();
        for name in 0..20 {
            snap(&mut compaction, name, 300 << 10, 1);
        }
        snap(&mut compaction, 20, 3 << 20, 1);
        for segment in 1..=99 {
            compaction.end_segment(SegmentId(segment), MIB, Duration::ZERO);
        }
        let (mut all, mut turns) = (BTreeSet::new(), 0);
        loop {
            let asked = compaction.chores(end(100), 60 * SECOND).rewrite;
            if asked.is_empty() {
                break;
            }
            assert!(asked.len() <= 3);
            assert!(asked.len() == 1 || !asked.contains(&room(20)));
            all.extend(asked);
            turns += 1;
        }
        assert_eq!(all.len(), 21);
        assert!((8..=9).contains(&turns), "{turns}");
    }

    #[test]
    fn beyond_the_bound_turns_pause_and_young_segments_are_rewritten() {
        let mut compaction = compaction();
        snap(&mut compaction, 1, 100, 1);
        for segment in 1..=100 {
            compaction.end_segment(SegmentId(segment), MIB, Duration::ZERO);
        }
        let chores = compaction.chores(
            Place {
                offset: 1,
                ..end(101)
            },
            Duration::ZERO,
        );
        assert!(chores.is_over);
        assert_eq!(chores.rewrite, [room(1)]);
    }

    /// Rooms write as much as they like for a long time; the directory stays within its bound.
    #[test]
    fn the_directory_stays_under_three_times_its_live_data_and_two_segments() {
        const ROOMS: usize = 40;
        const SNAP: usize = 100 << 10;
        let live = (ROOMS * SNAP) as u64;
        let mut compaction = compaction();
        let (mut segment, mut offset, mut now) = (1, 0_u64, Duration::ZERO);
        let mut total = 0_u64;
        let mut rewritten = 0_u64;
        let mut queue: Vec<usize> = (0..ROOMS).collect();
        for step in 0..20_000_u64 {
            now += SECOND / 100;
            let mut batch = 20 << 10;
            for name in queue.drain(..) {
                snap(&mut compaction, name, SNAP, segment);
                batch += SNAP as u64;
            }
            offset += batch;
            total += batch;
            if offset > MIB {
                compaction.end_segment(SegmentId(segment), offset, now);
                (segment, offset) = (segment + 1, 0);
            }
            let place = Place {
                segment: SegmentId(segment),
                offset,
            };
            let chores = compaction.chores(place, now);
            rewritten += (chores.rewrite.len() * SNAP) as u64;
            queue = chores
                .rewrite
                .iter()
                .map(|owner| (0..ROOMS).find(|name| room(*name) == *owner).unwrap())
                .collect();
            if chores.delete_after.is_some() {
                total -= compaction.ended.front().unwrap().bytes;
                compaction.note_deleted();
            }
            // In the time of the age, so much is written besides.
            let recent = 6000 * (20 << 10);
            assert!(
                total < 3 * (live + recent) + 2 * MIB,
                "step {step}: {total}"
            );
        }
        assert!(
            rewritten > 0 && rewritten < 20_000 * (20 << 10),
            "{rewritten}"
        );
    }
}
