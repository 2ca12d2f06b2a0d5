//! Which records of a stream a file has, by their numbers.
//!
//! Records are numbered from 0 in the first file of a stream, and go on in the next one. A number that is missing is a record that is lost, and one that
//! came before is a record that is there twice.

use std::collections::BTreeMap;

/// Number 0, with room for numbers before it: a file that lies would need 2^32 records to get out of it on either side.
const ZERO: u64 = 1 << 63;

/// The numbers that came so far.
#[derive(Debug, Default)]
pub(crate) struct RecordNumbers {
    /// Numbers that follow one another: the first one, and the one after the last.
    runs: BTreeMap<u64, u64>,
    last: Option<u64>,
    repeated: u64,
}

impl RecordNumbers {
    /// Is this a record that did not come before? Numbers of 32 bits begin again after the last one: the nearest to the one before is meant.
    pub(crate) fn add(&mut self, number: u32) -> bool {
        let number = self.last.map_or(ZERO + u64::from(number), |last| {
            last.wrapping_add_signed(i64::from(number.wrapping_sub(last as u32).cast_signed()))
        });
        self.last = Some(number);
        let before = self.runs.range_mut(..=number).next_back();
        let start = match before {
            Some((_, end)) if number < *end => {
                self.repeated += 1;
                return false;
            }
            Some((&start, end)) if number == *end => {
                *end += 1;
                start
            }
            _ => number,
        };
        let end = self.runs.remove(&(number + 1)).unwrap_or(number + 1);
        self.runs.insert(start, end);
        true
    }

    /// How many numbers are missing between those that came, and before them if these are of the first file of a stream.
    pub(crate) fn missing(&self, is_first_file: bool) -> u64 {
        let (Some((&first, _)), Some((_, &end))) = (self.runs.first_key_value(), self.runs.last_key_value())
        else {
            return 0;
        };
        let first = if is_first_file { first.min(ZERO) } else { first };
        end - first - self.runs.iter().map(|(start, end)| end - start).sum::<u64>()
    }

    /// How many records came before.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl IntoIterator<Item = u32>) -> RecordNumbers {
        let mut of = RecordNumbers::default();
        numbers.into_iter().for_each(|number| _ = of.add(number));
        of
    }

    #[test]
    fn numbers_are_missing_once_and_repeated_each_time() {
        let told =
            |numbers: RecordNumbers| (numbers.missing(false), numbers.missing(true), numbers.repeated());
        assert_eq!(told(of([])), (0, 0, 0));
        assert_eq!(told(of(0..10)), (0, 0, 0));
        assert_eq!(told(of(5..10)), (0, 5, 0));
        assert_eq!(told(of((0..10).chain(15..20))), (5, 5, 0));
        // Chunks in another order, and one twice.
        assert_eq!(told(of((0..10).chain(20..30).chain(10..20).chain(30..40))), (0, 0, 0));
        assert_eq!(told(of((10..20).chain(0..10))), (0, 0, 0));
        assert_eq!(told(of((0..10).chain(5..8).chain(12..15))), (2, 2, 3));
        // Beyond 32 bits.
        assert_eq!(told(of((u32::MAX - 2..=u32::MAX).chain(0..3))).0, 0);
        assert_eq!(told(of([u32::MAX, 3])).0, 3);
        // A file that lies: as far back as a number can go, again and again.
        assert_eq!(of([0, 1 << 31, 0, u32::MAX]).repeated(), 0);
        assert!(of([7, 8]).runs.len() == 1 && of([7, 9, 8]).runs.len() == 1);
    }
}
