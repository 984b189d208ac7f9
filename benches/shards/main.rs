//! Many Certificates at Let's Encrypt, split over shards, in virtual time: each decision is the planner's and each wait for
//! an order the budget's, so that what comes out is what controllers would do. For `cargo xtask bench shards`.

mod member;
mod traffic;

use anyhow::{Result, ensure};
use clap::Parser;
use gatecert_issue::budget::{Budget, Limits};
use jiff::{SignedDuration, Timestamp};
use member::Member;
use std::collections::BTreeSet;
use std::time::Instant;
use traffic::{Course, Report, Traffic};

/// How far the last first issue may be away: a year.
const PATIENCE: SignedDuration = SignedDuration::from_hours(366 * 24);

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 100_000)]
    certificates: usize,
    #[arg(long, value_delimiter = ',', default_value = "1,4,10")]
    shards: Vec<usize>,
    /// How long it goes on once all are issued.
    #[arg(long, default_value_t = 90)]
    days: u32,
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

#[allow(clippy::print_stdout, reason = "a program that measures")]
fn main() -> Result<()> {
    let Arguments { certificates, shards, days, output } = Arguments::parse();
    let mut reports = Vec::new();
    for count in shards {
        ensure!(count > 0 && certificates > 0, "there is nothing to split");
        let report = simulate(certificates, count, days)?;
        if output == "text" {
            print!("{report}");
        }
        reports.push(report);
    }
    if output == "json" {
        println!("{}", serde_json::to_string(&reports)?);
    }
    Ok(())
}

/// All shards, one after the other: they share nothing but the CA.
fn simulate(certificates: usize, shards: usize, days: u32) -> Result<Report> {
    let begun = beginning()?;
    let mut members: Vec<Vec<Member>> = (0..shards).map(|_| Vec::new()).collect();
    for index in 0..certificates {
        let member = Member::new(index)?;
        let shard = member.shard(shards);
        members[shard].push(member);
    }
    let largest = members.iter().map(Vec::len).max().unwrap_or_default();
    let mut all_issued = begun;
    for shard in &mut members {
        all_issued = all_issued.max(issue_all(shard, begun)?);
    }
    let end = all_issued + SignedDuration::from_hours(24 * i64::from(days));
    let restart = all_issued + SignedDuration::from_hours(12 * i64::from(days));
    let (mut of_all, mut of_largest) = (Traffic::new(all_issued, end), Traffic::new(all_issued, end));
    let took = stopwatch();
    for shard in &mut members {
        let mut traffic = Traffic::new(all_issued, end);
        for member in shard.iter_mut() {
            member.live(restart, end, &mut traffic)?;
        }
        of_all.add(&traffic);
        if shard.len() == largest {
            of_largest = traffic;
        }
    }
    let planning = took().as_secs_f64();
    let course = Course { until_issued: all_issued.duration_since(begun), restart };
    Ok(Report::new(shards, certificates, largest, &course, &of_all, &of_largest, planning))
}

/// The first issue of each, at the speed that the limits of one account allow. When the last one is issued.
fn issue_all(shard: &mut [Member], begun: Timestamp) -> Result<Timestamp> {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let mut turns: BTreeSet<_> = (0..shard.len()).map(|index| (begun, index)).collect();
    let mut last = begun;
    while let Some((now, index)) = turns.pop_first() {
        ensure!(now.duration_since(begun) < PATIENCE, "{} are not issued within a year", turns.len() + 1);
        match shard[index].issue_first(&mut budget, now)? {
            Some(later) => {
                turns.insert((later, index));
            }
            None => last = last.max(now),
        }
    }
    Ok(last)
}

fn beginning() -> Result<Timestamp> {
    Ok("2027-01-01T00:00:00Z".parse()?)
}

/// The time of planning, which is what the simulation measures of the real world.
#[allow(clippy::disallowed_methods, reason = "a program that measures")]
fn stopwatch() -> impl Fn() -> std::time::Duration {
    let begun = Instant::now();
    move || begun.elapsed()
}
