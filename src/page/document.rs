//! The page as a whole: its head, the words at its top, its parts.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};
use sha2::{Digest as _, Sha256};

use super::finding::{Finding, Weight};
use super::timeline::Timeline;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A page that tells how something went.
#[derive(Debug)]
pub struct Page {
    title: String,
    subtitle: String,
    findings: Vec<Finding>,
    parts: Vec<Markup>,
    timeline: Option<Timeline>,
}

impl Page {
    /// A page with a headline and a line below it.
    pub fn new(title: impl Into<String>, subtitle: impl Into<String>) -> Self {
        let (title, subtitle) = (title.into(), subtitle.into());
        Self { title, subtitle, findings: Vec::new(), parts: Vec::new(), timeline: None }
    }

    /// Adds to the words at the top; the order is that of their weight.
    pub fn say(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.findings.sort_by_key(Finding::weight);
    }

    /// Adds a part: a table, a chart.
    pub fn add(&mut self, part: &impl Render) {
        self.parts.push(part.render());
    }

    /// The timeline, below all parts. There is one at most: findings lead to its moments.
    pub fn show(&mut self, timeline: Timeline) {
        self.timeline = Some(timeline);
    }

    /// The file. A browser that opens it is told to load nothing and to run no script but the page's own.
    pub fn to_html(&self) -> String {
        let marked: BTreeSet<usize> = self.findings.iter().filter_map(Finding::moment).collect();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "planner_tuner " (env!("CARGO_PKG_VERSION")) };
                    // Without one, a browser asks the page's server for one.
                    link rel="icon" href="data:,";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { h1 { (self.title) } p { (self.subtitle) } }
                    main {
                        section.words {
                            h2 { "What to look at" }
                            @if self.findings.iter().all(|finding| finding.weight() == Weight::Known) {
                                p { "Nothing stands out." }
                            }
                            ul { @for finding in &self.findings { (finding) } }
                        }
                        @for part in &self.parts { (part) }
                        @match &self.timeline {
                            Some(timeline) if timeline.is_empty() => p { "There is no " (timeline.noun()) " to show." },
                            Some(timeline) => (timeline.markup(&marked)),
                            None => {}
                        }
                    }
                    footer { p { "planner_tuner " (env!("CARGO_PKG_VERSION")) ". This file holds all that it shows and loads nothing." } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        page.into_string()
    }
}

/// Nothing is loaded from anywhere, pictures are those in the file, and the only script is the one with this hash.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; \
         form-action 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_end_where_they_should_and_load_nothing() {
        for text in [STYLE, SCRIPT] {
            for bad in ["</", "<!--", "http:", "https:", "@import", "url(", "fetch(", "import("] {
                assert!(!text.contains(bad), "{bad}");
            }
        }
    }
}
