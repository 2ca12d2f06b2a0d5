#!/bin/sh
# Runs the node tests that ship inside the `onnx` package and writes passed / failed / refused by operator to crates/graph/CONFORMANCE.md.
#
#   scripts/onnx_conformance.sh                       # makes a Python environment in a temporary folder
#   TAMIS_VENV=/path/to/venv scripts/onnx_conformance.sh    # uses this one, and installs onnx there if it has none
#
# Versions of onnx after 1.22 no longer ship these tests as files.
#
# The table goes to the file if it is whole, failures included; exit status and messages are those of the example `conformance`.
set -eu

onnx_version=1.22.0
repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/tamis-conformance.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

venv=${TAMIS_VENV:-$work/venv}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi
if ! "$venv/bin/python" -c "import onnx" 2>/dev/null; then
    "$venv/bin/python" -m pip install --quiet "onnx==$onnx_version"
fi
found=$("$venv/bin/python" -c "import onnx; print(onnx.__version__)")
if [ "$found" != "$onnx_version" ]; then
    echo "onnx_conformance: $venv has onnx $found, the table is made with $onnx_version; unset TAMIS_VENV or name another" >&2
    exit 69
fi
nodes=$("$venv/bin/python" -c "import onnx, pathlib; print(pathlib.Path(onnx.__file__).parent / 'backend/test/data/node')")
if [ ! -d "$nodes" ]; then
    echo "onnx_conformance: onnx $onnx_version has no node tests in $nodes" >&2
    exit 69
fi

cd "$repository"
status=0
cargo run --release --quiet -p tamis-graph --example conformance -- "$nodes" >"$work/table.md" || status=$?
if ! grep -q '^| all |' "$work/table.md"; then
    cat "$work/table.md"
    echo "onnx_conformance: the run ended with status $status and no whole table; CONFORMANCE.md stays as it was" >&2
    exit $((status ? status : 70))
fi
{
    echo "# ONNX node tests"
    echo
    echo "Written by [\`scripts/onnx_conformance.sh\`](../../scripts/onnx_conformance.sh) from the node tests of the Python package onnx"
    echo "$onnx_version; do not edit."
    echo
    cat "$work/table.md"
} >crates/graph/CONFORMANCE.md
cat crates/graph/CONFORMANCE.md
exit "$status"
