"""The rivals of scripts/bench_peers.py, each a process of its own that waits for its turn.

    python3 workers.py onnxruntime|torch|xgboost MODEL OUTPUT ROWS.f32 WIDTH [quick]

MODEL is an ONNX file (for xgboost its own .ubj), OUTPUT the number of the output that is compared; quick leaves out what takes long to
prepare. Requests come on standard input, one per line, and each is answered by one line; scripts/peers/tract is the same in Rust:

    scores              the scores of all rows, as hexadecimal f32
    time VARIANT BATCH  nanoseconds per event of RUNS runs

The first line says "ready" and the variants: ways of calling the library, of which the best counts. Rows are float32, contiguous and in memory
before the clock starts; one thread. A run is what `tamis model info` does: a pass that is not measured, then RUNS runs of at least
RUN_SECONDS_MIN each.
"""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
import numpy as np

RUNS = 7
RUN_SECONDS_MIN = 2e-3
# Batches that are no larger go over this many events in turn, so that all batches see the same events.
EVENTS = 4096


def onnxruntime_calls(path, output, _):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, outputs = session.get_inputs()[0].name, [session.get_outputs()[output].name]

    def run(rows):
        return lambda: session.run(outputs, {name: rows})[0]

    def bound(rows):
        """Inputs and outputs stay where they are: no array is made per call."""
        binding = session.io_binding()
        value = onnxruntime.OrtValue.ortvalue_from_numpy(rows)
        binding.bind_ortvalue_input(name, value)
        answer = onnxruntime.OrtValue.ortvalue_from_numpy(session.run(outputs, {name: rows})[0])
        binding.bind_ortvalue_output(outputs[0], answer)
        # Values are bound by address: both live as long as the call does.
        return lambda: (session.run_with_iobinding(binding), value, answer)[2].numpy()

    return {"run": run, "binding": bound}


def torch_calls(path, _, quick):
    import onnx
    import torch
    from onnx import numpy_helper

    torch.set_num_threads(1)
    graph = onnx.load(path).graph
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers = []
    for node in graph.node:
        if node.op_type == "Gemm":
            weight, bias = numbers[node.input[1]], numbers[node.input[2]]
            layers.append(torch.nn.Linear(weight.shape[1], weight.shape[0]))
            layers[-1].weight.data, layers[-1].bias.data = torch.tensor(weight), torch.tensor(bias)
        else:
            layers.append({"Relu": torch.nn.ReLU(), "Sigmoid": torch.nn.Sigmoid(), "Softmax": torch.nn.Softmax(dim=1)}[node.op_type])
    network = torch.nn.Sequential(*layers).eval()

    def caller(function):
        def call(rows):
            tensor = torch.from_numpy(rows)

            def run():
                with torch.inference_mode():
                    return function(tensor).numpy()

            return run

        return call

    variants = {"eager": caller(network)}
    if not quick:
        compiled = caller(torch.compile(network, dynamic=False))
        try:
            compiled(np.zeros((EVENTS, layers[0].in_features), np.float32))()
            variants["compile"] = compiled
        except Exception as error:
            print(f"torch.compile does not work here and is left out: {error}", file=sys.stderr)
    return variants


def xgboost_calls(path, *_):
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    booster.set_param({"nthread": 1})

    def matrix(rows):
        """With the making of the matrix: XGBoost remembers the answers for one that it has seen."""
        return lambda: booster.predict(xgboost.DMatrix(rows, nthread=1))

    return {"inplace_predict": lambda rows: lambda: booster.inplace_predict(rows, validate_features=False), "DMatrix": matrix}


def nanoseconds(calls, events):
    def one():
        begin = time.perf_counter()
        for call in calls:
            call()
        return time.perf_counter() - begin

    one()
    repeat = min(max(-(-RUN_SECONDS_MIN // one()), 1), 1000)
    runs = [sum(one() for _ in range(int(repeat))) / (repeat * events) * 1e9 for _ in range(RUNS)]
    return " ".join(f"{run:.3f}" for run in runs)


def main():
    rival, model, output, rows, width, *quick = sys.argv[1:]
    # Whatever a library prints goes elsewhere than the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    rows = np.fromfile(rows, np.float32).reshape(-1, int(width))
    variants = {"onnxruntime": onnxruntime_calls, "torch": torch_calls, "xgboost": xgboost_calls}[rival](model, int(output), quick)
    print("ready", *variants, file=answers, flush=True)
    prepared = {}
    for line in sys.stdin:
        match line.split():
            case ["scores"]:
                parts = [next(iter(variants.values()))(part)().astype("<f4") for part in np.array_split(rows, max(len(rows) // EVENTS, 1))]
                # Every variant must give the same before one of them is measured.
                for name, variant in variants.items():
                    apart = np.abs(variant(rows[:EVENTS])() - np.concatenate(parts)[:EVENTS]).max()
                    if not apart < 1e-5:
                        sys.exit(f"{rival}: {name} is {apart} apart from the first variant")
                answer = b"".join(part.astype(">f4").tobytes() for part in parts).hex()
            case ["time", variant, batch]:
                batch = int(batch)
                events = min(max(EVENTS, batch), len(rows))
                if (variant, batch) not in prepared:
                    parts = [np.ascontiguousarray(rows[at : at + batch]) for at in range(0, events, batch)]
                    prepared[variant, batch] = [variants[variant](part) for part in parts]
                answer = nanoseconds(prepared[variant, batch], events)
            case _:
                sys.exit(f"unknown request: {line}")
        print(answer, file=answers, flush=True)


main()
