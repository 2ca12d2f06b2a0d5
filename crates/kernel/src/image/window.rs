//! Which numbers the windows of a layer read.
//!
//! ```text
//!   before        size
//!   |-----|-------------------|
//!   [k . k . k]                     window 0: kernel 3, dilation 2; two of its numbers lie in front of the image
//!         [k . k . k]               window 1, a stride further
//! ```

/// Numbers that follow each other, and so do their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub input: u32,
    pub weight: u32,
    pub len: u32,
}

/// What a sum at one place reads.
pub(super) type Place = Box<[Piece]>;

/// Windows along one axis of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageAxis {
    /// Numbers of the image.
    pub size: usize,
    /// Numbers that a window reads, those beyond the image included.
    pub kernel: usize,
    /// How much further a window begins than the one before.
    pub stride: usize,
    /// How much further a number of a window is than the one before; 1 if they follow each other.
    pub dilation: usize,
    /// How far in front of the image the first window begins.
    pub before: usize,
    /// How many windows there are.
    pub windows: usize,
}

impl ImageAxis {
    /// An axis that is as long as one number: height of an image that has none.
    pub const FLAT: Self = Self { size: 1, kernel: 1, stride: 1, dilation: 1, before: 0, windows: 1 };

    /// What a window reads of the image: which of its numbers that is, and where on the image.
    pub(super) fn reads(self, window: usize) -> impl Iterator<Item = (usize, usize)> {
        let place = move |tap: usize| (window * self.stride + tap * self.dilation).checked_sub(self.before);
        (0..self.kernel)
            .filter_map(move |tap| Some((tap, place(tap)?)))
            .filter(move |&(_, at)| at < self.size)
    }
}

/// What each window reads of one channel: places of the image, row by row.
pub(super) fn places([height, width]: &[ImageAxis; 2]) -> Vec<Vec<usize>> {
    let window = |window: usize| {
        let down = window / width.windows;
        let across = window % width.windows;
        let row = move |(_, y)| width.reads(across).map(move |(_, x)| y * width.size + x);
        height.reads(down).flat_map(row).collect()
    };
    (0..height.windows * width.windows).map(window).collect()
}

/// In which order an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// All places of a channel, then the next channel: as callers have it.
    ByChannel,
    /// All channels of a place, then the next place.
    ByPlace,
}

/// How an image stands that windows read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub channels: usize,
    pub axes: [ImageAxis; 2],
    pub order: Order,
}

impl Layout {
    /// Where the number of a channel at a place is.
    pub fn row(&self, channel: usize, place: usize) -> usize {
        match self.order {
            Order::ByChannel => channel * self.axes[0].size * self.axes[1].size + place,
            Order::ByPlace => place * self.channels + channel,
        }
    }

    /// Where its weight is among those of an output, once they are [`turned`](Self::turned); with `channels` that the output reads.
    fn weight(&self, channels: usize, channel: usize, tap: usize) -> usize {
        match self.order {
            Order::ByChannel => channel * self.axes[0].kernel * self.axes[1].kernel + tap,
            Order::ByPlace => tap * channels + channel,
        }
    }

    /// Weights `[..][channel][tap]` in the order in which the numbers stand.
    pub fn turned(&self, channels: usize, weight: &[f32]) -> Vec<f32> {
        let taps = self.axes[0].kernel * self.axes[1].kernel;
        let mut turned = vec![0.0; weight.len()];
        for (from, to) in weight.chunks_exact(channels * taps).zip(turned.chunks_exact_mut(channels * taps)) {
            for (at, &weight) in from.iter().enumerate() {
                to[self.weight(channels, at / taps, at % taps)] = weight;
            }
        }
        turned
    }

    /// What a window reads of the first `channels` channels: ascending pieces, as long as they can be.
    pub fn pieces(&self, channels: usize, window: usize) -> Place {
        let [height, width] = self.axes;
        let down = window / width.windows;
        let across = window % width.windows;
        let taps = height.reads(down).flat_map(|(tap_y, y)| {
            width.reads(across).map(move |(tap_x, x)| (tap_y * width.kernel + tap_x, y * width.size + x))
        });
        let taps: Vec<(usize, usize)> = taps.collect();
        let read = |channel, (tap, place)| (self.row(channel, place), self.weight(channels, channel, tap));
        let reads: Vec<(usize, usize)> = match self.order {
            Order::ByChannel => {
                (0..channels).flat_map(|channel| taps.iter().map(move |&tap| read(channel, tap))).collect()
            }
            Order::ByPlace => {
                taps.iter().flat_map(|&tap| (0..channels).map(move |channel| read(channel, tap))).collect()
            }
        };
        let mut pieces: Vec<Piece> = Vec::new();
        for (input, weight) in reads.into_iter().map(|(input, weight)| (input as u32, weight as u32)) {
            match pieces.last_mut() {
                Some(piece) if (piece.input + piece.len, piece.weight + piece.len) == (input, weight) => {
                    piece.len += 1;
                }
                _ => pieces.push(Piece { input, weight, len: 1 }),
            }
        }
        pieces.into()
    }
}
