//! Where a JPEG ends: cameras and drivers copy buffers of a fixed length, so that anything may lie behind a picture.

/// Markers (ITU T.81, table B.1) that stand alone: TEM and the restart markers.
fn stands_alone(marker: u8) -> bool {
    marker == 0x01 || (0xD0..=0xD7).contains(&marker)
}

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

/// The length of the picture that `data` begins with, its end-of-image marker included.
///
/// The segments are walked, since the two bytes of the marker may as well lie in a thumbnail, or behind a picture that
/// is cut short. `None` where the picture breaks off: its end never comes, or another picture begins before it does.
pub(super) fn jpeg_length(data: &[u8]) -> Option<usize> {
    let mut position = data.starts_with(&[0xFF, START_OF_IMAGE]).then_some(2)?;
    loop {
        // As libjpeg does, whatever lies between two segments is passed over.
        let (marker, behind) = next_marker(data, position, false)?;
        position = behind;
        match marker {
            END_OF_IMAGE => return Some(position),
            START_OF_IMAGE => return None,
            _ if stands_alone(marker) => continue,
            _ => {}
        }
        let length = data.get(position..)?.first_chunk().copied().map(u16::from_be_bytes)?;
        // The length counts itself.
        position = position.checked_add(usize::from(length).max(2)).filter(|end| *end <= data.len())?;
        if marker == START_OF_SCAN {
            let (marker, behind) = next_marker(data, position, true)?;
            // To be read once more, as the beginning of a segment.
            position = behind - 2;
            if marker == START_OF_IMAGE {
                return None;
            }
        }
    }
}

/// The next marker at or behind `position`, and where it ends. Inside of a scan, restart markers are part of the pixels.
fn next_marker(data: &[u8], mut position: usize, in_scan: bool) -> Option<(u8, usize)> {
    loop {
        position += data.get(position..)?.iter().position(|&byte| byte == 0xFF)?;
        let marker = *data.get(position + 1)?;
        match marker {
            // A byte of the pixels that happens to be 0xFF, and one that fills up.
            0x00 => position += 2,
            0xFF => position += 1,
            _ if in_scan && stands_alone(marker) => position += 2,
            _ => return Some((marker, position + 2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of nothing: a comment that holds the bytes of an end, a scan with a stuffed byte and a restart.
    const PICTURE: [u8; 23] = [
        0xFF, 0xD8, 0xFF, 0xFE, 0x00, 0x04, 0xFF, 0xD9, 0xFF, 0xDA, 0x00, 0x03, 0x07, 1, 0xFF, 0x00, 2, 0xFF, 0xD3, 3,
        9, 0xFF, 0xD9,
    ];

    #[test]
    fn the_end_is_found_whatever_lies_behind_it() {
        for rest in [&[][..], &[0; 9], &[0xFF; 4], &[0xFF, 0xD8, 0xFF, 0xE0, 0, 9], &[7, 0xFF, 0xD9, 0xFF]] {
            assert_eq!(jpeg_length(&[&PICTURE[..], rest].concat()), Some(PICTURE.len()), "{rest:?}");
        }
    }

    #[test]
    fn a_picture_that_breaks_off_has_no_end() {
        for end in 1..PICTURE.len() {
            assert_eq!(jpeg_length(&PICTURE[..end]), None, "cut at {end}");
            // What lay in the buffer before was a whole picture.
            let old = [&PICTURE[..end], &PICTURE].concat();
            assert_ne!(jpeg_length(&old), Some(PICTURE.len()), "cut at {end}, old bytes behind it");
        }
        assert_eq!(jpeg_length(&[&PICTURE[..20], &PICTURE].concat()), None, "cut inside of the pixels");
    }
}
