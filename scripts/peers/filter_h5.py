#!/usr/bin/env python3
"""A trigger as one writes it in an afternoon: h5py, numpy, onnxruntime. The rival of `tamis replay` in scripts/bench_peers.py.

    python3 filter_h5.py l1.h5 accepted.h5 --model topo.onnx --manifest data-samples/models/topo/model.toml

The lines are those of data-samples/menus/l1.toml without its two random ones. Input is a data set `events`, int16 [events, 57], in hardware
units, with the names of the columns and their scale as attributes. Prints one JSON document: events, accepted ones, events of each line, and
seconds from opening the input to the closed output; imports and the making of the session are not in it.

Two styles do the same. `plain` is how one writes it first: physical units in double precision, the cuts as the menu has them. `tuned` is what
it becomes when it has to be fast: buffers are made once, shift and scale are one multiplication and one addition in single precision, cuts read
the integers. In both the accepted events are written once, at the end, and a batch is what the cache holds.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path

import h5py
import numpy as np
import onnxruntime


class Plain:
    def __init__(self, manifest, columns, units, _):
        self.at, self.units = {name: columns.index(name) for name in columns}, units
        self.shift, self.scale = np.zeros(len(columns)), np.ones(len(columns))
        self.low, self.high = np.full(len(columns), -np.inf), np.full(len(columns), np.inf)
        for entry in manifest["input"]:
            at = [i for i, name in enumerate(columns) if name == entry["field"]]
            self.shift[at], self.scale[at] = entry.get("shift", 0.0), entry.get("scale", 1.0)
            self.low[at], self.high[at] = entry.get("clip", [-np.inf, np.inf])

    def read(self, events, first, last):
        return events[first:last]

    def features(self, raw):
        self.values = raw * self.units
        return np.clip((self.values - self.shift) * self.scale, self.low, self.high).astype(np.float32)

    def lines(self, _, scores):
        def field(name, size):
            return self.values[:, self.at[name] : self.at[name] + size]

        met = field("met.pt", 1)[:, 0]
        muon_pt, muon_eta = field("muons.pt", 4), field("muons.eta", 4)
        egamma_pt, egamma_eta = field("egammas.pt", 4), field("egammas.eta", 4)
        jet_pt, jet_eta = field("jets.pt", 10), field("jets.eta", 10)
        return {
            "single-muon": (muon_pt[:, 0] >= 22) & (np.abs(muon_eta[:, 0]) < 2.4),
            "single-egamma": (egamma_pt[:, 0] >= 32) & (np.abs(egamma_eta[:, 0]) < 2.5),
            "single-jet": jet_pt[:, 0] >= 180,
            "double-muon": (muon_pt[:, 0] >= 15) & (muon_pt[:, 1] >= 7),
            "double-egamma": (egamma_pt[:, 0] >= 25) & (egamma_pt[:, 1] >= 14),
            "muon-egamma": (muon_pt[:, 0] >= 7) & (egamma_pt[:, 0] >= 20),
            "multi-jet": ((jet_pt >= 40) & (np.abs(jet_eta) < 2.5)).sum(axis=1) >= 4,
            "jet-sum": jet_pt.sum(axis=1) >= 360,
            "missing-energy": met >= 100,
            "topo-leptons": scores[:, 1] > 0.9,
            "topo-taus": (scores[:, 2] > 80 * scores[:, 0]) & ((met >= 30) | (jet_pt[:, 0] >= 60)),
        }


class Tuned:
    def __init__(self, manifest, columns, units, batch):
        self.at = {name: columns.index(name) for name in columns}
        factor, addend, self.limits = np.ones(len(columns)), np.zeros(len(columns)), []
        for entry in manifest["input"]:
            at = [i for i, name in enumerate(columns) if name == entry["field"]]
            shift, scale = np.array(entry.get("shift", 0.0)), np.array(entry.get("scale", 1.0))
            factor[at], addend[at] = units[at] * scale, -shift * scale
            if "clip" in entry:
                self.limits.append((slice(at[0], at[-1] + 1), *entry["clip"]))
        self.factor, self.addend = factor.astype(np.float32), addend.astype(np.float32)
        self.raw, self.x = np.empty((batch, len(columns)), np.int16), np.empty((batch, len(columns)), np.float32)

    def read(self, events, first, last):
        events.read_direct(self.raw, np.s_[first:last], np.s_[: last - first])
        return self.raw[: last - first]

    def features(self, raw):
        x = self.x[: len(raw)]
        np.multiply(raw, self.factor, out=x, casting="unsafe", dtype=np.float32)
        x += self.addend
        for where, low, high in self.limits:
            np.clip(x[:, where], low, high, out=x[:, where])
        return x

    def lines(self, raw, scores):
        """pt counts in steps of 0.5 GeV."""
        at = self.at
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
            "topo-taus": (scores[:, 2] > 80 * scores[:, 0]) & ((met >= 60) | (jets[:, 0] >= 120)),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--model", required=True)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--style", choices=["plain", "tuned"], default="plain")
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
        style = {"plain": Plain, "tuned": Tuned}[given.style]
        manifest = tomllib.loads(Path(given.manifest).read_text())
        style = style(manifest, list(events.attrs["columns"]), events.attrs["scales"], given.batch)
        kept, counts = [], {}
        first, last = len(events) * part // parts, len(events) * (part + 1) // parts
        for at in range(first, last, given.batch):
            n = min(given.batch, last - at)
            raw = style.read(events, at, at + n)
            scores = session.run(None, {name: style.features(raw)})[0]
            passed = style.lines(raw, scores)
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
