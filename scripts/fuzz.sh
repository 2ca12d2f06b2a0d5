#!/usr/bin/env bash
# Fuzzes what reads frames, records and models: no panic, no hang, no memory beyond the cap. With libFuzzer, on stable Rust and without a sanitizer;
# with --plain, or where libFuzzer does not build, with random changes that know nothing of coverage.
#
#   scripts/fuzz.sh frames 600          # the frame reader for 600 seconds
#   scripts/fuzz.sh record 600          # decision records
#   scripts/fuzz.sh onnx 600            # the ONNX importer
#   scripts/fuzz.sh bundle 600          # the bundle loader
#   scripts/fuzz.sh frames 600 --plain
#
# Starts from the committed models and golden files, and crates/fuzz/corpus. What is new and worth keeping is put into the corpus by hand, small.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?frames, record, onnx or bundle}
seconds=${2:-600}
plain=${3:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/tamis-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/corpus" "$work/seeds" target/fuzz
# Frames and records need no models, and are built in a minute without them.
features=(--no-default-features)
case $target in
    frames) cp crates/event/golden/*.tmf crates/fuzz/corpus/frames/* "$work/seeds/" ;;
    record) cp crates/event/golden/*.bin "$work/seeds/" ;;
    onnx) features=() && cp crates/graph/tests/models/*.onnx crates/graph/tests/models/refused/*.onnx crates/fuzz/corpus/onnx/* "$work/seeds/" ;;
    bundle)
        features=()
        cp crates/fuzz/corpus/bundle/* "$work/seeds/"
        for model in topo anomaly; do tar -C data-samples/models -cf "$work/seeds/sample-$model.tar" "$model"; done
        ;;
    *) echo "fuzz: '$target' is no target; frames, record, onnx or bundle" >&2; exit 2 ;;
esac

# Without libFuzzer: SECONDS on one core, another seed each time.
plainly() {
    cargo run --release --package tamis-fuzz "${features[@]}" --bin fuzz_plain --target-dir target/fuzz -- "$target" "$seconds" "$RANDOM" "$work"/seeds/*
}

if [[ $plain == --plain ]]; then
    plainly
    exit
fi

# Coverage of this repository's crates is what guides the fuzzer, so the compiler gets the flags for them alone. An integer that overflows is a
# finding.
cat >"$work/rustc" <<'WRAPPER'
#!/bin/sh
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Coverflow-checks=on
WRAPPER
chmod +x "$work/rustc"
if ! RUSTC_WORKSPACE_WRAPPER=$work/rustc cargo build --release --package tamis-fuzz "${features[@]}" --features libfuzzer --bin "fuzz_$target" \
    --target-dir target/fuzz; then
    echo "fuzz: libFuzzer does not build here; going on with random changes" >&2
    plainly
    exit
fi
"target/fuzz/release/fuzz_$target" "$work/corpus" "$work/seeds" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$PWD/target/fuzz/$target-"
