//! The verdict of the level-1 menu once the scores are there. The batch is the parameter.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tamis_benches::{block, per_event, sample, schema};
use tamis_event::ScoreTable;
use tamis_menu::{Decider, Menu};
use tamis_model::Bundle;

fn decision(criterion: &mut Criterion) {
    let path = sample("menus/l1-anomaly.toml");
    let text = std::fs::read_to_string(&path).expect("the menu is there");
    let menu = Menu::parse(&text, "l1-anomaly.toml").expect("and right");
    let mut scores = Vec::new();
    for model in menu.models() {
        let bundle =
            Bundle::load(&path.with_file_name(&model.bundle)).expect("the committed bundle is whole");
        scores.extend(bundle.outputs().iter().map(|output| format!("{}.{output}", model.name)));
    }
    let compiled = Arc::new(menu.compile(&schema(), &scores).expect("fits"));
    let mut group = criterion.benchmark_group("decision");
    for batch in [64, 2048, 8192] {
        let block = block(batch);
        let table = ScoreTable::new(scores.len(), batch);
        let skip = vec![0; batch.div_ceil(64)];
        let mut decider = Decider::new(compiled.clone(), batch);
        per_event(&mut group, "l1-anomaly menu", batch, batch as u64, || {
            decider.decide(black_box(&block), &table, &skip);
            black_box(decider.kept_any());
        });
    }
}

criterion_group!(benches, decision);
criterion_main!(benches);
