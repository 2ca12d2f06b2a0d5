//! `[fallback]`: the last rung of the ladder, for events that no model could score.
//!
//! One event in `pass_through` is kept, by hash like a prescale; the others are rejected. So an event that no line decided has a verdict
//! that depends only on its run and id.

use crate::limits::PRESCALE_MAX;
use crate::lottery::{Lottery, position};
use crate::menu::Streams;
use tamis_form::Complaints;
use tamis_form::Table;

/// The name that seeds the hash; no line can have it.
const LOTTERY_NAME: &str = "#fallback";

/// What happens to an event that no model could score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassThrough {
    every: u64,
    streams: Vec<usize>,
    lottery: Lottery,
}

impl PassThrough {
    pub(crate) fn read(table: &Table<'_>, streams: &Streams, complaints: &mut Complaints) -> Option<Self> {
        let mut about = Complaints::default();
        let every = table.count("pass_through", PRESCALE_MAX);
        let every =
            about.take(every.and_then(|every| every.ok_or_else(|| table.missing("pass_through", "100"))));
        let streams = about.take(streams.named_by(table));
        table.complain(&["pass_through", "streams"], about, complaints);
        let every = every?;
        Some(Self { every, streams: streams?, lottery: Lottery::new(LOTTERY_NAME, every) })
    }

    /// One event in this many is kept; at least 1.
    pub fn every(&self) -> u64 {
        self.every
    }

    /// Indices of the streams that get the kept events, ascending.
    pub fn streams(&self) -> &[usize] {
        &self.streams
    }

    /// Bit `s` = stream `s` gets the kept events.
    pub fn stream_bits(&self) -> u64 {
        self.streams.iter().fold(0, |bits, stream| bits | 1 << stream)
    }

    /// Is this event kept?
    pub fn keeps(&self, run: u32, event_id: u64) -> bool {
        self.lottery.draws(self.lottery.seed(run), position(event_id))
    }
}
