//! Two years of decisions in virtual time.

use super::tests::{DAY, HOUR, after, certificate, start, wanted};
use super::*;
use crate::renewal::question;
use gatecert_acme::{RenewalWindow, Retry};
use proptest::prelude::*;
use std::time::Duration;

const YEARS: i64 = 2 * 365 * DAY;

/// The lives that are tried: six hours, six days, 45 days, 90 days.
const LIVES: [i64; 4] = [6 * HOUR, 6 * DAY, 45 * DAY, 90 * DAY];

/// How many certificates there are together.
const MANY: u32 = 1000;

/// How long before it is issued a certificate begins to hold.
fn backdated(life: i64) -> i64 {
    (HOUR / 4).min(life / 24)
}

#[derive(Clone, Copy, Debug)]
enum Ari {
    None,
    /// Around two thirds of the life, as Let's Encrypt gives it.
    Usual,
    /// Always in the past, even for new certificates.
    Past,
    /// Beyond the end of the certificate.
    TooLate,
    /// Ends before it begins.
    Turned,
    /// Never answers.
    Fails,
}

/// One certificate at one CA, in virtual time.
struct Simulation {
    now: Timestamp,
    /// How far the clock that the planner sees is from the true time.
    skew: i64,
    life: i64,
    ari: Ari,
    retry_after: u64,
    served: Option<CertificateFacts>,
    origin: Option<Origin>,
    memory: Option<StoredWindow>,
    failures: Option<Failures>,
    serial: u32,
    looks: u32,
    questions: u32,
    attempts: u32,
    issued: u32,
    lapsed: bool,
}

impl Simulation {
    fn new(life: i64, ari: Ari) -> Self {
        Self {
            now: start(),
            skew: 0,
            life,
            ari,
            retry_after: 6 * 3600,
            served: None,
            origin: None,
            memory: None,
            failures: None,
            serial: 0,
            looks: 0,
            questions: 0,
            attempts: 0,
            issued: 0,
            lapsed: false,
        }
    }

    fn clock(&self) -> Timestamp {
        after(self.now, self.skew)
    }

    fn end(&self) -> Timestamp {
        after(start(), YEARS)
    }

    /// One look, as the command line and a controller do it. `answers` says whether the CA is up.
    fn look(&mut self, answers: bool) {
        self.looks += 1;
        self.ask(answers);
        let (wanted, now) = (wanted(), self.clock());
        let planned = plan(&Observed {
            certificate: self.served.as_ref().map_or(Stored::Missing, Stored::Certificate),
            origin: self.origin.as_ref(),
            wanted: &wanted,
            ari: self.memory.as_ref(),
            failures: self.failures.as_ref(),
            pending_order: None,
            forced: false,
            now,
            jitter: self.served.as_ref().map_or(0.0, CertificateFacts::jitter),
            renew_before: None,
        });
        let next = match planned {
            Plan::Issue { .. } => {
                self.attempt(answers);
                now
            }
            Plan::UpToDate { look_again_at: at } | Plan::Wait { until: at, .. } => at,
        };
        let wait = next.duration_since(now).as_secs();
        assert!((0..=DAY + 600).contains(&wait), "{wait}");
        self.now = after(self.now, wait);
    }

    fn attempt(&mut self, answers: bool) {
        self.attempts += 1;
        if !answers {
            self.failures = Some(Failures::add(self.failures.as_ref(), &wanted(), Retry::Now, self.clock()));
            return;
        }
        self.lapsed |= self.served.as_ref().is_some_and(|served| served.not_after <= self.now);
        self.serial += 1;
        self.issued += 1;
        let issued = certificate(self.serial, after(self.now, -backdated(self.life)), self.life);
        if issued.is_expired(self.clock()) {
            // What obtain's verification makes of it.
            self.failures = Some(Failures::add(self.failures.as_ref(), &wanted(), Retry::No, self.clock()));
            return;
        }
        self.served = Some(issued);
        self.origin = Some(Origin { directory: wanted().directory, profile: None, issued_at: self.clock() });
        self.failures = None;
    }

    fn ask(&mut self, answers: bool) {
        let now = self.clock();
        let Some(served) = &self.served else { return };
        let Some(id) = question(served, self.memory.as_ref(), now) else { return };
        self.questions += 1;
        let memory = StoredWindow::of(self.memory.take(), id, now);
        let at = |percent: i64| after(served.not_before, self.life / 100 * percent);
        let window = match self.ari {
            _ if !answers => None,
            Ari::None | Ari::Fails => None,
            Ari::Usual => Some(RenewalWindow { start: at(65), end: at(68) }),
            Ari::Past => Some(RenewalWindow { start: at(-20), end: at(-10) }),
            Ari::TooLate => Some(RenewalWindow { start: at(200), end: at(300) }),
            Ari::Turned => Some(RenewalWindow { start: at(68), end: at(65) }),
        };
        self.memory = Some(match window {
            Some(window) => {
                memory.answered(window, Duration::from_secs(self.retry_after), now, served.jitter())
            }
            None => memory.failed(Retry::No, now),
        });
    }
}

/// By a clock that is far ahead, each certificate ends when the CA would be asked about it for the second time, and rests
/// for six hours more. It was looked at each minute of those.
#[test]
fn what_has_expired_is_not_asked_about() {
    let life = 90 * DAY;
    let mut simulation = Simulation::new(life, Ari::None);
    simulation.skew = life - backdated(life) - 6 * HOUR;
    while simulation.now < after(start(), 30 * DAY) {
        simulation.look(true);
    }
    assert!(simulation.issued <= 61, "{} issued", simulation.issued);
    assert!(simulation.looks <= 4 * simulation.issued, "{} looks", simulation.looks);
}

fn any_ari() -> impl Strategy<Value = Ari> {
    prop_oneof![
        Just(Ari::None),
        Just(Ari::Usual),
        Just(Ari::Past),
        Just(Ari::TooLate),
        Just(Ari::Turned),
        Just(Ari::Fails)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn never_lapses_while_the_ca_answers(
        life in proptest::sample::select(LIVES.to_vec()),
        ari in any_ari(),
        retry_after in 0_u64..3 * 86400,
    ) {
        let mut simulation = Simulation { retry_after, ..Simulation::new(life, ari) };
        while simulation.now < simulation.end() {
            simulation.look(true);
            let not_after = simulation.served.as_ref().unwrap().not_after;
            prop_assert!(simulation.now < not_after, "lapsed at {not_after}");
        }
        prop_assert!(!simulation.lapsed);
        // Once for each certificate, at the half of a life at the earliest, or at a tenth or twelve hours on demand.
        let shortest = match ari {
            Ari::Past => (life / 10).min(12 * HOUR),
            _ => life / 2 - backdated(life),
        };
        prop_assert!(i64::from(simulation.issued) <= YEARS / shortest + 1, "{} issued", simulation.issued);
        prop_assert_eq!(simulation.attempts, simulation.issued);
        let least = retry_after.clamp(60, 6 * 3600);
        let most = YEARS.unsigned_abs() / least + 3 * u64::from(simulation.issued) + 1;
        prop_assert!(u64::from(simulation.looks) <= most + YEARS.unsigned_abs() / (12 * 3600), "{} looks", simulation.looks);
        prop_assert!(u64::from(simulation.questions) <= most, "{} questions", simulation.questions);
    }

    #[test]
    fn an_outage_is_no_storm(
        life in proptest::sample::select(LIVES.to_vec()),
        ari in any_ari(),
        from in 0..YEARS,
        length in 0..60 * DAY,
    ) {
        let mut simulation = Simulation::new(life, ari);
        let outage = after(start(), from)..after(start(), from + length);
        let (mut failed, end) = (0, simulation.end());
        while simulation.now < end {
            let answers = !outage.contains(&simulation.now);
            let (attempts, issued) = (simulation.attempts, simulation.issued);
            simulation.look(answers);
            failed += (simulation.attempts - attempts) - (simulation.issued - issued);
        }
        prop_assert!(i64::from(failed) <= 4 + length / DAY, "{failed} failed attempts in {length} s");
        let served = simulation.served.unwrap();
        prop_assert!(served.not_after > simulation.now || outage.end >= end || simulation.failures.is_some());
    }

    #[test]
    fn clock_jumps_are_no_storm(
        life in proptest::sample::select(LIVES[1..].to_vec()),
        ari in proptest::sample::select(vec![Ari::None, Ari::Usual, Ari::TooLate]),
        jumps in proptest::collection::vec((0..YEARS, -400 * DAY..400 * DAY), 0..6),
    ) {
        let mut jumps = jumps;
        jumps.sort_unstable();
        let mut simulation = Simulation::new(life, ari);
        let count = i64::try_from(jumps.len()).unwrap();
        while simulation.now < simulation.end() {
            while jumps.first().is_some_and(|(at, _)| after(start(), *at) <= simulation.now) {
                simulation.skew = jumps.remove(0).1;
            }
            simulation.look(true);
            prop_assert!(simulation.looks < 100_000);
        }
        // A clock that is wrong by half a life or more makes every certificate seem old.
        let usual = YEARS / (life / 2 - backdated(life)) + 1;
        let issued = i64::from(simulation.issued);
        prop_assert!(issued <= usual + YEARS / (12 * HOUR) + 5 * count, "{issued} issued");
        prop_assert!(i64::from(simulation.looks) <= YEARS / (6 * HOUR) * 2 + 10 * count + 4 * issued);
    }
}

/// Attempts come after one and after ten minutes more, and the first one that finds the CA up is the last: at a first
/// issue and at a renewal.
#[test]
fn a_ca_that_is_down_for_ten_minutes() {
    for is_renewal in [false, true] {
        let mut simulation = Simulation::new(90 * DAY, Ari::None);
        if is_renewal {
            simulation.look(true);
            while simulation.attempts == simulation.issued && simulation.now < after(start(), 59 * DAY) {
                simulation.look(true);
            }
        }
        let issued = simulation.issued;
        let mut attempts = Vec::new();
        while simulation.issued == issued {
            let (now, before) = (simulation.now, simulation.attempts);
            let down_until = attempts.first().map_or(now, |first| *first) + SignedDuration::from_mins(10);
            simulation.look(now >= down_until);
            if simulation.attempts > before {
                attempts.push(now);
            }
        }
        let minutes: Vec<_> = attempts.iter().map(|at| at.duration_since(attempts[0]).as_mins()).collect();
        assert_eq!(minutes, [0, 1, 11], "renewal: {is_renewal}");
        assert!(!simulation.lapsed);
    }
}

/// What one of many has: one lives for ten minutes, ten for six hours, the others for days. The CA says all kinds of things
/// about their renewal, and the clock is wrong by up to half a day, or jumps by hours now and then.
struct Lot {
    life: i64,
    ari: Ari,
    skew: i64,
    jumps_every: Option<i64>,
}

impl Lot {
    fn of(index: u32) -> Self {
        let life = match index {
            0 => HOUR / 6,
            1..=10 => 6 * HOUR,
            _ => [6 * DAY, 45 * DAY, 90 * DAY][index as usize % 3],
        };
        let aris = [Ari::Usual, Ari::None, Ari::Usual, Ari::Past, Ari::TooLate, Ari::Turned, Ari::Fails];
        let is_long = life > DAY;
        let hours = i64::from(index % 25) - 12;
        Self {
            life,
            ari: if index == 0 { Ari::Usual } else { aris[index as usize % aris.len()] },
            skew: if is_long { hours * HOUR } else { 0 },
            jumps_every: (is_long && index.is_multiple_of(2)).then_some(40 * DAY),
        }
    }

    /// Two years of it: what was issued, and how often at most.
    fn live(&self) -> (u32, i64) {
        let mut simulation = Simulation { skew: self.skew, ..Simulation::new(self.life, self.ari) };
        let mut jumps = 0;
        while simulation.now < simulation.end() {
            if self.jumps_every.is_some_and(|every| simulation.now > after(start(), (jumps + 1) * every)) {
                jumps += 1;
                simulation.skew = if jumps % 2 == 0 { self.skew } else { -self.skew };
            }
            simulation.look(true);
            let not_after = simulation.served.as_ref().unwrap().not_after;
            assert!(simulation.now < not_after, "{} s, {:?}: lapsed at {not_after}", self.life, self.ari);
        }
        assert_eq!(simulation.attempts, simulation.issued);
        let shortest = match self.ari {
            Ari::Past => (self.life / 10).min(12 * HOUR),
            _ => self.life / 2 - backdated(self.life),
        };
        // A clock that goes wrong makes a certificate seem older than it is: one more for each time.
        let once_per_window = YEARS / (shortest - self.skew.abs().min(shortest / 4)) + 1 + jumps;
        (simulation.issued, once_per_window)
    }
}

#[test]
fn a_thousand_together() {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u32);
    let totals: Vec<_> = std::thread::scope(|scope| {
        let live = |first| {
            move || {
                let of_one = |index| {
                    let lot = Lot::of(index);
                    let (issued, most) = lot.live();
                    let Lot { life, ari, skew, .. } = lot;
                    assert!(
                        i64::from(issued) <= most,
                        "{issued} issued of {life} s, {ari:?}, {skew} s off; {most} windows"
                    );
                    u64::from(issued)
                };
                (first..MANY).step_by(threads as usize).map(of_one).sum::<u64>()
            }
        };
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(live(first))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    eprintln!("{MANY} certificates in two years: {} issued, none lapsed", totals.iter().sum::<u64>());
}
