//! `tamis model`: bundles from other frameworks, and a close look at them before they decide.

mod calibrate;
mod compare;
mod import;
mod info;
mod verify;

use std::path::PathBuf;

use tamis_app::NamedBundle;

use super::{CommandEntry, Group, Nest, Run, commands};

/// The word above the commands.
pub(super) struct Below;

impl Nest for Below {
    const NAME: &'static str = "model";
    const GROUP: Group = Group::Data;
    const ABOUT: &'static str = "Import models, look into them, check, compare and calibrate them";
    const BELOW: &'static [CommandEntry] = ALL;
}

commands!(import, info, verify, compare, calibrate);

/// `BUNDLE` or `NAME=BUNDLE`. A name is a word of a menu, so a path with a `=` in it can be written as `./PATH`.
pub(super) fn named_bundle(text: &str) -> Result<NamedBundle, String> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match text.split_once('=') {
        Some((_, "")) => Err("write a bundle after the '=', as in topo=models/topo".into()),
        Some((name, path)) if is_name(name) => Ok(NamedBundle { name: Some(name.into()), path: path.into() }),
        _ if text.is_empty() => Err("write a bundle, as in models/topo or topo=models/topo".into()),
        _ => Ok(NamedBundle { name: None, path: PathBuf::from(text) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_may_have_a_name() {
        let named =
            |text: &str| named_bundle(text).map(|bundle| (bundle.name, bundle.path.display().to_string()));
        assert_eq!(named("models/topo"), Ok((None, "models/topo".into())));
        assert_eq!(named("a_1=models/topo=2"), Ok((Some("a_1".into()), "models/topo=2".into())));
        assert_eq!(named("./a=b"), Ok((None, "./a=b".into())));
        assert_eq!(named("models/a=b"), Ok((None, "models/a=b".into())));
        assert!(named("a=").is_err() && named("").is_err());
    }
}
