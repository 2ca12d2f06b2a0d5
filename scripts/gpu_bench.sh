#!/usr/bin/env bash
# Measures dense networks on a graphics processor: events per second, time of transfers and kernels, beside the CPU. Writes a result file.
#
#   scripts/gpu_bench.sh                       # wgpu (WGSL), the first adapter
#   scripts/gpu_bench.sh vulkan 1              # SPIR-V, the second adapter
#   TAMIS_DEVICE_EXAMPLE=./device scripts/gpu_bench.sh      # a binary that was built elsewhere
#
# The result goes to benches/results/gpu-DATE-FEATURE.md with a description of the machine; commit it.
set -euo pipefail
cd "$(dirname "$0")/.."

feature=${1:-gpu}
adapter=${2:-0}
[[ $feature == gpu || $feature == vulkan ]] || { echo "gpu_bench: '$feature' is no feature; gpu or vulkan" >&2; exit 2; }
binary=${TAMIS_DEVICE_EXAMPLE:-}
if [[ -z $binary ]]; then
    cargo build --release -p tamis-graph --features "$feature" --example device
    binary=target/release/examples/device
fi
result=benches/results/gpu-$(date +%F)-$feature.md
table=$("$binary" "$adapter")
mkdir -p benches/results
{
    echo "# Dense networks on a graphics processor, $(date +%F)"
    echo
    echo "Written by \`scripts/gpu_bench.sh $feature $adapter\`. Medians of 15 runs; the machine may be shared."
    echo
    echo "Processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores."
    command -v nvidia-smi >/dev/null && echo "Graphics: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1)."
    echo "$table"
} >"$result"
cat "$result"
echo "gpu_bench: wrote $result" >&2
