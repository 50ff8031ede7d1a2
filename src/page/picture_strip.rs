//! The pictures that belong to moments, side by side.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

/// A picture in the form of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its type: `image/jpeg`, `image/png`.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
}

/// Pictures of any number of moments: keeps them evenly spread and small enough together to be sent by mail.
#[derive(Debug, Clone, Default)]
pub(super) struct PictureStrip {
    kept: Vec<(usize, Picture)>,
    /// Bytes of those that are kept.
    bytes: usize,
    offered: usize,
    /// Every 2^thinned-th picture is kept.
    thinned: u32,
}

impl PictureStrip {
    /// Most bytes that are kept; in the page they take a third more.
    const MOST_BYTES: usize = 6_000_000;

    /// Whether the next picture would be kept: others need not be made.
    pub(super) fn wants_next(&self) -> bool {
        self.offered.is_multiple_of(1 << self.thinned)
    }

    /// Goes past a picture that is not wanted, or not there.
    pub(super) fn pass(&mut self) {
        self.offered += 1;
    }

    /// Takes the next picture, of this moment.
    pub(super) fn push(&mut self, moment: usize, picture: Picture) {
        if self.wants_next() {
            self.bytes += picture.bytes.len();
            self.kept.push((moment, picture));
        }
        self.pass();
        while self.bytes > Self::MOST_BYTES && self.kept.len() > 1 {
            let mut index = 0usize;
            self.kept.retain(|_| {
                index += 1;
                !index.is_multiple_of(2)
            });
            self.bytes = self.kept.iter().map(|(_, picture)| picture.bytes.len()).sum();
            self.thinned += 1;
        }
    }

    /// The moments that have a picture, in order.
    pub(super) fn moments(&self) -> impl Iterator<Item = usize> + '_ {
        self.kept.iter().map(|(moment, _)| *moment)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How it says that it has not all pictures; empty where it has.
    fn thinned_words(&self) -> String {
        match self.thinned {
            0 => String::new(),
            thinned => format!("Pictures of every {}th moment, so that the page stays small.", 1_u64 << thinned),
        }
    }

    /// The strip; `label` says when a moment was.
    pub(super) fn markup(&self, label: impl Fn(usize) -> String) -> Markup {
        html! {
            @if self.thinned > 0 { p.note { (self.thinned_words()) } }
            div.strip tabindex="0" aria-label="pictures" {
                @for (moment, picture) in &self.kept {
                    figure id={ "f" (moment) } data-m=(moment) {
                        a href={ "#m" (moment) } {
                            img src=(data_uri(picture)) alt={ "picture of moment " (moment) }
                                width=(picture.width) height=(picture.height) decoding="async";
                        }
                        figcaption { (label(*moment)) }
                    }
                }
            }
        }
    }
}

fn data_uri(picture: &Picture) -> String {
    let mut uri = format!("data:{};base64,", picture.media_type);
    STANDARD.encode_string(&picture.bytes, &mut uri);
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(pictures: usize, bytes: usize) -> PictureStrip {
        let mut strip = PictureStrip::default();
        for moment in 0..pictures {
            strip.push(moment, Picture { media_type: "image/jpeg", bytes: vec![0; bytes], width: 3, height: 2 });
        }
        strip
    }

    #[test]
    fn a_short_drive_keeps_every_picture() {
        let strip = strip(200, 25_000);
        assert_eq!(strip.moments().count(), 200);
        assert_eq!(strip.thinned_words(), "");
    }

    #[test]
    fn a_long_drive_keeps_an_even_part_and_says_so() {
        let strip = strip(10_000, 25_000);
        let moments: Vec<usize> = strip.moments().collect();
        assert!(moments.iter().enumerate().all(|(index, moment)| *moment == index * 64), "{moments:?}");
        assert!(strip.bytes <= PictureStrip::MOST_BYTES && strip.bytes > PictureStrip::MOST_BYTES / 3);
        assert!(strip.thinned_words().contains("every 64th"));
        assert!(!strip.wants_next() || strip.offered.is_multiple_of(64));
    }

    #[test]
    fn a_single_huge_picture_stays() {
        assert_eq!(strip(1, 9_000_000).moments().count(), 1);
    }
}
