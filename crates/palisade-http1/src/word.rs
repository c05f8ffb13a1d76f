//! Eight bytes at a time, in one register.
//!
//! Most of a head is values that hold nothing but ordinary text, and that is seen without looking at
//! single bytes. A word is what little-endian machines load, so its lowest byte is the first one. The
//! highest bit of each byte serves as its mark.

/// A 1 in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte.
const MARKS: u64 = 0x80 * ONES;

/// Marks on the bytes that are below `low`, at most 0x80, or DEL. Bytes after the first mark may be
/// marked wrongly.
pub(crate) fn low_or_delete(word: u64, low: u8) -> u64 {
    // A borrow can only mark bytes after one that is marked rightly.
    let is_low = word.wrapping_sub(u64::from(low) * ONES) & !word;
    let delete = word ^ (0x7f * ONES);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (is_low | is_delete) & MARKS
}

/// How many bytes come before the first mark.
pub(crate) fn before(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_mark_is_right(text in prop::array::uniform8(prop_oneof![any::<u8>(), Just(0x7f)]), low in 1..=0x80_u8) {
            let found = text.iter().position(|byte| *byte < low || *byte == 0x7f).unwrap_or(8);
            prop_assert_eq!(before(low_or_delete(u64::from_le_bytes(text), low)), found);
        }
    }
}
