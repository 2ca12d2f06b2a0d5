//! The example of `docs/library.md` compiles and runs, and its own assertions hold.

#[path = "../examples/embed.rs"]
mod embed;

#[test]
fn the_example_runs() {
    embed::main().unwrap();
}
