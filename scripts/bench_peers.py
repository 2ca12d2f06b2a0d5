#!/usr/bin/env python3
"""Tamis beside its rivals: the same models, the same events, the same cores, in turns. scripts/bench_peers.sh prepares and calls this.

    pip install -r scripts/requirements-peers.txt
    python3 scripts/bench_peers.py --tamis target/release/tamis --without tract,kernel

Three measurements, each of ratios: time of the rival over time of Tamis.

1. One thread, networks and trees: `tamis model info` (the fused engine, features included, from event records) against ONNX Runtime, PyTorch,
   tract and XGBoost, which get float32 rows ready in memory (scripts/peers).
2. The kernel alone, from the same kind of rows, against ONNX Runtime (crates/kernel/examples/speed.rs).
3. From file to closed files on two cores: `tamis replay` against the script that one would write (scripts/peers/filter_h5.py).

Turns alternate, Tamis between any two turns of rivals; a rival is divided by the mean of the turns of Tamis before and after it. Shown are the
median of these ratios and the smallest and largest. For a rival the batch and the way of calling it count that are best on the median. Before a
rival is measured its scores are compared with those of Tamis, and the accepted events of the script line by line.

Exit status 0, whatever the ratios are; 1: scores or counts disagree; 69: something is missing or cannot run; 2: the command line.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PEERS = REPOSITORY / "scripts/peers"
SAMPLES = REPOSITORY / "data-samples"
MENU = SAMPLES / "menus/l1.toml"
RECORDING = SAMPLES / "l1-mixed.tmf.zst"
TOPO = SAMPLES / "models/topo"
PACKAGES = ["numpy", "onnx", "onnxruntime", "safetensors"]
# What can be left out, and the packages that only it needs.
OPTIONAL = {"torch": ["torch"], "xgboost": ["xgboost", "onnxmltools", "skl2onnx"], "script": ["h5py", "zstandard"], "tract": [], "kernel": []}
BATCHES = [64, 256, 4096, 65536]
SCRIPT_BATCHES = [1024, 4096, 16384, 65536]
ROWS = 65536
GATE = 1e-5
# A call of a rival that is slower than its best by more than this, on the median of its first turns, is not tried further.
NEAR, TURNS_OF_ALL = 1.5, 4
HEADER = struct.Struct("<4sHHQQQIIIIIHHI")

# Name, widths, what follows the last layer, target against ONNX Runtime.
NETWORKS = [
    ("57-32-16-3", [57, 32, 16, 3], "Softmax", 1.5),
    ("57-64-32-1", [57, 64, 32, 1], "Sigmoid", 1.2),
    ("252-256-128-1", [252, 256, 128, 1], "Sigmoid", 1.0),
    ("16-64-32-32-5", [16, 64, 32, 32, 5], "Softmax", 1.3),
]
# Twice a convolution of 3 by 3 (8 and 16 channels) and the maxima of 2 by 2, then dense layers; measured against ONNX Runtime only.
IMAGE, IMAGE_SHAPE, IMAGE_TARGET = "18x14-c8-c16-32-3", [1, 18, 14], 1.0
TREES = "100 trees of depth 6"
TREE_TARGETS = {"xgboost": 3.0, "onnxruntime": 6.0}
TREE_WIDTH = 57
SCRIPT_TARGET = 20.0
TITLES = {
    "onnxruntime": "ONNX Runtime", "torch": "PyTorch", "tract": "tract", "xgboost": "XGBoost",
    "plain": "plain script", "tuned": "tuned script", "jobs": "tuned script, a job per core",
}


class Trouble(Exception):
    """Ends the run with a message and a status."""

    def __init__(self, message, status=69):
        super().__init__(message)
        self.status = status


# -- Tamis: what is read from its answers is read here, and nowhere else.


class Tamis:
    def __init__(self, binary, core, cores):
        self.binary, self.core, self.cores = binary, core, cores

    def call(self, *arguments, cores=None):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True, preexec_fn=pin(cores))
        if done.returncode:
            raise Trouble(f"tamis {' '.join(map(str, arguments[:2]))} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def version(self):
        said = self.call("--version").split()
        if said[:1] != ["tamis"]:
            raise Trouble(f"{self.binary} is no tamis: --version says '{' '.join(said)}'")
        return said[-1]

    def bundle(self, model, schema, folder, *more):
        self.call("model", "import", model, "--schema", schema, "--out", folder, *more)
        return folder

    def scores(self, recording, bundle, out):
        import numpy

        self.call("score", recording, "--model", bundle, "--device", "fused", "--out", out, cores=self.cores)
        return numpy.load(out)

    def model_ns(self, bundle):
        """Nanoseconds per event of the fused engine, one thread."""
        document = json.loads(self.call("model", "info", bundle, "--json", cores=[self.core]))
        for speed in document["speeds"]:
            if speed["engine"] == "fused":
                if speed["ns_per_event"] is None:
                    raise Trouble(f"the fused engine does not run {bundle}: {speed['problem']}")
                return speed["ns_per_event"]["median"]
        raise Trouble("this tamis has no engine 'fused'; build it from this repository")

    def replay(self, recording, menu, folder, repeat):
        """Nanoseconds per event from file to closed files; accepted events and those of each line, per pass."""
        shutil.rmtree(folder, ignore_errors=True)
        options = ["--device", "fused", "--workers", len(self.cores), "--durable", "never", "--repeat", repeat]
        report = json.loads(self.call("replay", recording, "--menu", menu, "--out", folder, *options, "--json", cores=self.cores))
        shutil.rmtree(folder)
        counts = {line["name"]: line["accepted"] / repeat for line in report["lines"]}
        return 1e9 / report["throughput"]["events_per_s"], report["ledger"]["accepted"] / repeat, counts

    def bench(self, recording, menu, events):
        """Nanoseconds per event from memory to closed files."""
        more = ["--device", "fused"] if self.bench_has_devices() else []
        options = ["--only", "speed", "--sources", 1, "--workers", len(self.cores), "--events", events, "--runs", 1, *more]
        document = json.loads(self.call("bench", recording, "--menu", menu, *options, "--json", cores=self.cores))
        return 1e9 / next(row["median"] for row in document["rows"] if row["unit"] == "events/s")

    def bench_has_devices(self):
        return "--device" in self.call("bench", "--help")


# -- Rivals.


class Worker:
    """A rival that waits for its turn: scripts/peers/workers.py or the program of scripts/peers/tract."""

    def __init__(self, rival, command, core, work):
        self.rival = rival
        self.errors = open(work / f"{rival}.stderr", "w+")
        # What torch.compile makes goes away with the rest.
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(work / "inductor")}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=pipe, stdout=pipe, stderr=self.errors, text=True, preexec_fn=pin([core]), env=environment)
        self.calls = [(variant, batch) for variant in self.answer()[1:] for batch in BATCHES]
        self.turns = []

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise Trouble(f"{self.rival} gave up:\n{self.errors.read().strip()[-2000:]}\nLeave it out with --without {self.rival}")
        return line.split()

    def ask(self, *words):
        try:
            print(*words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        return self.answer()

    def scores(self):
        import numpy

        return numpy.frombuffer(bytes.fromhex(self.ask("scores")[0]), ">f4").astype(numpy.float32)

    def turn(self):
        """Median nanoseconds per event of every call: a way of calling and a batch. After a few turns only those near the best go on."""
        found = {call: statistics.median(map(float, self.ask("time", *call))) for call in self.calls}
        self.turns.append(found)
        if len(self.turns) == TURNS_OF_ALL:
            medians = {call: statistics.median(turn[call] for turn in self.turns) for call in self.calls}
            self.calls = [call for call in self.calls if medians[call] <= NEAR * min(medians.values())]
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def pin(cores):
    """For the child process: only these cores, where the system can do that."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        return None
    return lambda: os.sched_setaffinity(0, cores)


def script(style, part, parts, threads, batch, files, cores):
    """Starts one job of the filter script."""
    command = [sys.executable, PEERS / "filter_h5.py", files["h5"], files["work"] / f"accepted-{part}.h5", "--model", files["onnx"]]
    command += ["--manifest", TOPO / "model.toml", "--style", style, "--threads", threads, "--batch", batch, "--part", f"{part}/{parts}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin(cores), env=environment)


def script_answer(job):
    out, errors = job.communicate()
    if job.returncode:
        raise Trouble(f"scripts/peers/filter_h5.py ended with {job.returncode}: {errors.strip()[-2000:]}\nLeave it out with --without script")
    return json.loads(out)


# -- Events.


def frames(data):
    """Header, body and bytes of every frame (crates/event/SPEC.md). None has columns: a body is a text or records."""
    at = 0
    while at < len(data):
        header = HEADER.unpack_from(data, at)
        if header[:2] != (b"TAMF", 2):
            raise Trouble(f"no frame of version 2 at byte {at} of the recording")
        if header[12] & ~3:
            raise Trouble(f"the frame at byte {at} of the recording has columns")
        body = data[at + 64 : at + 64 + header[10]]
        yield header, body, data[at : at + 64 + header[10] + -header[10] % 64]
        at += 64 + header[10] + -header[10] % 64


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def rows_of(recording, width):
    """float32 rows of a recording whose events are `width` numbers of type f32."""
    import numpy

    bodies = [body for header, body, _ in frames(recording.read_bytes()) if not header[12] & 1]
    return numpy.frombuffer(b"".join(bodies), "<f4").reshape(-1, width)


def noise(tamis, work, width, seed):
    """Events of one field of `width` numbers: those on which `tamis model info` measures, where the seed is 1."""
    schema, recording = work / f"rows-{width}.toml", work / f"rows-{width}-{seed}.tmf"
    schema.write_text(f'name = "rows"\n[[field]]\nname = "x"\ndtype = "f32"\nlen = {width}\n')
    if not recording.exists():
        tamis.call("gen", "--schema", schema, "--events", ROWS, "--seed", seed, "--out", recording)
    return schema, recording, rows_of(recording, width)


def level1(work, copies):
    """The sample recording `copies` times in a row, event ids counting on, as .tmf and as HDF5."""
    import h5py
    import numpy
    import zstandard

    with RECORDING.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    schema = next(tomllib.loads(body.decode()) for header, body, _ in frames(data) if header[12] & 1)
    fields = [field for field in schema["field"] if field.get("role") != "truth"]
    if any(field["dtype"] != "i16" for field in schema["field"]):
        raise Trouble(f"{RECORDING.name}: not all fields are i16")
    columns = [field["name"] for field in fields for _ in range(field.get("len", 1))]
    scales = [field.get("scale", 1.0) for field in fields for _ in range(field.get("len", 1))]
    held = [frame for frame in frames(data) if not frame[0][12] & 1]
    bodies = b"".join(body for _, body, _ in held)
    raw = numpy.frombuffer(bodies, "<i2").reshape(-1, held[0][0][9] // 2)[:, : len(columns)]
    files = {"tmf": work / "l1.tmf", "h5": work / "l1.h5", "work": work, "events": len(raw) * copies}
    with files["tmf"].open("wb") as file:
        file.write(next(whole for header, _, whole in frames(data) if header[12] & 1))
        for copy in range(copies):
            for header, _, whole in held:
                front = HEADER.pack(*header[:4], header[4] + copy * len(raw), *header[5:])
                file.write(front + struct.pack("<I", crc32c(front)) + whole[64:])
    with h5py.File(files["h5"], "w") as file:
        events = file.create_dataset("events", (files["events"], len(columns)), "i2")
        for copy in range(copies):
            events[copy * len(raw) : (copy + 1) * len(raw)] = raw
        events.attrs["columns"], events.attrs["scales"] = columns, scales
    # Without the lines that choose by hash: the script has none.
    text = re.sub(r'\[\[line\]\]\nname = "(zero-bias|pass-through)"\n(?:.+\n)*', "", MENU.read_text())
    menu = tomllib.loads(text)
    assert all("when" in line for line in menu["line"]) and len(menu["line"]) == 11, "the sample menu has changed"
    files["menu"] = work / "menu.toml"
    files["menu"].write_text(text.replace('"../models/topo"', json.dumps(str(TOPO))))
    return files


# -- Models.


def graph(layers, last):
    """An ONNX file as PyTorch exports it. Layers: weight [out, in], bias."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, numbers, value = [], [], "x"
    for k, (weight, bias) in enumerate(layers):
        numbers += [numpy_helper.from_array(weight, f"w{k}"), numpy_helper.from_array(bias, f"b{k}")]
        nodes.append(helper.make_node("Gemm", [value, f"w{k}", f"b{k}"], [f"g{k}"], transB=1))
        final = k + 1 == len(layers)
        value = "scores" if final else f"a{k}"
        nodes.append(helper.make_node(last if final else "Relu", [f"g{k}"], [value], **({"axis": 1} if final and last == "Softmax" else {})))
    width, outputs = layers[0][0].shape[1], len(layers[-1][1])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])
    wanted = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", outputs])
    model = helper.make_model(
        helper.make_graph(nodes, "network", [given], [wanted], numbers), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def network(widths, last, seed):
    import numpy

    rng = numpy.random.default_rng(seed)
    pairs = zip(widths, widths[1:])
    layers = [(rng.normal(size=(o, i)) * (2 / i) ** 0.5, rng.normal(size=o) * 0.1) for i, o in pairs]
    return graph([(weight.astype(numpy.float32), bias.astype(numpy.float32)) for weight, bias in layers], last)


def image(seed):
    """A network on the image of a calorimeter, which comes as a flat row."""
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, shapes = numpy.random.default_rng(seed), {"c0": [8, 1, 3, 3], "c1": [16, 8, 3, 3], "g0": [32, 192], "g1": [3, 32]}
    numbers = [numpy_helper.from_array(numpy.array([-1, *IMAGE_SHAPE], numpy.int64), "shape")]
    for name, (outputs, *inputs) in shapes.items():
        weight, bias = rng.normal(size=(outputs, *inputs)) * (2 / numpy.prod(inputs)) ** 0.5, rng.normal(size=outputs) * 0.1
        numbers += [numpy_helper.from_array(weight.astype(numpy.float32), f"{name}w"), numpy_helper.from_array(bias.astype(numpy.float32), f"{name}b")]
    node, nodes, value = helper.make_node, [helper.make_node("Reshape", ["x", "shape"], ["image"])], "image"
    for name in ["c0", "c1"]:
        nodes += [
            node("Conv", [value, f"{name}w", f"{name}b"], [name], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", [name], [f"{name}a"]),
            node("MaxPool", [f"{name}a"], [f"{name}m"], kernel_shape=[2, 2], strides=[2, 2]),
        ]
        value = f"{name}m"
    nodes += [
        node("Flatten", [value], ["flat"]),
        node("Gemm", ["flat", "g0w", "g0b"], ["g0"], transB=1), node("Relu", ["g0"], ["g0a"]),
        node("Gemm", ["g0a", "g1w", "g1b"], ["g1"], transB=1), node("Softmax", ["g1"], ["scores"], axis=1),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 252])
    wanted = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])
    model = helper.make_model(
        helper.make_graph(nodes, "image", [given], [wanted], numbers), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def topo():
    """The network of the sample menu, from its bundle."""
    from safetensors.numpy import load_file

    numbers = load_file(TOPO / "weights.safetensors")
    return graph([(numbers[f"layers.{k}.weight"], numbers[f"layers.{k}.bias"]) for k in range(len(numbers) // 2)], "Softmax")


def trees(train, folder):
    """100 trees of depth 6 that learn something which takes all their depth."""
    import numpy
    import xgboost
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    rng = numpy.random.default_rng(5)
    signal = train[:, 0] + train[:, 1] * train[:, 2] + numpy.sin(2 * train[:, 3]) + numpy.abs(train[:, 4:12]).sum(axis=1) - 6.4
    labels = (signal + rng.normal(size=len(train)) > 0).astype(int)
    model = xgboost.XGBClassifier(n_estimators=100, max_depth=6, random_state=1, n_jobs=2).fit(train, labels)
    onnx = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, train.shape[1]]))])
    paths = {"onnx": folder / "trees.onnx", "ubj": folder / "trees.ubj"}
    paths["onnx"].write_bytes(onnx.SerializeToString())
    model.get_booster().save_model(paths["ubj"])
    leaves = sum(tree.count("leaf=") for tree in model.get_booster().get_dump())
    return paths, f"trained by XGBoost: {leaves} leaves of at most {100 * 2**6}"


# -- Measuring.


def alternate(rounds, ours, rivals):
    """Turns: Tamis between any two rivals. For every rival a list of (mean of Tamis before and after, what the rival gave)."""
    turns = {name: [] for name in rivals}
    before = None
    # The first round warms up what needs it, and is not counted.
    for at in range(rounds + 1):
        for name, rival in rivals.items():
            before = before or ours()
            found = rival()
            after = ours()
            if at > 0:
                turns[name].append(((before + after) / 2, found))
            before = after
    return turns


def result(section, model, rival, turns, call, target=None):
    """A row of the table. Turns: (nanoseconds per event of Tamis, of the rival). Call: way of calling, batch."""
    ratios = sorted(theirs / ours for ours, theirs in turns)
    median = statistics.median(ratios)
    return {
        "section": section, "model": model, "rival": rival, "call": call,
        "tamis_ns": statistics.median(ours for ours, _ in turns), "rival_ns": statistics.median(theirs for _, theirs in turns),
        "ratio": {"median": median, "min": ratios[0], "max": ratios[-1]}, "turns": len(ratios),
        "target": target, "met": None if target is None else median >= target,
    }


def best(turns):
    """The call that is fastest on the median, of those that went on to the end, and its turns."""
    call = min(turns[-1][1], key=lambda call: statistics.median(found[call] for _, found in turns))
    return call, [(ours, found[call]) for ours, found in turns]


def check(rival, found, wanted):
    """The largest difference, which must be small."""
    import numpy

    if found.shape != wanted.shape or not numpy.isfinite(found).all():
        raise Trouble(f"{rival}: {found.size} scores, tamis has {wanted.size}, or one is not finite", 1)
    apart = float(numpy.abs(found - wanted).max())
    if not apart <= GATE:
        raise Trouble(f"{rival} and tamis do not give the same scores: up to {apart:.2g} apart, {GATE} is allowed; nothing was measured", 1)
    return apart


def one_thread(given, tamis, work, say):
    rows, runtimes = [], {}
    networks = [(name, widths[0], network(widths, last, seed), target, ["onnxruntime", "torch", "tract"])
                for seed, (name, widths, last, target) in enumerate(NETWORKS)]  # fmt: skip
    networks.append((IMAGE, 252, image(len(networks)), IMAGE_TARGET, ["onnxruntime"]))
    for name, width, file, target, rivals in networks:
        folder = work / name
        folder.mkdir()
        path = folder / "net.onnx"
        path.write_bytes(file)
        rivals = {rival: (path, 0) for rival in rivals if rival in given.rivals}
        found, workers = model(given, tamis, work, say, name, width, path, rivals, {"onnxruntime": target})
        rows += found
        runtimes[name] = workers.pop("onnxruntime")
        for worker in workers.values():
            worker.close()
    if "xgboost" in given.rivals:
        (work / "trees").mkdir()
        files, note = trees(noise(tamis, work, TREE_WIDTH, 2)[2], work / "trees")
        say.notes.append(f"{TREES}: {note}. tract 0.23 refuses this file (two numbers in `base_values`).")
        # tract does not read what onnxmltools writes: two base_values for one score.
        rivals = {"xgboost": (files["ubj"], 0), "onnxruntime": (files["onnx"], 1)}
        # A classifier gives a label and two probabilities that add up to 1; the second is asked for.
        more = ["--outputs", "-,-,probability"]
        found, workers = model(given, tamis, work, say, TREES, TREE_WIDTH, files["onnx"], rivals, TREE_TARGETS, more)
        rows += found
        for worker in workers.values():
            worker.close()
    if "kernel" in given.rivals:
        rows += kernel(given, runtimes, tamis, say)
    for worker in runtimes.values():
        worker.close()
    return rows


def model(given, tamis, work, say, name, width, path, rivals, targets, more=()):
    """Rows of the table for one model, and the workers. Rivals: file and number of the output."""
    schema, recording, events = noise(tamis, work, width, 1)
    events.tofile(work / f"rows-{width}.f32")
    bundle = tamis.bundle(path, schema, path.parent / "bundle", *more)
    wanted = tamis.scores(recording, bundle, path.parent / "scores.npy")
    workers = {}
    for rival, (file, output) in rivals.items():
        command = [given.tract] if rival == "tract" else [sys.executable, PEERS / "workers.py", rival]
        command += [file, output, work / f"rows-{width}.f32", width] + (["quick"] if given.quick and rival == "torch" else [])
        workers[rival] = Worker(rival, command, tamis.core, path.parent)
        found = workers[rival].scores().reshape(len(events), -1)[:, -wanted.shape[1] :]
        say(f"{name}: {rival} agrees within {check(rival, found, wanted):.1g}")
    turns = alternate(given.rounds, lambda: tamis.model_ns(bundle), {rival: worker.turn for rival, worker in workers.items()})
    rows = []
    for rival in rivals:
        call, best_turns = best(turns[rival])
        rows.append(result("one thread", name, rival, best_turns, call, targets.get(rival)))
        say.row(rows[-1])
    return rows, workers


def kernel(given, runtimes, tamis, say):
    """The kernel alone: one call measures all networks, so ONNX Runtime has one turn with all of them, too.

    The example measures stretches too short to be interrupted; of ONNX Runtime's longer runs the best counts, so that neighbours on the
    machine do not count against it.
    """

    def ours():
        done = subprocess.run([given.speed], capture_output=True, text=True, preexec_fn=pin([tamis.core]))
        found = {}
        for line in done.stdout.splitlines():
            # By rows, by lanes, and the shares of the peak; the tables that follow have other columns.
            match = re.fullmatch(r"(\S+) +(avx512|avx2|portable) +([\d.]+) +[\d.]+ +[\d.]+ % +[\d.]+ %", line)
            if match:
                found[match[1]] = min(found.get(match[1], float("inf")), float(match[3]))
        if done.returncode or any(name not in found for name in runtimes):
            raise Trouble(f"{given.speed} does not name every network: {done.stderr.strip() or done.stdout}\nLeave it out with --without kernel")
        return found

    turns = {name: [] for name in runtimes}
    before = ours()
    for _ in range(max(given.rounds // 3, 1)):
        found = {name: {call: min(map(float, worker.ask("time", *call))) for call in worker.calls} for name, worker in runtimes.items()}
        after = ours()
        for name in runtimes:
            turns[name].append(((before[name] + after[name]) / 2, found[name]))
        before = after
    rows = []
    for name, target in [*((name, target) for name, _, _, target in NETWORKS), (IMAGE, IMAGE_TARGET)]:
        call, best_turns = best(turns[name])
        rows.append(result("kernel alone", name, "onnxruntime", best_turns, call, target))
        say.row(rows[-1])
    return rows


def end_to_end(given, tamis, work, say):
    files = level1(work, given.copies)
    files["onnx"] = work / "topo.onnx"
    files["onnx"].write_bytes(topo())
    _, accepted, counts = tamis.replay(files["tmf"], files["menu"], work / "out", 1)
    # Long enough to be measured, about as long as the script.
    ns, _, _ = tamis.replay(files["tmf"], files["menu"], work / "out", 1)
    repeat = max(round(given.seconds * 1e9 / (ns * files["events"])), 1)

    def agree(answers):
        found = {line: sum(answer["lines"][line] for answer in answers) for line in answers[0]["lines"]}
        total = sum(answer["accepted"] for answer in answers)
        if total != accepted or found != counts:
            wrong = [f"{line}: {found.get(line)} and {counts.get(line)}" for line in counts | found if found.get(line) != counts.get(line)]
            raise Trouble(f"the script accepts {total} events, tamis {accepted:.0f}; lines: {', '.join(wrong) or 'equal'}; nothing was measured", 1)

    def one(style, batch):
        answer = script_answer(script(style, 0, 1, len(tamis.cores), batch, files, tamis.cores))
        agree([answer])
        return answer["seconds"] / answer["events"] * 1e9

    def jobs(batch):
        parts = len(tamis.cores)
        started = [script("tuned", part, parts, 1, batch, files, [core]) for part, core in enumerate(tamis.cores)]
        answers = [script_answer(job) for job in started]
        agree(answers)
        # Rates are added: who ends first does not wait.
        return 1e9 / sum(answer["events"] / answer["seconds"] for answer in answers)

    runs = {"plain": lambda batch: one("plain", batch), "tuned": lambda batch: one("tuned", batch), "jobs": jobs}
    chosen = {}
    for rival, run in runs.items():
        tried = {batch: statistics.median(run(batch) for _ in range(given.tries)) for batch in SCRIPT_BATCHES}
        chosen[rival] = min(tried, key=tried.get)
    say(f"script: accepts the same {accepted:.0f} events of {files['events']}, line by line; best batches {chosen}")
    rivals = {rival: lambda rival=rival: runs[rival](chosen[rival]) for rival in runs}
    threads = f"{len(tamis.cores)} threads"
    hows = {"plain": threads, "tuned": threads, "jobs": "1 thread each"}
    measured = {"file to files": lambda: tamis.replay(files["tmf"], files["menu"], work / "out", repeat)[0]}
    if tamis.bench_has_devices():
        measured["memory to files"] = lambda: tamis.bench(files["tmf"], files["menu"], files["events"] * repeat)
    rows = []
    for section, ours in measured.items():
        for rival, turns in alternate(given.rounds, ours, rivals).items():
            rows.append(result(section, "l1.toml", rival, turns, (hows[rival], chosen[rival]), SCRIPT_TARGET))
            say.row(rows[-1])
    return rows


# -- What is printed.


class Say:
    """Progress to stderr, and notes for the end."""

    def __init__(self):
        self.notes = []

    def __call__(self, text):
        print(f"bench_peers: {text}", file=sys.stderr, flush=True)

    def row(self, row):
        self(f"{row['section']}, {row['model']}, {row['rival']}: {ratio(row)}")


def ratio(row):
    return f"{row['ratio']['median']:.2f} ({row['ratio']['min']:.2f} to {row['ratio']['max']:.2f})"


def machine(cores):
    try:
        cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)[1]
    except (OSError, TypeError):
        cpu = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    pinned = f"pinned to cores {', '.join(map(str, cores))}" if hasattr(os, "sched_setaffinity") else "not pinned: this system cannot"
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release().split('-')[0]}; {pinned}"


def versions(given, tamis):
    found = {"tamis": tamis.version(), "python": platform.python_version()}
    found |= {package: importlib.metadata.version(package) for package in packages(given)}
    if "tract" in given.rivals:
        lock = tomllib.loads((PEERS / "tract/Cargo.lock").read_text())
        found["tract"] = next(package["version"] for package in lock["package"] if package["name"] == "tract-onnx")
    return found


def page(document):
    lines = [
        f"# Tamis beside its rivals, {document['date']}",
        "",
        f"Written by `scripts/bench_peers.sh{' --quick' if document['quick'] else ''}`, {document['rounds']} rounds. {document['machine']}.",
        f"Load average {document['load']['before']:.2f} before, {document['load']['after']:.2f} after (this measurement alone makes 1 to 2).",
        *(["**Others were at work on this machine: the verdicts are provisional.**"] if document["load"]["before"] > 0.5 else []),
        f"Versions: {', '.join(f'{name} {version}' for name, version in document['versions'].items())}.",
        "",
        "A ratio is the rival's time per event over that of Tamis in neighbouring turns: above 1, Tamis is faster. Median of the turns",
        f"({document['rounds']}, for the kernel alone {max(document['rounds'] // 3, 1)}), smallest to largest. Times are medians, in ns per event.",
        "",
        "| what | model | rival | Tamis | rival | ratio | target | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        digits = 0 if row["rival_ns"] >= 1000 else 1
        target = "" if row["target"] is None else f"{row['target']:g}"
        verdict = {None: "", True: "met", False: "missed"}[row["met"]]
        call, batch = row["call"]
        lines.append(
            f"| {row['section']} | {row['model']} | {TITLES[row['rival']]}: {call}, batch {batch} "
            f"| {row['tamis_ns']:.1f} | {row['rival_ns']:.{digits}f} | {ratio(row)} | {target} | {verdict} |")
    lines += [
        "",
        "* **one thread**: `tamis model info`, engine `fused`, from event records of f32 fields in memory to scores, batches of 4096 events. Rivals get",
        "  float32 rows that are ready in memory, so they do less. All on one core, the same events (`tamis gen`, seed 1).",
        f"  Batches of {', '.join(map(str, BATCHES))} were tried for every rival and every way of calling it; the one named is its best and counts.",
        "* **kernel alone**: the kernel of the fused engine from float32 rows, as the rivals get them (`crates/kernel/examples/speed.rs`: the same shapes",
        "  with other weights, 256 rows again and again in turns too short to be interrupted; ONNX Runtime goes over 4096 rows or one batch, and the",
        "  best of 7 runs is its turn).",
        "* **file to files**: the sample recording, repeated, in the page cache. Tamis: `tamis replay --durable never` from an uncompressed `.tmf`, every",
        "  checksum verified, to closed MCAP files, with menu, ledger and decision records. The script (`scripts/peers/filter_h5.py`): from uncompressed",
        "  HDF5 without checksums to a closed HDF5 file. Starting the process, imports and loading the model are in neither. Both on the same cores.",
        "  `plain` is how one writes such a script first, `tuned` what it becomes when it has to be fast, one job per core the fastest way to run it",
        f"  (their rates are added). Batches that were tried: {', '.join(map(str, SCRIPT_BATCHES))}.",
        "* Scores of every rival were compared with those of Tamis first (1e-5), the accepted events of the script line by line.",
    ]
    lines += [f"* {note}" for note in document["notes"]]
    return "\n".join(lines) + "\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tamis", type=Path, required=True, help="the release binary")
    parser.add_argument("--speed", type=Path, help="the example `speed` of crates/kernel")
    parser.add_argument("--tract", type=Path, help="the program of scripts/peers/tract")
    parser.add_argument("--out", type=Path, help="where the table goes [default: benches/results/peers-DATE.md; with --quick nowhere]")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--quick", action="store_true", help="few and short turns: shows that it works, its ratios mean little")
    parser.add_argument("--without", default="", help=f"what to leave out, separated by commas: {', '.join(OPTIONAL)}")
    parser.add_argument("--cores", help="the cores to use, such as 0,1 [default: the first two]; the last one runs what has one thread")
    parser.add_argument("--rounds", type=int, help="turns of every rival [default: 15; with --quick 3]")
    given = parser.parse_args()
    if given.rounds is not None and given.rounds < 1:
        parser.error(f"--rounds {given.rounds}: at least one")
    without = [name for name in given.without.split(",") if name]
    for name in without:
        if name not in OPTIONAL:
            parser.error(f"--without {name}: can leave out {', '.join(OPTIONAL)}")
    given.rivals = [name for name in ["onnxruntime", *OPTIONAL] if name not in without]
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count()))
    try:
        given.cores = [int(core) for core in given.cores.split(",")] if given.cores else allowed[:2]
    except ValueError:
        parser.error(f"--cores {given.cores}: numbers, separated by commas")
    if not set(given.cores) <= set(allowed):
        parser.error(f"--cores {given.cores}: this process may use {allowed}")
    given.rounds = given.rounds or (3 if given.quick else 15)
    given.copies, given.seconds, given.tries = (4, 0.2, 1) if given.quick else (20, 1.0, 3)
    return given


def packages(given):
    return sorted(PACKAGES + [package for name, needs in OPTIONAL.items() if name in given.rivals for package in needs])


def needed(given):
    """Ends the run before it begins if something is not there."""
    if not (given.tamis.is_file() and os.access(given.tamis, os.X_OK)):
        raise Trouble(f"{given.tamis}: no program; cargo build --release makes target/release/tamis")
    missing = [package for package in packages(given) if importlib.util.find_spec(package) is None]
    if missing:
        for package in missing:
            users = [name for name in given.rivals if package in OPTIONAL.get(name, [])]
            hint = f", or --without {','.join(users)}" if users else ""
            print(f"bench_peers: Python package {package} is missing: pip install -r scripts/requirements-peers.txt{hint}", file=sys.stderr)
        raise Trouble(f"{sys.executable} has not all it needs")
    for name, path, how in [
        ("speed", given.speed, "cargo build --release -p tamis-kernel --example speed"),
        ("tract", given.tract, "cargo build --release --manifest-path scripts/peers/tract/Cargo.toml"),
    ]:
        rival = {"speed": "kernel"}.get(name, name)
        if rival in given.rivals and not (path and path.is_file()):
            raise Trouble(f"--{name} {path or ''}: no program; {how}, or --without {rival}")


def main():
    given = arguments()
    say = Say()
    try:
        needed(given)
        given.tamis = given.tamis.resolve()
        tamis = Tamis(given.tamis, given.cores[-1], given.cores)
        found = versions(given, tamis)
        before = os.getloadavg()[0]
        rows = []
        with tempfile.TemporaryDirectory(prefix="tamis-peers-") as work:
            rows += one_thread(given, tamis, Path(work), say)
            if "script" in given.rivals:
                rows += end_to_end(given, tamis, Path(work), say)
        if given.quick:
            say.notes.append("A quick run: ratios mean little.")
        document = {
            "date": datetime.date.today().isoformat(), "quick": given.quick, "rounds": given.rounds, "machine": machine(given.cores),
            "load": {"before": before, "after": os.getloadavg()[0]}, "versions": found, "rows": rows, "notes": say.notes,
        }
        out = given.out or (None if given.quick else REPOSITORY / f"benches/results/peers-{document['date']}.md")
        text = page(document)
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text)
            say(f"wrote {out}")
        print(json.dumps(document, indent=2) if given.json else text, end="\n" if given.json else "")
    except Trouble as trouble:
        print(f"bench_peers: {trouble}", file=sys.stderr)
        sys.exit(trouble.status)
    except KeyboardInterrupt:
        sys.exit(130)


main()
