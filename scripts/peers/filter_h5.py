#!/usr/bin/env python3
"""A trigger as one writes it in an afternoon: h5py, numpy, onnxruntime. The rival of `tamis replay` in scripts/bench_peers.py.

    python3 filter_h5.py l1.h5 accepted.h5 --model topo.onnx --manifest data-samples/models/topo/model.toml

The lines are those of data-samples/menus/l1.toml without its two random ones. Input is a data set `events`, int16 [events, 57], in hardware
units, with the names of the columns and their scale as attributes. Prints one JSON document: events, accepted ones, events of each line, and
seconds from opening the input to the closed output; imports and the making of the session are not in it.

It is meant to be fast: buffers are made once, shift and scale are one multiplication and one addition, a chunk fits the cache, cuts read
integers, and the accepted events are written once, at the end.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path

import h5py
import numpy as np
import onnxruntime


def features(manifest, columns, scales):
    """Factor, addend and limits of every column: clip((raw * unit - shift) * scale)."""
    factor, addend, limits = np.ones(len(columns)), np.zeros(len(columns)), []
    for entry in tomllib.loads(Path(manifest).read_text())["input"]:
        at = [i for i, name in enumerate(columns) if name == entry["field"]]
        shift, scale = np.array(entry.get("shift", 0.0)), np.array(entry.get("scale", 1.0))
        factor[at], addend[at] = scales[at] * scale, -shift * scale
        if "clip" in entry:
            limits.append((slice(at[0], at[-1] + 1), *entry["clip"]))
    return factor.astype(np.float32), addend.astype(np.float32), limits


def lines(raw, scores, at):
    """The menu, one array of booleans per line. pt counts in steps of 0.5 GeV."""
    muon_pt, muon_eta, egamma_pt, egamma_eta = at["muons.pt"], at["muons.eta"], at["egammas.pt"], at["egammas.eta"]
    jets = raw[:, at["jets.pt"] : at["jets.pt"] + 10]
    central = np.abs(raw[:, at["jets.eta"] : at["jets.eta"] + 10]) * np.float32(0.0435) < 2.5
    met = raw[:, at["met.pt"]]
    return {
        "single-muon": (raw[:, muon_pt] >= 44) & (np.abs(raw[:, muon_eta]) * np.float32(0.010875) < 2.4),
        "single-egamma": (raw[:, egamma_pt] >= 64) & (np.abs(raw[:, egamma_eta]) * np.float32(0.0435) < 2.5),
        "single-jet": jets[:, 0] >= 360,
        "double-muon": (raw[:, muon_pt] >= 30) & (raw[:, muon_pt + 1] >= 14),
        "double-egamma": (raw[:, egamma_pt] >= 50) & (raw[:, egamma_pt + 1] >= 28),
        "muon-egamma": (raw[:, muon_pt] >= 14) & (raw[:, egamma_pt] >= 40),
        "multi-jet": ((jets >= 80) & central).sum(axis=1) >= 4,
        "jet-sum": jets.sum(axis=1, dtype=np.int32) >= 720,
        "missing-energy": met >= 200,
        "topo-leptons": scores[:, 1] > 0.9,
        "topo-taus": (scores[:, 2] > 0.9) & ((met >= 60) | (jets[:, 0] >= 120)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model", required=True)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--threads", type=int, default=2, help="of onnxruntime")
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--part", default="0/1", help="I/N: part I of N, for N jobs side by side")
    given = parser.parse_args()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = given.threads
    session = onnxruntime.InferenceSession(given.model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    part, parts = map(int, given.part.split("/"))

    begin = time.perf_counter()
    with h5py.File(given.input) as source, h5py.File(given.output, "w") as target:
        events = source["events"]
        columns, scales = list(events.attrs["columns"]), events.attrs["scales"]
        first_of = {column: columns.index(column) for column in columns}
        factor, addend, limits = features(given.manifest, columns, scales)
        raw = np.empty((given.batch, len(columns)), np.int16)
        x = np.empty((given.batch, len(columns)), np.float32)
        kept, counts = [], {}
        first, last = len(events) * part // parts, len(events) * (part + 1) // parts
        for at in range(first, last, given.batch):
            n = min(given.batch, last - at)
            events.read_direct(raw, np.s_[at : at + n], np.s_[:n])
            np.multiply(raw[:n], factor, out=x[:n], casting="unsafe", dtype=np.float32)
            x[:n] += addend
            for where, low, high in limits:
                np.clip(x[:n, where], low, high, out=x[:n, where])
            scores = session.run(None, {name: x[:n]})[0]
            passed = lines(raw[:n], scores, first_of)
            bits = np.zeros(n, np.uint16)
            for k, (line, found) in enumerate(passed.items()):
                counts[line] = counts.get(line, 0) + int(np.count_nonzero(found))
                bits |= found.astype(np.uint16) << k
            chosen = np.flatnonzero(bits)
            if len(chosen):
                kept.append((at + chosen, raw[chosen], scores[chosen], bits[chosen]))
        for key, arrays in zip(["id", "events", "scores", "lines"], zip(*kept)):
            target[key] = np.concatenate(arrays)
    seconds = time.perf_counter() - begin
    accepted = sum(len(ids) for ids, *_ in kept)
    print(json.dumps({"events": last - first, "accepted": accepted, "lines": counts, "seconds": seconds}))


main()
