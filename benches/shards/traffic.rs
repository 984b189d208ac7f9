//! What happens in each minute.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::fmt;

const MINUTE: f64 = 60.0;
const DAY: f64 = 24.0 * 60.0 * MINUTE;

/// How long the questions behind a restart are looked at.
const DAY_OF_RESTART: SignedDuration = SignedDuration::from_hours(24);

/// What the CA and the API server see between two moments, by the minute.
pub(crate) struct Traffic {
    from: Timestamp,
    questions: Vec<u32>,
    renewals: Vec<u32>,
    /// Questions whose answer was worth a write of the status.
    news: u64,
    looks: u64,
}

impl Traffic {
    pub(crate) fn new(from: Timestamp, end: Timestamp) -> Self {
        let minutes = vec![0; usize::try_from(end.duration_since(from).as_mins()).unwrap_or_default() + 1];
        Self { from, questions: minutes.clone(), renewals: minutes, news: 0, looks: 0 }
    }

    pub(crate) fn looked(&mut self) {
        self.looks += 1;
    }

    pub(crate) fn asked(&mut self, at: Timestamp, is_news: bool) {
        if let Some(minute) = self.minute(at) {
            self.questions[minute] += 1;
            self.news += u64::from(is_news);
        }
    }

    pub(crate) fn renewed(&mut self, at: Timestamp) {
        if let Some(minute) = self.minute(at) {
            self.renewals[minute] += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let sum =
            |all: &mut [u32], more: &[u32]| all.iter_mut().zip(more).for_each(|(all, more)| *all += more);
        sum(&mut self.questions, &other.questions);
        sum(&mut self.renewals, &other.renewals);
        self.news += other.news;
        self.looks += other.looks;
    }

    /// The most questions in a minute, of these minutes.
    fn busiest(&self, from: Timestamp, end: Timestamp) -> f64 {
        let range = self.minute(from).unwrap_or_default()..self.minute(end).unwrap_or(self.questions.len());
        let of_range = self.questions.get(range).unwrap_or_default();
        f64::from(of_range.iter().copied().max().unwrap_or_default())
    }

    fn minute(&self, at: Timestamp) -> Option<usize> {
        let since = at.duration_since(self.from);
        if since < SignedDuration::ZERO {
            return None;
        }
        usize::try_from(since.as_mins()).ok().filter(|minute| *minute < self.questions.len())
    }
}

/// When what happened.
pub(crate) struct Course {
    /// How long the first issue of all took.
    pub(crate) until_issued: SignedDuration,
    /// When all controllers were restarted.
    pub(crate) restart: Timestamp,
}

/// The load of one way to split.
#[derive(Serialize)]
pub(crate) struct Report {
    shards: usize,
    certificates: usize,
    certificates_of_largest: usize,
    days_until_all_are_issued: f64,
    questions_per_second: f64,
    questions_per_second_at_most: f64,
    questions_per_second_after_restart: f64,
    questions_per_second_of_largest: f64,
    renewals_per_day: f64,
    renewals_per_minute_at_most: f64,
    writes_per_second_for_questions: f64,
    looks: u64,
    microseconds_per_look: f64,
}

impl Report {
    pub(crate) fn new(
        shards: usize,
        certificates: usize,
        largest: usize,
        course: &Course,
        all: &Traffic,
        of_largest: &Traffic,
        planning: f64,
    ) -> Self {
        let seconds = all.questions.len() as f64 * MINUTE;
        let total = |minutes: &[u32]| minutes.iter().map(|count| f64::from(*count)).sum::<f64>();
        let most = |minutes: &[u32]| f64::from(minutes.iter().copied().max().unwrap_or_default());
        Self {
            shards,
            certificates,
            certificates_of_largest: largest,
            days_until_all_are_issued: course.until_issued.as_secs_f64() / DAY,
            questions_per_second: total(&all.questions) / seconds,
            questions_per_second_at_most: all.busiest(all.from, course.restart) / MINUTE,
            questions_per_second_after_restart: all.busiest(course.restart, course.restart + DAY_OF_RESTART)
                / MINUTE,
            questions_per_second_of_largest: total(&of_largest.questions) / seconds,
            renewals_per_day: total(&all.renewals) / seconds * DAY,
            renewals_per_minute_at_most: most(&all.renewals),
            writes_per_second_for_questions: all.news as f64 / seconds,
            looks: all.looks,
            microseconds_per_look: planning * 1e6 / all.looks.max(1) as f64,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} controllers, {} certificates in the largest",
            self.shards, self.certificates_of_largest
        )?;
        writeln!(f, "  first issue of all           {:.1} days", self.days_until_all_are_issued)?;
        let [usual, busiest, behind] = [
            self.questions_per_second,
            self.questions_per_second_at_most,
            self.questions_per_second_after_restart,
        ];
        write!(
            f,
            "  questions about renewals     {usual:.2} a second, {busiest:.2} in the busiest minute, "
        )?;
        writeln!(f, "{behind:.2} in that behind a restart")?;
        writeln!(f, "  … of the largest             {:.2} a second", self.questions_per_second_of_largest)?;
        writeln!(f, "  writes for their answers     {:.3} a second", self.writes_per_second_for_questions)?;
        write!(f, "  renewals                     {:.0} a day, ", self.renewals_per_day)?;
        writeln!(f, "{} in the busiest minute", self.renewals_per_minute_at_most)?;
        writeln!(f, "  planning                     {:.2} µs a look", self.microseconds_per_look)
    }
}
