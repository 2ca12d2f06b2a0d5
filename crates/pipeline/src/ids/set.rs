//! A set of ids: long stretches cost as little as single ids.
//!
//! ```text
//!   tail    the stretch that grows: apart, so that the next ids in a row cost two comparisons
//!   full    first word -> last word: stretches of words (64 neighbouring ids, from a multiple of 64 on) that are in the set as a whole
//!   part    word -> bit per id: words of which some ids are in the set
//! ```
//!
//! * I1: no id is in two of them, and no word is in both maps; neighbours in `full` do not touch.
//! * I2: no id of the maps lies between the end of the tail and `clear_below`.
//!
//! Cost: a stretch takes at most three entries, ids that are not neighbours one entry for each word that holds some.

use std::collections::BTreeMap;

/// Most bytes that an entry of a map takes.
const ENTRY_BYTES: usize = 32;
const WORD: u64 = 64;

/// See the module's doc. Stretches are inclusive: the highest id is an id, too.
#[derive(Clone, Debug)]
pub(super) struct IdSet {
    tail: (u64, u64),
    clear_below: u64,
    rest: Option<Box<Words>>,
}

#[derive(Clone, Debug, Default)]
struct Words {
    full: BTreeMap<u64, u64>,
    part: BTreeMap<u64, u64>,
}

impl IdSet {
    /// The set of these ids.
    pub(super) fn of((first, last): (u64, u64)) -> Self {
        Self { tail: (first, last), clear_below: u64::MAX, rest: None }
    }

    /// Calls `each` with every stretch of `first..=last` that is not in the set, in order.
    pub(super) fn lacking(&self, first: u64, last: u64, mut each: impl FnMut((u64, u64))) {
        if self.continues(first, last) || self.count(first, last) == 0 {
            return each((first, last));
        }
        let mut held = Vec::new();
        held.extend(clipped(self.tail, first, last));
        if let Some(words) = &self.rest {
            held.extend(words.full(first, last));
            words.part(first, last).for_each(|(word, bits)| stretches(word, bits, &mut held));
        }
        held.sort_unstable();
        let mut next = Some(first);
        for (from, to) in held {
            // Stretches do not overlap (I1), so `from` is not before `next`.
            if let Some(next) = next.filter(|&next| next < from) {
                each((next, from - 1));
            }
            next = to.checked_add(1);
        }
        if let Some(next) = next.filter(|&next| next <= last) {
            each((next, last));
        }
    }

    /// How many of `first..=last` are in the set.
    pub(super) fn count(&self, first: u64, last: u64) -> u64 {
        if first > last {
            return 0;
        }
        let length = |(from, to): (u64, u64)| to - from + 1;
        let tail = clipped(self.tail, first, last).map_or(0, length);
        let Some(words) = &self.rest else { return tail };
        let full: u64 = words.full(first, last).map(length).sum();
        let part: u64 = words.part(first, last).map(|(_, bits)| u64::from(bits.count_ones())).sum();
        tail + full + part
    }

    /// How many ids it holds.
    pub(super) fn len(&self) -> u64 {
        self.count(0, u64::MAX)
    }

    /// Adds ids that are not in the set.
    pub(super) fn add(&mut self, first: u64, last: u64) {
        if self.continues(first, last) {
            self.tail.1 = last;
            return;
        }
        let words = self.rest.get_or_insert_default();
        words.add(self.tail);
        self.tail = (first, last);
        self.clear_below = words.next_after(last);
    }

    /// Adds one id, which need not be near any other. `false`: it is in the set already. Quicker than [`Self::lacking`] and [`Self::add`].
    pub(super) fn insert(&mut self, id: u64) -> bool {
        if (self.tail.0..=self.tail.1).contains(&id) {
            return false;
        }
        let is_new = self.rest.get_or_insert_default().insert(id);
        if is_new && id > self.tail.1 {
            self.clear_below = self.clear_below.min(id);
        }
        is_new
    }

    /// Bytes that it takes beyond its own size.
    pub(super) fn bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |words| size_of::<Words>() + words.entries() * ENTRY_BYTES)
    }

    /// Do these ids, none of which is in the set, come right after the stretch that grows?
    pub(super) fn continues(&self, first: u64, last: u64) -> bool {
        self.tail.1.wrapping_add(1) == first && first != 0 && last < self.clear_below
    }
}

impl Words {
    fn entries(&self) -> usize {
        self.full.len() + self.part.len()
    }

    /// The stretches of full words, cut to `first..=last`.
    fn full(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> {
        let before = self.full.range(..=first / WORD).next_back();
        let within = self.full.range(first / WORD + 1..=(last / WORD).max(first / WORD + 1));
        let ids = |(&from, &to): (&u64, &u64)| (from * WORD, to * WORD + (WORD - 1));
        before.into_iter().chain(within).filter_map(move |words| clipped(ids(words), first, last))
    }

    /// The words that are there in part, cut to `first..=last`.
    fn part(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> {
        self.part.range(first / WORD..=last / WORD).map(move |(&word, &bits)| {
            let low = if word == first / WORD { u64::MAX << (first % WORD) } else { u64::MAX };
            let high = if word == last / WORD { u64::MAX >> (WORD - 1 - last % WORD) } else { u64::MAX };
            (word, bits & low & high)
        })
    }

    /// The lowest id above `id`, or the highest that there can be.
    fn next_after(&self, id: u64) -> u64 {
        let Some(from) = id.checked_add(1) else { return u64::MAX };
        let full = self.full(from, u64::MAX).next().map(|(from, _)| from);
        let part = self.part(from, u64::MAX).find(|&(_, bits)| bits != 0);
        let part = part.map(|(word, bits)| word * WORD + u64::from(bits.trailing_zeros()));
        full.into_iter().chain(part).min().unwrap_or(u64::MAX)
    }

    fn insert(&mut self, id: u64) -> bool {
        if !self.full.is_empty() && self.full(id, id).next().is_some() {
            return false;
        }
        self.add_bits(id / WORD, 1 << (id % WORD)) >> (id % WORD) & 1 == 0
    }

    fn add(&mut self, (first, last): (u64, u64)) {
        let (mut from, mut to) = (first / WORD, last / WORD);
        let (low, high) = (u64::MAX << (first % WORD), u64::MAX >> (WORD - 1 - last % WORD));
        if from == to {
            self.add_bits(from, low & high);
            return;
        }
        if low != u64::MAX {
            self.add_bits(from, low);
            from += 1;
        }
        if high != u64::MAX {
            self.add_bits(to, high);
            to -= 1;
        }
        if from <= to {
            self.add_words(from, to);
        }
    }

    /// Returns the bits that were there before.
    fn add_bits(&mut self, word: u64, bits: u64) -> u64 {
        let held = self.part.entry(word).or_insert(0);
        let before = std::mem::replace(held, *held | bits);
        if *held == u64::MAX {
            self.part.remove(&word);
            self.add_words(word, word);
        }
        before
    }

    fn add_words(&mut self, mut from: u64, mut to: u64) {
        if let Some((&before, &end)) = self.full.range(..from).next_back()
            && end + 1 == from
        {
            from = before;
        }
        if let Some(end) = self.full.remove(&(to + 1)) {
            to = end;
        }
        self.full.insert(from, to);
    }
}

/// The part of a stretch within `first..=last`.
fn clipped((from, to): (u64, u64), first: u64, last: u64) -> Option<(u64, u64)> {
    let (from, to) = (from.max(first), to.min(last));
    (from <= to).then_some((from, to))
}

/// The stretches of neighbouring bits of a word.
fn stretches(word: u64, mut bits: u64, into: &mut Vec<(u64, u64)>) {
    while bits != 0 {
        let from = bits.trailing_zeros();
        let length = (bits >> from).trailing_ones();
        let first = word * WORD + u64::from(from);
        into.push((first, first + (u64::from(length) - 1)));
        bits &= u64::MAX.checked_shl(from + length).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain set of ids, around 0, around some word, and up to the highest id.
        #[test]
        fn holds_what_was_added(
            base in prop::sample::select(vec![0, 1 << 20, u64::MAX - 1023]),
            stretches in prop::collection::vec((0u64..1024, 1u64..200), 1..60),
            asked in prop::collection::vec((0u64..1024, 0u64..1024), 8),
        ) {
            let mut plain = BTreeSet::new();
            let mut set: Option<IdSet> = None;
            for (first, length) in stretches {
                let (first, last) = (base + first, base + (first + length - 1).min(1023));
                // Some ids are put in one by one, apart from the tail.
                if let Some(set) = set.as_mut().filter(|_| length < 60) {
                    prop_assert_eq!(set.insert(first), plain.insert(first));
                    prop_assert_eq!(set.len(), plain.len() as u64);
                    continue;
                }
                let mut lacking = Vec::new();
                match &set {
                    Some(set) => set.lacking(first, last, |stretch| lacking.push(stretch)),
                    None => lacking.push((first, last)),
                }
                let ids: Vec<u64> = lacking.iter().flat_map(|&(from, to)| from..=to).collect();
                let expected: Vec<u64> = (first..=last).filter(|id| !plain.contains(id)).collect();
                prop_assert_eq!(&ids, &expected);
                for &(from, to) in &lacking {
                    match &mut set {
                        Some(set) => set.add(from, to),
                        None => set = Some(IdSet::of((from, to))),
                    }
                }
                plain.extend(ids);
                let set = set.as_ref().unwrap();
                prop_assert_eq!(set.len(), plain.len() as u64);
                for (from, to) in &asked {
                    let count = plain.iter().filter(|&&id| id >= base + from && id <= base + to).count();
                    prop_assert_eq!(set.count(base + from, base + to), count as u64);
                }
            }
        }
    }

    #[test]
    fn stretches_and_neighbours_are_small() {
        let mut set = IdSet::of((5, 5));
        (6..1_000_000).for_each(|id| set.add(id, id));
        assert_eq!((set.bytes(), set.len()), (0, 999_995));
        // Every third id: a word holds 21 of them.
        let mut set = IdSet::of((0, 0));
        (1..100_000).for_each(|k| set.add(3 * k, 3 * k));
        assert!(set.bytes() < 100_000 * 3 / 64 * ENTRY_BYTES + 200, "{}", set.bytes());
        // Whatever the order in which stretches come, they grow together.
        let mut set = IdSet::of((0, 99));
        (1..1000).for_each(|k| set.add(100 * (k * 7 % 1000), 100 * (k * 7 % 1000) + 99));
        assert!(set.len() == 100_000 && set.bytes() < 400, "{}", set.bytes());
    }
}
