//! The bundles that come with the samples: made by the lab, loaded and bound here, which proves that both agree on the format.

use std::path::Path;

use tamis_event::Schema;
use tamis_model::{Bundle, Engine};
use tamis_port::Classifier;

#[test]
fn committed_bundles_score_the_level_1_schema() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-samples");
    let schema = Schema::parse(&std::fs::read(samples.join("schemas/l1.toml")).unwrap()).unwrap();
    for (name, outputs, multiply_adds) in [
        ("topo", &["background", "leptons", "taus"][..], 57 * 32 + 32 * 16 + 16 * 3),
        ("anomaly", &["score"], 2 * (57 * 32 + 32 * 16 + 16 * 3)),
    ] {
        let bundle = Bundle::load(&samples.join("models").join(name)).unwrap();
        assert_eq!((bundle.name(), bundle.multiply_adds()), (name, multiply_adds));
        let model = bundle.bind(&schema, Engine::Flex).unwrap();
        assert_eq!(model.outputs(), outputs);
    }
}
