//! When each match begins in football time, and where on a page it is shown.

use crate::{timeline::Seconds, tournament::Fixture};

/// Football time between the last whistle of one stretch of matches and the next kick-off.
const PAUSE: Seconds = 15 * 60;

/// A match's place in time and on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Football time of the kick-off, since the start of the run.
    pub(super) kick_off: Seconds,
    /// The pitch, from 0.
    pub(super) pitch: usize,
}

/// Assigns pitches to matches with their durations, and returns the number of pitches.
pub(super) fn slots(matches: &[(&Fixture, Seconds)]) -> (Vec<Slot>, usize) {
    let spans: Vec<(Seconds, Seconds)> = kick_offs(matches)
        .into_iter()
        .zip(matches)
        .map(|(kick_off, (_, lasts))| (kick_off, kick_off + lasts))
        .collect();
    let overlaps = |now: Seconds| {
        spans
            .iter()
            .filter(|(begins, ends)| *begins <= now && now < *ends)
            .count()
    };
    let most = spans.iter().map(|(kick_off, _)| overlaps(*kick_off)).max();
    // At least two, so that the previous match stays in view beside the live one.
    let pitches = most.unwrap_or_default().max(2);

    // Each match takes the pitch that has been free longest, so that the last results stay in view.
    let mut free_from = vec![0; pitches];
    let mut slots = Vec::new();
    for (kick_off, ends) in spans {
        let longest = free_from
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, since)| **since);
        if let Some((pitch, since)) = longest {
            *since = ends;
            slots.push(Slot { kick_off, pitch });
        }
    }
    (slots, pitches)
}

/// Kick-offs in football time: real distances while a match is live, otherwise a pause.
fn kick_offs(matches: &[(&Fixture, Seconds)]) -> Vec<Seconds> {
    /// Matches that overlap, one by one.
    struct Stretch {
        real_start: i64,
        start: Seconds,
        end: Seconds,
    }
    let mut stretch: Option<Stretch> = None;
    let mut times = Vec::new();
    for (fixture, lasts) in matches {
        let real = fixture.kickoff.minutes();
        let during = stretch.as_ref().and_then(|stretch| {
            let later = Seconds::try_from((real - stretch.real_start) * 60).ok()?;
            stretch
                .start
                .checked_add(later)
                .filter(|time| *time < stretch.end)
        });
        let time = match (during, &mut stretch) {
            (Some(time), Some(stretch)) => {
                stretch.end = stretch.end.max(time + lasts);
                time
            }
            _ => {
                let start = stretch.as_ref().map_or(0, |before| before.end + PAUSE);
                stretch = Some(Stretch {
                    real_start: real,
                    start,
                    end: start + lasts,
                });
                start
            }
        };
        times.push(time);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Feed;

    /// Slots of matches that last 110 minutes each, in minutes.
    fn placed(times: &[(&str, &str)]) -> (Vec<(Seconds, usize)>, usize) {
        let entries: Vec<String> = times
            .iter()
            .map(|(date, time)| {
                format!(
                    r#"{{"date":"{date}","time":"{time}","team1":"A","team2":"B",
                        "score":{{"ft":[0,0]}}}}"#
                )
            })
            .collect();
        let feed = Feed::parse(&format!(r#"{{"matches":[{}]}}"#, entries.join(","))).unwrap();
        let matches: Vec<_> = feed
            .tournament
            .fixtures
            .iter()
            .map(|fixture| (fixture, 110 * 60))
            .collect();
        let (slots, pitches) = slots(&matches);
        (
            slots
                .iter()
                .map(|slot| (slot.kick_off / 60, slot.pitch))
                .collect(),
            pitches,
        )
    }

    #[test]
    fn days_shrink_and_overlaps_stay() {
        let (slots, pitches) = placed(&[
            ("2022-11-20", "19:00"),
            ("2022-11-21", "16:00"),
            ("2022-11-21", "17:00"),
            ("2022-11-21", "17:00"),
            ("2022-11-21", "18:45"),
            ("2022-12-21", "18:00"),
        ]);
        assert_eq!(
            slots,
            [(0, 0), (125, 1), (185, 2), (185, 0), (290, 1), (415, 0)]
        );
        assert_eq!(pitches, 3);
    }

    #[test]
    fn one_match_after_the_other_alternates_so_that_the_last_result_stays_in_view() {
        let (slots, pitches) = placed(&[
            ("1930-07-30", "14:00"),
            ("1954-07-04", "17:00"),
            ("1966-07-30", "15:00"),
        ]);
        let on: Vec<usize> = slots.iter().map(|(_, pitch)| *pitch).collect();
        assert_eq!((on, pitches), (vec![0, 1, 0], 2));
    }
}
