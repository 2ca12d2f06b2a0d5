#!/usr/bin/env python3
"""Make the small models of crates/graph/tests/models and the outputs that ONNX Runtime computes from them.

Not needed to build, test or run Tamis: the files are committed. Everything is seeded and runs on one thread; the
same packages (requirements-models.txt) on the same kind of CPU give the same files.

    python3 scripts/export_models.py            # writes crates/graph/tests/models
    python3 scripts/export_models.py --out DIR
"""

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import torch  # noqa: E402  (threads are limited first)
from zoo import handmade, keras_models, torch_models, trees  # noqa: E402
from zoo.entry import FILE_MAX, save, strip  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER_MAX = 600_000

README = """\
# Small models for tests

Written by [`scripts/export_models.py`](../../../../scripts/export_models.py); do not edit. Weights are seeded and untrained, or trained on random
numbers: the models mean nothing. Beside every `NAME.onnx` stands `NAME.safetensors` with the tensors `input.0`, `input.1`, ... and
`output.0`, `output.1`, ... in the order of the graph's inputs (initializers not counted) and outputs, float32 or int64, one row per event;
the outputs are those of ONNX Runtime {onnxruntime}.

## Graphs

| file | what it is | inputs | outputs | operators |
|---|---|---|---|---|
{models}

## To be refused

In `refused/`: an import must fail, and the message must name what the table says.

| file | what the refusal names |
|---|---|
{refused}
"""


def shapes(values) -> str:
    """The shapes of typed inputs or outputs, `N` for the batch."""

    def shape(value) -> str:
        dims = [str(dim.dim_value) if dim.WhichOneof("value") == "dim_value" else "N" for dim in value.type.tensor_type.shape.dim]
        return f"`{value.name}` [{', '.join(dims)}]"

    return ", ".join(map(shape, values))


def row(model) -> str:
    """A line of the README's table."""
    graph = model.proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    operators = sorted({node.op_type for node in graph.node})
    inputs = shapes(value for value in graph.input if value.name not in constants)
    return f"| `{model.name}` | {model.doc} | {inputs} | {shapes(graph.output)} | {', '.join(operators)} |"


def write_all(out: Path) -> None:
    """All files and the README."""
    import onnxruntime

    (out / "refused").mkdir(parents=True, exist_ok=True)
    models = [*torch_models.all_models(), *keras_models.all_models(), *trees.all_models(), *handmade.all_models()]
    for model in models:
        save(model, out)
    refused = [*torch_models.refused(), *handmade.refused()]
    for model in refused:
        proto = strip(model.proto, model.name)
        (out / "refused" / f"{model.name}.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    text = README.format(
        onnxruntime=onnxruntime.__version__,
        models="\n".join(map(row, models)),
        refused="\n".join(f"| `{model.name}` | {model.doc} |" for model in refused),
    )
    (out / "README.md").write_text(text)


def check_sizes(out: Path) -> None:
    """Nothing too large, and no path of this machine in a file."""
    here = [str(REPOSITORY).encode(), sys.prefix.encode(), str(Path.home()).encode() + b"/"]
    files = [path for path in out.rglob("*") if path.is_file()]
    for path in files:
        if path.stat().st_size > FILE_MAX:
            raise ValueError(f"{path} has {path.stat().st_size} bytes, more than {FILE_MAX}")
        if any(name in path.read_bytes() for name in here):
            raise ValueError(f"{path} names a folder of this machine")
    total = sum(path.stat().st_size for path in files)
    if total > FOLDER_MAX:
        raise ValueError(f"{out} has {total} bytes, more than {FOLDER_MAX}")
    print(f"{len(files)} files, {total / 1e3:.0f} kB in {out}")


def main() -> int:
    """Write and check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = REPOSITORY / "crates" / "graph" / "tests" / "models"
    parser.add_argument("--out", type=Path, default=default, help="folder to write (default: %(default)s)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        write_all(options.out)
        check_sizes(options.out)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"export_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
