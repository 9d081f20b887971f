//! The settings of the guardrails, parsed.

use super::layers::Resolved;
use crate::guardrails::{Guardrail, Guardrails, Mode, People, Rule};
use std::time::Duration;

/// The guardrails of checked settings.
pub(super) fn guardrails(resolved: &Resolved) -> Guardrails {
    let rule = |guardrail: Guardrail| {
        let key = format!("guardrail_{}", guardrail.as_str());
        let tolerance_bp = resolved.number(&format!("{key}_tolerance_bp"));
        Rule {
            mode: match resolved.text(&key) {
                "abort" => Mode::Abort,
                "warn" => Mode::Warn,
                _ => Mode::Off,
            },
            tolerance: tolerance_bp as f64 / 10_000.0,
        }
    };
    let millis = |key| Duration::from_millis(resolved.number(key));
    Guardrails {
        rules: Guardrail::ALL.map(rule),
        people: match resolved.text("guardrail_people") {
            "known" => People::Known,
            _ => People::All,
        },
        slow_after: millis("guardrail_slow_ms"),
        people_min: resolved.number("guardrail_people_min"),
        replicas_max: u32::try_from(resolved.number("replicas_max")).unwrap_or(u32::MAX),
        interval: millis("guardrail_interval_ms"),
    }
}
