//! When a match begins: the date and time of a feed, brought into an order.
//!
//! A calendar library would be larger than the rest of this example; the scoreboard needs only an
//! order and distances in minutes.

/// A day and, where the feed knows it, a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kickoff {
    date: String,
    time: Option<String>,
    minutes: i64,
}

impl Kickoff {
    /// The assumed time of matches without a time in the feed: all begin together in the afternoon.
    const USUAL_HOUR: i64 = 15;

    /// Reads `2022-12-18` and `18:00` or `18:00 UTC+3`; the error says what was expected.
    pub(crate) fn parse(date: &str, time: Option<&str>) -> Result<Self, &'static str> {
        let days = days(date).ok_or("a date such as 2022-12-18")?;
        let of_day = match time {
            None => Self::USUAL_HOUR * 60,
            Some(time) => minutes_of_day(time).ok_or("a time such as 18:00 or 18:00 UTC+3")?,
        };
        Ok(Self {
            date: date.to_owned(),
            time: time.map(|time| time.trim().to_owned()),
            minutes: days * 24 * 60 + of_day,
        })
    }

    /// The date as the feed writes it: `2022-12-18`.
    pub(crate) fn date(&self) -> &str {
        &self.date
    }

    /// The time as the feed writes it, in the local time of the ground.
    pub(crate) fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }

    /// Minutes since an arbitrary day: for order and distance only.
    pub(crate) const fn minutes(&self) -> i64 {
        self.minutes
    }

    /// The year, which determines the rules of that time.
    pub(crate) fn year(&self) -> u16 {
        self.date
            .get(..4)
            .and_then(|year| year.parse().ok())
            .unwrap_or_default()
    }
}

/// Days since 1 January of the year 0, in the calendar of today.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (year, month, day): (i64, usize, i64) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let length = *lengths.get(month.checked_sub(1)?)?;
    if year < 1 || !(1..=length).contains(&day) {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400;
    Some(year * 365 + leap_days + lengths.iter().take(month - 1).sum::<i64>() + day)
}

/// Minutes since midnight; with a zone, since midnight at Greenwich, so that grounds compare.
fn minutes_of_day(time: &str) -> Option<i64> {
    let mut words = time.split_whitespace();
    let (hours, minutes) = words.next()?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let ahead: i64 = match words.next() {
        None => 0,
        Some(zone) => zone.strip_prefix("UTC")?.parse().ok()?,
    };
    (words.next().is_none() && (-14..=14).contains(&ahead))
        .then_some((hours - ahead) * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(date: &str, time: Option<&str>) -> i64 {
        Kickoff::parse(date, time).unwrap().minutes()
    }

    #[test]
    fn distances_cross_months_leap_days_and_zones() {
        let day = 24 * 60;
        assert_eq!(
            minutes("2022-12-01", None) - minutes("2022-11-30", None),
            day
        );
        assert_eq!(
            minutes("2024-03-01", None) - minutes("2024-02-28", None),
            2 * day
        );
        assert_eq!(
            minutes("1931-01-01", None) - minutes("1930-12-31", None),
            day
        );
        let mexico = minutes("2026-06-11", Some("13:00 UTC-6"));
        assert_eq!(minutes("2026-06-11", Some("15:00 UTC-4")), mexico);
        assert_eq!(minutes("2026-06-11", Some("19:00")), mexico);
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for date in [
            "2022-13-01",
            "2022-02-29",
            "22-02-01",
            "2022/02/01",
            "soon",
            "2022-00-10",
        ] {
            assert!(
                Kickoff::parse(date, None).is_err(),
                "{date:?} was taken for a date"
            );
        }
        for time in ["24:00", "7", "18:60", "18:00 CET", "18:00 UTC+x", ""] {
            assert!(
                Kickoff::parse("2022-12-18", Some(time)).is_err(),
                "{time:?} was taken"
            );
        }
    }
}
