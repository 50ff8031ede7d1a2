//! What was looked at, what was found, and what to do about it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Error,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(crate) verdict: Verdict,
    /// What was looked at; stable, for programs.
    pub(crate) check: &'static str,
    pub(crate) found: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, check, found: found.into(), remedy: None }
    }

    pub(super) fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, check, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn error(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Error, check, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// How many are errors.
pub(super) fn errors(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.verdict == Verdict::Error).count()
}

/// For people: a line each, and one for the remedy.
pub(super) fn as_table(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { verdict, check, found, remedy } in findings {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Error => "ERROR",
        };
        let _ = writeln!(text, "{verdict:<6} {check:<18} {found}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{:<6} {:<18} -> {remedy}", "", "");
        }
    }
    text
}

/// For programs: one object.
pub(super) fn as_json(findings: &[Finding]) -> String {
    json!({ "ok": errors(findings) == 0, "findings": findings }).to_string() + "\n"
}
