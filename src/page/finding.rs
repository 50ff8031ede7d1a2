//! What a reader should look at, in words.

use maud::{Markup, Render, html};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something was lost or refused.
    Lost,
    /// Worth a look.
    Look,
    /// Good to know.
    Known,
}

impl Weight {
    fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Look => "look",
            Self::Known => "note",
        }
    }
}

/// A sentence about what happened, with the moment where it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    weight: Weight,
    text: String,
    moment: Option<usize>,
}

impl Finding {
    /// A sentence.
    pub fn new(weight: Weight, text: impl Into<String>) -> Self {
        Self { weight, text: text.into(), moment: None }
    }

    /// Leads to a moment of the page's timeline, counted from 0.
    pub fn at(self, moment: usize) -> Self {
        Self { moment: Some(moment), ..self }
    }

    /// The moment that it leads to.
    pub fn moment(&self) -> Option<usize> {
        self.moment
    }

    /// How much it matters.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The sentence.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Render for Finding {
    fn render(&self) -> Markup {
        html! {
            li class=(self.weight.word()) {
                span.weight { (self.weight.word()) } " "
                span {
                    (self.text)
                    @if let Some(moment) = self.moment { " " a href={ "#m" (moment) } { "see " (moment) } }
                }
            }
        }
    }
}
