//! Every way to damage a bundle is refused with a sentence that names the file and the reason.

use std::fs;
use std::path::Path;

use tamis_event::Schema;
use tamis_model::{Bundle, Engine};

use crate::support::{self, Parts, SCHEMA, safetensors, schema, sha256, tensor, weights};

/// The error of loading `parts`, with the folder's name taken out.
fn refusal(parts: &Parts) -> String {
    let folder = tempfile::tempdir().unwrap();
    parts.write(folder.path());
    refusal_of(folder.path())
}

fn refusal_of(path: &Path) -> String {
    let error = Bundle::load(path).expect_err("must be refused").to_string();
    error.replace(&format!("{}/", path.display()), "").replace(&path.display().to_string(), "BUNDLE")
}

fn load(parts: &Parts) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    parts.write(folder.path());
    Bundle::load(folder.path()).unwrap()
}

#[test]
fn a_bundle_says_what_it_is() {
    let parts = Parts::classifier();
    let bundle = load(&parts);
    assert_eq!((bundle.name(), bundle.version(), bundle.doc()), ("topo", "1.0", ""));
    assert_eq!(bundle.outputs(), ["background", "leptons", "taus"]);
    assert_eq!((bundle.architecture(), bundle.graph().input_numbers()), ("dense", 8));
    assert_eq!((bundle.parameters(), bundle.multiply_adds()), (9 * 6 + 7 * 3, 8 * 6 + 6 * 3));
    assert_eq!(bundle.manifest(), parts.sealed_manifest());
    let mut all = Vec::new();
    for file in [parts.sealed_manifest().as_bytes(), &parts.weights, &parts.golden] {
        all.extend((file.len() as u64).to_le_bytes());
        all.extend(file);
    }
    let hash: String = bundle.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, sha256(&all));
}

#[test]
fn an_archive_is_the_same_bundle() {
    let bundle = load(&Parts::autoencoder());
    let archive = bundle.to_tar();
    assert_eq!(archive, load(&Parts::autoencoder()).to_tar(), "the bytes depend on the files alone");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anomaly.tar");
    fs::write(&path, &archive).unwrap();
    let again = Bundle::load(&path).unwrap();
    assert_eq!((again.hash(), again.to_tar()), (bundle.hash(), archive.clone()));
    // Every truncation within the three files is detected.
    for cut in (1..archive.len() - 1024).step_by(97) {
        assert!(Bundle::from_tar(&archive[..cut], "cut.tar").is_err(), "{cut} bytes");
    }
    // If a flipped byte is accepted, it did not matter: the model is the same.
    for at in (0..archive.len()).step_by(41) {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x20;
        if let Ok(bundle) = Bundle::from_tar(&damaged, "damaged.tar") {
            assert_eq!(bundle.hash(), again.hash(), "byte {at}");
        }
    }
}

#[test]
fn archives_that_are_no_bundle_are_refused() {
    let archive = |entries: &[(&str, tar::EntryType)]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(0);
            // Not `set_path`, which would itself refuse the names tested here.
            header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        }
        Bundle::from_tar(&builder.into_inner().unwrap(), "x.tar").unwrap_err().to_string()
    };
    let file = tar::EntryType::Regular;
    assert_eq!(archive(&[("README", file)]), "x.tar: model.toml: is missing from the bundle");
    assert_eq!(archive(&[("model.toml", tar::EntryType::Symlink)]), "x.tar: model.toml: is not a plain file");
    assert_eq!(
        archive(&[("a/model.toml", file), ("b/model.toml", file)]),
        "x.tar: b/model.toml: the files of a bundle stand at the top or in one folder, each once"
    );
    assert_eq!(
        archive(&[("a/golden.safetensors", file), ("b/model.toml", file)]),
        "x.tar: b/model.toml: the files of a bundle stand at the top or in one folder, each once"
    );
    assert_eq!(
        archive(&[("../../model.toml", file)]),
        "x.tar: ../../model.toml: the files of a bundle stand at the top or in one folder, each once"
    );
    let many: Vec<_> = ('a'..='z').map(String::from).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), file)).collect();
    assert_eq!(archive(&many), "x.tar: more than 16 files in the archive");
    let error = Bundle::from_tar(b"neither this", "x.tar").unwrap_err().to_string();
    assert!(error.starts_with("x.tar: is no tar archive of a model bundle: "), "{error}");
    let error = Bundle::from_tar(&vec![0; 65 << 20], "x.tar").unwrap_err().to_string();
    assert_eq!(error, "x.tar: the bundle exceeds 64 MiB");
}

#[test]
fn every_changed_byte_of_a_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::classifier();
    parts.write(folder.path());
    for (file, good) in [("weights.safetensors", &parts.weights), ("golden.safetensors", &parts.golden)] {
        let path = folder.path().join(file);
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let computed = sha256(&damaged);
            let stated = sha256(good);
            assert_eq!(
                refusal_of(folder.path()),
                format!(
                    "{file}: SHA-256 is {computed}, the manifest says {stated}: the file was changed or damaged"
                )
            );
        }
        for cut in 0..good.len() {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(refusal_of(folder.path()).starts_with(&format!("{file}: SHA-256 is ")));
        }
        fs::write(&path, good).unwrap();
    }
    Bundle::load(folder.path()).unwrap();
}

#[test]
fn damage_under_a_right_checksum_is_noticed_or_harmless() {
    // The checksums are adjusted, so that the checks after them are tested: no panic, and no non-finite number is accepted.
    let good = Parts::classifier();
    let header = 8 + u64::from_le_bytes(*good.weights.first_chunk().unwrap()) as usize;
    for at in (0..header).chain((header..good.weights.len()).step_by(5)) {
        for flip in [0x01, 0x80] {
            let mut parts = good.clone();
            parts.weights[at] ^= flip;
            let folder = tempfile::tempdir().unwrap();
            parts.write(folder.path());
            let _ = Bundle::load(folder.path()).map(|bundle| bundle.bind(&schema(), Engine::Flex));
        }
    }
    for cut in 0..good.weights.len() {
        let mut parts = good.clone();
        parts.weights.truncate(cut);
        assert!(refusal(&parts).starts_with("weights.safetensors: is no safetensors file: "));
    }
}

#[test]
fn tensors_must_be_the_ones_of_the_network() {
    let refuse = |change: &dyn Fn(&mut Vec<support::Tensor>)| {
        let mut parts = Parts::classifier();
        let mut tensors = weights(&[8, 6, 3]);
        change(&mut tensors);
        parts.weights = safetensors(&tensors);
        refusal(&parts)
    };
    assert_eq!(
        refuse(&|t| t[2].3[8..12].copy_from_slice(&f32::NAN.to_le_bytes())),
        "weights.safetensors: tensor 'layers.1.weight': number 2 is NaN, must be finite"
    );
    assert_eq!(
        refuse(&|t| t[3].3[..4].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes())),
        "weights.safetensors: tensor 'layers.1.bias': number 0 is -inf, must be finite"
    );
    assert_eq!(
        refuse(&|t| t[0].2 = vec![8, 6]),
        "weights.safetensors: tensor 'layers.0.weight' has shape [8, 6], must have [6, 8]"
    );
    assert_eq!(
        refuse(&|t| t[1].1 = "I32"),
        "weights.safetensors: tensor 'layers.0.bias' is I32, must be F32"
    );
    assert_eq!(refuse(&|t| drop(t.pop())), "weights.safetensors: tensor 'layers.1.bias' is missing");
    assert_eq!(
        refuse(&|t| t.push(tensor("layers.2.bias", &[1], std::iter::once(0.0)))),
        "weights.safetensors: tensor 'layers.2.bias' does not belong to this network"
    );
    let mut parts = Parts::classifier();
    parts.weights = u64::MAX.to_le_bytes().to_vec();
    assert_eq!(
        refusal(&parts),
        "weights.safetensors: is no safetensors file: its header is longer than 1 MiB"
    );
    parts = Parts::classifier();
    parts.golden = safetensors(&[
        tensor("inputs", &[0, 8], std::iter::empty()),
        tensor("scores", &[0, 3], std::iter::empty()),
    ]);
    assert_eq!(
        refusal(&parts),
        "golden.safetensors: tensor 'inputs' has shape [0, 8], must have between 1 and 4096 rows"
    );
}

#[test]
fn manifests_are_checked_key_by_key() {
    let long = "x".repeat(65);
    let cases: &[(&str, &str, &str)] = &[
        ("format = 1", "format = 2", "format = 2; this program reads format 1"),
        (
            r#"name = "topo""#,
            r#"name = "Topo""#,
            "name: 'Topo' is no name; use a-z, 0-9 and '_', a letter first, at most 64",
        ),
        (r#"version = "1.0""#, &format!("version = \"{long}\""), "version: use 1 to 64 printable characters"),
        ("[8, 6, 3]", "[8]", "layers: give the widths of the input and of every layer, 2 to 64 numbers"),
        ("[8, 6, 3]", "[8, 0, 3]", "layers: a width is between 1 and 8192"),
        ("[8, 6, 3]", "[8, 6, 4]", "outputs: give one name for every number of the last layer"),
        ("leptons", "background", "outputs: a name stands twice"),
        ("0.02", "nan", "input 'jets.pt': shift, scale and clip must be finite"),
        ("[-1.5, 1.5]", "[1.5, -1.5]", "input 'jets.pt': clip = [low, high] with low below high"),
        (
            "weights.safetensors",
            "../weights",
            "'../weights' is no file name for a bundle; use letters, digits, '.', '-' and '_' without folders, no '.' in front",
        ),
        (
            "weights.safetensors",
            "/etc/passwd",
            "'/etc/passwd' is no file name for a bundle; use letters, digits, '.', '-' and '_' without folders, no '.' in front",
        ),
        (
            "golden.safetensors",
            "model.toml",
            "'model.toml' is no file name for a bundle; use letters, digits, '.', '-' and '_' without folders, no '.' in front",
        ),
        (
            "golden.safetensors",
            "weights.safetensors",
            "golden.file: weights and golden vectors are two files",
        ),
        ("WSUM", "abc", "sha256: 'weights.safetensors' needs 64 hexadecimal digits, lower case"),
        ("tolerance = 1e-5", "tolerance = 1.0", "golden.tolerance: give a number above 0 and at most 0.1"),
    ];
    for (good, wrong, reason) in cases {
        let mut parts = Parts::classifier();
        assert!(parts.manifest.contains(good), "{good}");
        parts.manifest = parts.manifest.replacen(good, wrong, 1);
        assert_eq!(refusal(&parts), format!("model.toml: {reason}"));
    }
    for (good, wrong, reason) in [
        ("[8, 4, 8]", "[8, 4, 7]", "layers: an autoencoder is as wide at the end as at the beginning"),
        (r#"["score"]"#, r#"["a", "b"]"#, "outputs: an autoencoder has one score, the reconstruction error"),
        (
            "\"none\"",
            "\"sigmoid\"",
            "output_activation: an autoencoder reconstructs numbers of any size; use none",
        ),
    ] {
        let mut parts = Parts::autoencoder();
        parts.manifest = parts.manifest.replacen(good, wrong, 1);
        assert_eq!(refusal(&parts), format!("model.toml: {reason}"));
    }
    for (good, wrong, word) in [
        ("clip =", "clipp =", "clipp"),
        ("tolerance =", "tolerances =", "tolerances"),
        ("epochs =", "epoch =", "epoch"),
        ("[training]", "[trained]", "trained"),
    ] {
        let mut parts = Parts::classifier();
        parts.manifest = parts.manifest.replacen(good, wrong, 1);
        let error = refusal(&parts);
        assert!(error.starts_with("model.toml: TOML parse error at line "), "{error}");
        assert!(error.contains(&format!("unknown field `{word}`")), "{error}");
    }
}

#[test]
fn sizes_are_checked_before_reading() {
    let folder = tempfile::tempdir().unwrap();
    Parts::classifier().write(folder.path());
    let resize = |file: &str, bytes: u64| {
        fs::OpenOptions::new().write(true).open(folder.path().join(file)).unwrap().set_len(bytes).unwrap();
        refusal_of(folder.path())
    };
    assert_eq!(resize("weights.safetensors", 1 << 40), "weights.safetensors: the bundle exceeds 64 MiB");
    assert_eq!(resize("model.toml", 300 << 10), "model.toml: 307200 bytes; a manifest has at most 256 KiB");
    fs::remove_file(folder.path().join("model.toml")).unwrap();
    assert_eq!(
        refusal_of(folder.path()),
        "model.toml: cannot be read (No such file or directory (os error 2)); a model bundle is a folder with model.toml, or a .tar of one"
    );
    fs::create_dir(folder.path().join("model.toml")).unwrap();
    assert_eq!(refusal_of(folder.path()), "model.toml: is not a plain file");
    assert_eq!(
        refusal_of(&folder.path().join("nowhere")),
        "BUNDLE: cannot be read (No such file or directory (os error 2)); a model bundle is a folder with model.toml, or a .tar of one"
    );
}

/// The error of binding a changed classifier to a changed schema.
fn unbound(change: impl FnOnce(&mut Parts), schema: &str) -> String {
    let mut parts = Parts::classifier();
    change(&mut parts);
    load(&parts).bind(&Schema::parse(schema.as_bytes()).unwrap(), Engine::Flex).unwrap_err().to_string()
}

#[test]
fn inputs_must_be_data_of_the_schema() {
    let manifest = |good: &'static str, wrong: &'static str| {
        move |parts: &mut Parts| parts.manifest = parts.manifest.replacen(good, wrong, 1)
    };
    assert_eq!(
        unbound(manifest("\"energy\"", "\"energie\""), SCHEMA),
        "model 'topo', input 'energie': no field 'energie' in schema 'test'; did you mean 'energy'?"
    );
    assert_eq!(
        unbound(manifest("\"energy\"", "\"half[2]\""), SCHEMA),
        "model 'topo', input 'half[2]': half[2]: the field has 2 element(s), 0 to 1"
    );
    assert_eq!(
        unbound(manifest("\"energy\"", "\"label\""), SCHEMA),
        "model 'topo', input 'label': the field is simulation truth, which no model may read"
    );
    assert_eq!(
        unbound(manifest("\"energy\"", "\"half\""), SCHEMA),
        "model 'topo': the inputs have 9 numbers, the network takes 8"
    );
    assert_eq!(
        unbound(|_| (), &SCHEMA.replace("len = 3", "len = 2")),
        "model 'topo', input 'jets.pt': shift has 3 numbers, the field has 2"
    );
}

#[test]
fn preprocessing_that_says_nothing_is_refused() {
    let refuse = |good: &'static str, wrong: &'static str| {
        let mut parts = Parts::classifier();
        assert!(parts.manifest.contains(good));
        parts.manifest = parts.manifest.replacen(good, wrong, 1);
        refusal(&parts)
    };
    let scale = refuse("scale = 0.02", "scale = 0.0");
    assert!(scale.ends_with("input 'jets.pt': a scale of 0 says nothing; leave the input out"), "{scale}");
    let twice = refuse("field = \"small\"", "field = \"small\"\none_hot = [1, 2, 1]");
    assert!(twice.ends_with("input 'small': every value of one_hot stands there once"), "{twice}");
}

#[test]
fn golden_vectors_must_come_out() {
    let error = unbound(
        |parts| {
            let at = parts.golden.len() - 4;
            parts.golden[at..].copy_from_slice(&0.0112f32.to_le_bytes());
        },
        SCHEMA,
    );
    assert!(error.starts_with("model 'topo', golden vector 5: output 'taus' is 0.0111"), "{error}");
    assert!(error.contains(" on engine flex, 0.0112 is expected; "), "{error}");
    let error =
        unbound(|parts| parts.manifest = parts.manifest.replace("scale = 0.02", "scale = 0.021"), SCHEMA);
    assert!(error.starts_with("model 'topo', golden vector 1: "), "{error}");
}

#[test]
fn an_engine_is_named_or_refused_with_the_list() {
    assert_eq!("flex".parse::<Engine>().unwrap(), Engine::Flex);
    assert_eq!(Engine::Flex.to_string(), "flex");
    let error = "cuda".parse::<Engine>().unwrap_err().to_string();
    assert!(error.starts_with("no engine 'cuda'; there is: flex"), "{error}");
    assert!(cfg!(feature = "gpu") || error.contains("cargo feature `gpu`"), "{error}");
}
