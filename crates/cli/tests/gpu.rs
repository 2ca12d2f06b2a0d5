//! Models on a graphics processor against the CPU: golden vectors, scores, decisions. Any Vulkan driver will do, also one of software:
//! `apt-get install mesa-vulkan-drivers libvulkan1`, and `VK_DRIVER_FILES` naming its description.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn tamis(folder: &Path, line: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(line)
        .current_dir(folder)
        .env("XDG_RUNTIME_DIR", folder)
        .output()
        .unwrap()
}

fn good(folder: &Path, line: &[&str]) -> String {
    let output = tamis(folder, line);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tamis {}: {:?}\n{text}\n{talk}", line.join(" "), output.status);
    text
}

/// A model of the zoo whose inputs are an array.
fn agrees(name: &str, width: usize) {
    agrees_on(name, &format!("{{ name = \"x\", dtype = \"f32\", len = {width} }}"), "x");
}

/// Imports a model of the zoo, checks its golden vectors on both engines, and compares the scores of random events.
fn agrees_on(name: &str, fields: &str, inputs: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("x.toml"), format!("name = \"x\"\nfield = [{fields}]\n")).unwrap();
    let model = root().join(format!("crates/graph/tests/models/{name}.onnx")).display().to_string();
    good(folder, &["model", "import", &model, "--schema", "x.toml", "--inputs", inputs, "--out", "bundle"]);
    good(folder, &["model", "verify", "bundle", "--device", "flex,gpu"]);
    good(folder, &["gen", "--schema", "x.toml", "--events", "6000", "--out", "x.tmf"]);
    good(
        folder,
        &[
            "model",
            "compare",
            "x.tmf",
            "--model",
            "bundle",
            "--engines",
            "flex,gpu",
            "--max-difference",
            "1e-4",
        ],
    );
}

#[test]
fn a_dense_network_agrees() {
    agrees("torch_mlp", 16);
}

#[test]
fn padding_counts_and_masks_of_lists_agree() {
    let [pt, x] = ["pt\", dtype = \"f32", "x\", dtype = \"f16"]
        .map(|of| format!("{{ name = \"jets.{of}\", len = \"0..5\" }}"));
    agrees_on("torch_mlp", &format!("{pt}, {x}"), "jets.pt,count(jets),jets.x,mask(jets)");
}

#[test]
fn an_autoencoder_agrees() {
    agrees("torch_autoencoder", 19);
}

#[test]
fn a_convolutional_network_agrees() {
    agrees("torch_cnn", 252);
}

#[test]
fn trees_agree() {
    agrees("xgboost_classes", 8);
    agrees("sklearn_forest", 8);
}

#[test]
fn decisions_are_the_same_and_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let samples = root().join("data-samples");
    let (events, menu) = (samples.join("l1-mixed.tmf.zst"), samples.join("menus/l1-anomaly.toml"));
    let (events, menu) = (events.display().to_string(), menu.display().to_string());
    good(
        folder,
        &["model", "compare", &events, "--menu", &menu, "--engines", "flex,gpu", "--max-flips", "1e-4"],
    );
    let report =
        good(folder, &["replay", &events, "--menu", &menu, "--out", "out", "--device", "gpu", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["device"], &report["ledger"]["in_flight"]), (&"gpu".into(), &0.into()));
    good(folder, &["verify", "out/l1-mixed-physics-0001.mcap"]);
}
