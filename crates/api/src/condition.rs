//! Conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The types of conditions that gatecert sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// The object does what it is for.
    Ready,
    /// A certificate is being issued, or waits to be.
    Issuing,
}

impl ConditionType {
    /// The type as it stands in the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Issuing => "Issuing",
        }
    }
}

/// The conditions with one of them set. `lastTransitionTime` changes only where the status does.
pub fn conditions_with(
    conditions: &[Condition],
    type_: ConditionType,
    status: bool,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Time,
) -> Vec<Condition> {
    let status = if status { "True" } else { "False" };
    let before = conditions.iter().find(|condition| condition.type_ == type_.as_str());
    let since =
        before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
    let condition = Condition {
        type_: type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or(now),
    };
    let mut others: Vec<_> =
        conditions.iter().filter(|condition| condition.type_ != type_.as_str()).cloned().collect();
    others.push(condition);
    others.sort_by(|a, b| b.type_.cmp(&a.type_));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Time {
        Time(time.parse().unwrap())
    }

    #[test]
    fn the_time_of_a_transition_is_that_of_the_status() {
        let first =
            conditions_with(&[], ConditionType::Ready, false, "A", "a", Some(1), at("2026-11-23T12:00:00Z"));
        let same = conditions_with(
            &first,
            ConditionType::Ready,
            false,
            "B",
            "b",
            Some(2),
            at("2026-11-23T13:00:00Z"),
        );
        assert_eq!(same[0].last_transition_time, first[0].last_transition_time);
        assert_eq!((same[0].reason.as_str(), same[0].observed_generation), ("B", Some(2)));
        let other =
            conditions_with(&same, ConditionType::Ready, true, "C", "c", Some(2), at("2026-11-23T14:00:00Z"));
        assert_eq!(other[0].last_transition_time, at("2026-11-23T14:00:00Z"));
        let both =
            conditions_with(&other, ConditionType::Issuing, true, "D", "", None, at("2026-11-23T14:00:00Z"));
        assert_eq!(
            both.iter().map(|condition| condition.type_.as_str()).collect::<Vec<_>>(),
            ["Ready", "Issuing"]
        );
    }
}
