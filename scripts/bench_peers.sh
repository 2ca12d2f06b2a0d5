#!/usr/bin/env bash
# Measures Tamis beside ONNX Runtime, tract, PyTorch, XGBoost and a numpy + onnxruntime + h5py script: same models, data, cores, in turns.
#
#   scripts/bench_peers.sh                                # builds all, writes benches/results/peers-DATE.md; half an hour with the builds
#   scripts/bench_peers.sh --quick                        # two minutes after the builds; prints the table only
#   scripts/bench_peers.sh --tamis target/dist/tamis --out result.md --json
#   TAMIS_VENV=/path/to/venv scripts/bench_peers.sh --without tract,torch
#
# Without TAMIS_VENV an environment with scripts/requirements-peers.txt is made in target/peers/venv, once: a download of some gigabytes.
# Options are those of scripts/bench_peers.py (--help). Take numbers for others on a machine that does nothing else.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$repository/target}

tamis="" speed="" tract="" without="" previous=""
for argument in "$@"; do
    case $argument in
        -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
        --tamis=*) tamis=${argument#*=} ;;
        --speed=*) speed=${argument#*=} ;;
        --tract=*) tract=${argument#*=} ;;
        --without=*) without=${argument#*=} ;;
    esac
    case $previous in
        --tamis) tamis=$argument ;;
        --speed) speed=$argument ;;
        --tract) tract=$argument ;;
        --without) without=$argument ;;
    esac
    previous=$argument
done

command -v python3 >/dev/null || { echo "bench_peers: there is no python3 on the PATH" >&2; exit 69; }
if [[ -n ${TAMIS_VENV:-} ]]; then
    python=$TAMIS_VENV/bin/python
    [[ -x $python ]] || { echo "bench_peers: TAMIS_VENV=$TAMIS_VENV has no bin/python; unset it, or: python3 -m venv $TAMIS_VENV" >&2; exit 69; }
else
    python=$target/peers/venv/bin/python
    if [[ ! -e $target/peers/venv/complete ]]; then
        python3 -m venv "$target/peers/venv"
        "$python" -m pip install --quiet -r "$repository/scripts/requirements-peers.txt"
        touch "$target/peers/venv/complete"
    fi
fi

build() {
    command -v cargo >/dev/null || { echo "bench_peers: there is no cargo on the PATH to build $*" >&2; exit 69; }
    cargo build --release --quiet "$@"
}
more=()
if [[ -z $tamis ]]; then
    build --manifest-path "$repository/Cargo.toml"
    more+=(--tamis "$target/release/tamis")
fi
if [[ ,$without, != *,kernel,* && -z $speed ]]; then
    build --manifest-path "$repository/Cargo.toml" -p tamis-kernel --example speed
    more+=(--speed "$target/release/examples/speed")
fi
if [[ ,$without, != *,tract,* && -z $tract ]]; then
    CARGO_TARGET_DIR=$target/peers build --manifest-path "$repository/scripts/peers/tract/Cargo.toml" ||
        { echo "bench_peers: tract does not build here; leave it out with --without tract" >&2; exit 69; }
    more+=(--tract "$target/peers/release/bench-peers-tract")
fi
exec "$python" "$repository/scripts/bench_peers.py" ${more[@]+"${more[@]}"} "$@"
