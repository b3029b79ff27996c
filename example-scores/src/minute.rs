//! The minute of a goal, as scoreboards write it: `23`, `90+9`.
//!
//! This is a type because of stoppage time: minute `45+2` comes before minute `46` although more
//! time has passed; plain numbers of minutes would be in the opposite order.

use std::fmt;

/// The part of a match in which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Period {
    /// Minutes 1 to 45.
    First,
    /// Minutes 46 to 90.
    Second,
    /// Minutes 91 to 105, where there is extra time.
    ExtraFirst,
    /// Minutes 106 to 120, where there is extra time.
    ExtraSecond,
}

impl Period {
    /// The minute after which the period begins.
    pub(crate) const fn from(self) -> u16 {
        match self {
            Self::First => 0,
            Self::Second => 45,
            Self::ExtraFirst => 90,
            Self::ExtraSecond => 105,
        }
    }

    /// The last regular minute of the period; stoppage time follows.
    pub(crate) const fn to(self) -> u16 {
        match self {
            Self::First => 45,
            Self::Second => 90,
            Self::ExtraFirst => 105,
            Self::ExtraSecond => 120,
        }
    }

    /// Whether the period is played only after a draw in ninety minutes.
    pub(crate) const fn is_extra(self) -> bool {
        matches!(self, Self::ExtraFirst | Self::ExtraSecond)
    }
}

/// A minute of a match; its order is the order of play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Minute {
    regular: u16,
    stoppage: u16,
}

impl Minute {
    /// More minutes of stoppage time than any referee has ever added.
    const LONGEST_STOPPAGE: u16 = 60;

    /// A minute from 1 to 120, with stoppage time only where a period ends.
    ///
    /// The error says what was expected.
    pub(crate) fn new(regular: u64, stoppage: u64) -> Result<Self, &'static str> {
        let minute = match (u16::try_from(regular), u16::try_from(stoppage)) {
            (Ok(regular @ 1..=120), Ok(stoppage @ 0..=Self::LONGEST_STOPPAGE)) => {
                Self { regular, stoppage }
            }
            (Ok(1..=120), _) => return Err("at most 60 minutes of stoppage time"),
            _ => return Err("a minute from 1 to 120"),
        };
        if minute.stoppage > 0 && minute.regular != minute.period().to() {
            return Err("stoppage time only after minute 45, 90, 105 or 120");
        }
        Ok(minute)
    }

    /// Reads `67` or `90+4`, with or without the mark for minutes.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a minute such as 67 or 90+4";
        let text = text.trim().trim_end_matches(['\'', '’', '′']);
        let (regular, stoppage) = text.split_once('+').unwrap_or((text, "0"));
        let regular = regular.trim().parse().map_err(|_| FORM)?;
        let stoppage = stoppage.trim().parse().map_err(|_| FORM)?;
        Self::new(regular, stoppage)
    }

    /// The regular minute: 90 for a goal in minute 90+9.
    pub(crate) const fn regular(self) -> u16 {
        self.regular
    }

    /// The minute of stoppage time: 9 for a goal in minute 90+9, otherwise 0.
    pub(crate) const fn stoppage(self) -> u16 {
        self.stoppage
    }

    /// The period that the minute belongs to.
    pub(crate) const fn period(self) -> Period {
        match self.regular {
            ..=45 => Period::First,
            46..=90 => Period::Second,
            91..=105 => Period::ExtraFirst,
            _ => Period::ExtraSecond,
        }
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stoppage {
            0 => write!(out, "{}′", self.regular),
            stoppage => write!(out, "{}+{stoppage}′", self.regular),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stoppage_time_of_the_first_half_comes_before_the_second_half() {
        let late = Minute::new(45, 13).unwrap();
        let early = Minute::new(46, 0).unwrap();
        assert!(late < early);
        assert!(Minute::new(45, 0).unwrap() < late);
        assert_eq!(late.period(), Period::First);
        assert_eq!(early.period(), Period::Second);
    }

    #[test]
    fn both_spellings_of_stoppage_time_mean_the_same() {
        assert_eq!(Minute::parse("90+9"), Minute::new(90, 9));
        assert_eq!(Minute::parse("90 + 9′"), Minute::new(90, 9));
        assert_eq!(Minute::parse("7"), Minute::new(7, 0));
        assert_eq!(Minute::new(90, 9).unwrap().to_string(), "90+9′");
    }

    #[test]
    fn impossible_minutes_are_refused() {
        for text in ["0", "121", "x", "", "44+2", "90+", "-3", "90+99"] {
            assert!(
                Minute::parse(text).is_err(),
                "{text:?} was taken for a minute"
            );
        }
    }
}
