//! Style is a test: layers, sizes, and what must stand in every file.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tamis_ledger::{Cause, Corrupt, Dropped, Errored};

/// Layer of every crate: the table of `crates/README.md`.
const LAYERS: [&[&str]; 6] = [
    &["event", "ring", "part", "kernel"],
    &["form", "ledger"],
    &["port", "menu", "sim", "graph"],
    &["source", "model", "pipeline", "store", "lab"],
    &["app"],
    &["cli", "fuzz", "benches"],
];

/// Third-party packages with a home: nobody else may depend on them.
const HOMES: [(&str, &[&str]); 16] = [
    ("burn", &["graph", "model", "lab", "fuzz"]),
    ("bytemuck", &["event"]),
    ("clap", &["cli"]),
    ("criterion", &["benches"]),
    ("crossbeam-queue", &["ring"]),
    ("crc-fast", &["event"]),
    ("crossbeam-utils", &["ring"]),
    ("csv", &["source"]),
    ("hdrhistogram", &["ledger"]),
    ("lz4", &["store"]),
    ("mcap", &["store"]),
    ("memmap2", &["source"]),
    ("prost", &["graph"]),
    ("rayon", &["lab", "sim"]),
    ("strsim", &["event"]),
    ("zstd", &["source", "store"]),
];

/// Crates that may contain `unsafe`, each for a reason that stands beside it.
const UNSAFE: [&str; 2] = ["kernel", "source"];
/// A test elsewhere that contains some: an allocator that counts.
const COUNTING: &str = "app/tests/allocations.rs";

/// Types that have the names that ONNX gives them.
const FOREIGN_NAMES: &str = "graph/src/proto.rs";

/// Lines of a source file; tests may be longer.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Crate folder names with their manifests.
fn manifests() -> BTreeMap<String, toml::Table> {
    let root = root();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.push(root.join("benches"));
    let named = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        Some((folder.file_name().unwrap().to_str().unwrap().to_owned(), text.parse().unwrap()))
    };
    folders.into_iter().filter_map(named).collect()
}

fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = &String> {
    manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys)
}

fn layer(name: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&name))
        .unwrap_or_else(|| panic!("crate '{name}' stands in no layer"))
}

/// All files of this kind, but for those that git ignores.
fn find(folder: &Path, kind: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap();
        if entry.is_dir() && !["target", "out", ".git"].contains(&name) {
            find(&entry, kind, found);
        } else if entry.extension().is_some_and(|extension| extension == kind) {
            found.push(entry);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    find(&root().join("crates"), "rs", &mut files);
    find(&root().join("benches"), "rs", &mut files);
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn crates_use_lower_layers_only() {
    let manifests = manifests();
    assert_eq!(
        manifests.len(),
        LAYERS.iter().map(|layer| layer.len()).sum::<usize>(),
        "every crate has a layer"
    );
    for (name, manifest) in &manifests {
        for used in dependencies(manifest).filter_map(|used| used.strip_prefix("tamis-")) {
            assert!(layer(used) < layer(name), "'{name}' must not use '{used}'");
        }
    }
}

#[test]
fn packages_stay_at_home() {
    for (name, manifest) in manifests() {
        for used in dependencies(&manifest) {
            if let Some((package, homes)) = HOMES.iter().find(|(package, _)| package == used) {
                assert!(homes.contains(&name.as_str()), "'{package}' belongs to {homes:?}, not to '{name}'");
            }
        }
    }
}

/// The types that a crate shows at its top. What it takes over from another crate of ours is that one's.
fn shown_types(lib: &str) -> BTreeSet<&str> {
    let uses = lib.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let own = uses.filter(|path| !path.starts_with("tamis_"));
    let words = own.flat_map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let is_type = |word: &&str| word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
    words.filter(is_type).collect()
}

/// The types that a file defines.
fn defined_types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let is_type = words.next().is_some_and(|word| ["struct", "enum", "trait"].contains(&word));
        words.next().filter(|_| is_type)?.split(|c: char| !c.is_alphanumeric()).next()
    })
}

#[test]
fn a_noun_that_a_crate_shows_means_one_thing_in_all_crates() {
    let mut homes: BTreeMap<String, String> = BTreeMap::new();
    for name in manifests().into_keys() {
        let Ok(lib) = fs::read_to_string(root().join("crates").join(&name).join("src/lib.rs")) else {
            continue;
        };
        for word in shown_types(&lib) {
            if let Some(other) = homes.insert(word.to_owned(), name.clone()) {
                panic!("'{word}' is a type of '{other}' and another one of '{name}'");
            }
        }
    }
    assert!(homes.len() > 200, "{} types", homes.len());
    let mut seen = BTreeSet::new();
    for (path, text) in all_sources() {
        let place = path.strip_prefix(root().join("crates")).unwrap_or(&path);
        if !place.iter().any(|part| part == "src") || place.ends_with(FOREIGN_NAMES) {
            continue;
        }
        for word in defined_types(&text) {
            let Some(home) = homes.get(word) else { continue };
            assert!(place.starts_with(home), "{}: '{word}' is a type of '{home}'", place.display());
            assert!(seen.insert(word.to_owned()), "{}: '{word}' is another type, too", place.display());
        }
    }
    assert!(seen.len() > 200, "{} types", seen.len());
}

#[test]
fn files_begin_with_their_purpose_and_stay_short() {
    for (path, text) in all_sources() {
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
        let lines = text.lines().count();
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        assert!(is_test || lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    // Put together here, so that this file does not find itself.
    let words = ["unsafe {", "unsafe impl", "unsafe fn"].map(String::from);
    for (path, text) in all_sources() {
        let place = path.strip_prefix(root().join("crates")).unwrap_or(&path);
        let owner = place.components().next().unwrap().as_os_str().to_str().unwrap();
        let is_known = path.ends_with("app/tests/tidy.rs") || path.ends_with(COUNTING);
        let found = words.iter().any(|word| text.contains(word.as_str()));
        assert!(is_known || !found || UNSAFE.contains(&owner), "unsafe code in {}", path.display());
    }
}

#[test]
fn the_exit_codes_of_the_page_are_those_of_the_program() {
    let page = fs::read_to_string(root().join("crates/cli/docs/commands.md")).unwrap();
    for exit in tamis_app::Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(page.contains(&row), "commands.md lacks: {row}");
    }
}

#[test]
fn the_page_of_documents_names_every_cause() {
    let page = fs::read_to_string(root().join("crates/cli/docs/json.md")).unwrap();
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `ledger.{key}` |"))).unwrap();
    for (key, cause) in Dropped::ALL
        .iter()
        .map(|cause| ("dropped", cause.name()))
        .chain(Corrupt::ALL.iter().map(|cause| ("corrupt", cause.name())))
        .chain(Errored::ALL.iter().map(|cause| ("errored", cause.name())))
    {
        assert!(row(key).contains(&format!("`{cause}`")), "json.md: {key} lacks {cause}");
    }
}

/// The anchors of a page, by the rule of GitHub: each heading in lower case, only its letters, digits, `-` and `_`, with `-` for every space. One
/// that comes again gets a number.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_code = false;
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if is_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let slug: String = title.trim().to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let mut again = (1..).map(|k| format!("{slug}-{k}")).skip_while(|name| found.contains(name));
        let name = if found.contains(&slug) { again.next() } else { None };
        found.insert(name.unwrap_or(slug));
    }
    found
}

#[test]
fn headings_have_the_anchors_of_github() {
    let page = "# A `b`, c_d: 3.1\n```sh\n# no heading\n```\n## Ends\n## Ends\n#none\n";
    assert_eq!(anchors(page), ["a-b-c_d-31", "ends", "ends-1"].map(String::from).into());
}

#[test]
fn links_and_paths_in_the_documents_exist() {
    let mut documents = Vec::new();
    find(&root(), "md", &mut documents);
    assert!(documents.len() > 15, "{documents:?}");
    for path in documents {
        let document = path.display();
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{document} links to {link}, which does not exist");
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{document} links to {link}; its page has {anchors:?}");
            }
        }
    }
}
