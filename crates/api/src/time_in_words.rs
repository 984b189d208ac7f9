//! Times as people read them: how far away.

use jiff::Timestamp;

/// How far one time is from the other, in its largest unit: whole seconds, minutes from one on, hours from two on, days
/// from two on. Which of the two is the earlier does not matter.
pub fn distance(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().unsigned_abs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time as seen from now: `in 29 d`, `3 h ago`.
pub fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = distance(now, time);
    if time < now { format!("{distance} ago") } else { format!("in {distance}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        for (seconds, said) in [
            (0, "in 0 s"),
            (59, "in 59 s"),
            (-90, "1 min ago"),
            (7199, "in 119 min"),
            (7200, "in 2 h"),
            (-172_799, "47 h ago"),
            (172_800, "in 2 d"),
        ] {
            assert_eq!(relative(at(seconds), now), said);
            assert_eq!(distance(now, at(seconds)), distance(at(seconds), now));
        }
    }
}
