#!/usr/bin/env bash
# Fuzzes what reads models with libFuzzer, on stable Rust and without a sanitizer: no panic, no hang, no memory beyond the cap.
#
#   scripts/fuzz.sh onnx 600          # the ONNX importer for 600 seconds
#   scripts/fuzz.sh bundle 600        # the bundle loader
#
# Starts from the committed models and crates/fuzz/corpus. What is new and worth keeping is put into the corpus by hand, small.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?onnx or bundle}
seconds=${2:-600}
work=$(mktemp -d "${TMPDIR:-/tmp}/tamis-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/corpus" "$work/seeds"
case $target in
    onnx) cp crates/graph/tests/models/*.onnx crates/graph/tests/models/refused/*.onnx "$work/seeds/" ;;
    bundle) for model in topo anomaly; do tar -C data-samples/models -cf "$work/seeds/$model.tar" "$model"; done ;;
    *) echo "fuzz: '$target' is no target; onnx or bundle" >&2; exit 2 ;;
esac

# Coverage of this repository's crates is what guides the fuzzer. Integers wrap as in a release build.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# With a target named, the flags stay away from build scripts, which no fuzzer links.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --package tamis-fuzz --features libfuzzer --bin "fuzz_$target" --target "$host" --target-dir target/fuzz
"target/fuzz/$host/release/fuzz_$target" "$work/corpus" "$work/seeds" "crates/fuzz/corpus/$target" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$PWD/target/fuzz/$target-"
