//! Sets of bits for many lines, and for blocks without events.

use tamis_event::{Block, ScoreTable, Span};
use tamis_menu::Decider;

use crate::support::{compile, schema};

#[test]
fn more_lines_than_a_word_has_bits() {
    let conditions: Vec<_> = (0..130).map(|line| (format!("c.u16[0] == {line}"), 1)).collect();
    let menu = compile(&conditions);
    assert_eq!(menu.words(), 3);
    let stride = schema().record_len();
    let at = schema().field("c.u16").unwrap().at;
    let mut bytes = vec![0; 200 * stride];
    for event in 0..200 {
        bytes[event * stride + at] = event as u8;
    }
    let mut block = Block::new(stride);
    block.reset(1, 1);
    block.push(Span::of_records(0, 0, 0, stride, bytes.into()));
    let mut decider = Decider::new(menu, 200);
    decider.decide(&block, &ScoreTable::new(2, 200), &[0; 4]);
    for event in 0..200 {
        let (mut passed, mut kept) = ([7; 3], [7; 3]);
        decider.event_words(event, &mut passed, &mut kept);
        let mut expected = [0; 3];
        if event < 130 {
            expected[event / 64] = 1 << (event % 64);
        }
        assert_eq!((passed, kept), (expected, expected), "event {event}");
    }
}

#[test]
fn an_empty_block_clears_what_was_there() {
    let menu = compile(&[("c.u16[0] >= 0".into(), 1)]);
    let stride = schema().record_len();
    let mut decider = Decider::new(menu, 64);
    let mut block = Block::new(stride);
    block.push(Span::of_records(0, 0, 0, stride, vec![0; 3 * stride].into()));
    let scores = ScoreTable::new(2, 64);
    decider.decide(&block, &scores, &[0b010]);
    assert_eq!((decider.passed(0), decider.kept_any()), (&[0b101_u64][..], &[0b101_u64][..]));
    block.reset(1, 2);
    decider.decide(&block, &scores, &[]);
    assert!(decider.passed(0).is_empty() && decider.kept(0).is_empty() && decider.kept_any().is_empty());
}
