#!/usr/bin/env python3
"""PyTorch on a GPU beside `tamis bench --only engines`: the same networks, from rows of 57 integers of 16 bits in host memory to scores there.

    python3 scripts/peers/torch_gpu.py [--events 65536] [--runs 5]

Pinned memory, two batches under way on two streams, integers of 16 bits over the bus, no gradients. Prints a markdown table of events per second:
eager and compiled into a CUDA graph, in single precision (without TF32) and in half precision.
"""

import argparse
import statistics
import time

import torch

HIDDEN = [(32, 16), (64, 32), (128, 64), (256, 128), (512, 256), (1024, 512), (2048, 1024)]
INPUTS, OUTPUTS = 57, 3


class Network(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        widths = [INPUTS, *hidden, OUTPUTS]
        layers = []
        for a, b in zip(widths, widths[1:]):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers[:-1])
        self.register_buffer("mul", torch.full((INPUTS,), 1e-4))
        self.register_buffer("add", torch.full((INPUTS,), 0.1))

    def forward(self, integers):
        x = integers.to(self.mul.dtype) * self.mul + self.add
        return torch.softmax(self.layers(x.clamp(-8, 8)), dim=1).float()


class Lane:
    """A stream with its own buffers, and the graph of what happens on it."""

    def __init__(self, network, events, graph):
        self.network = network
        self.stream = torch.cuda.Stream()
        self.host = torch.randint(-2000, 2000, (events, INPUTS), dtype=torch.int16).pin_memory()
        self.scores = torch.empty((events, OUTPUTS)).pin_memory()
        self.device = torch.empty_like(self.host, device="cuda")
        self.graph = None
        with torch.cuda.stream(self.stream):
            for _ in range(3):
                self.work()
            self.stream.synchronize()
            if graph:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, stream=self.stream):
                    self.work()

    def work(self):
        self.device.copy_(self.host, non_blocking=True)
        self.scores.copy_(self.network(self.device), non_blocking=True)

    def start(self, rows):
        self.stream.synchronize()
        self.host.copy_(rows)
        with torch.cuda.stream(self.stream):
            self.graph.replay() if self.graph else self.work()


@torch.no_grad()
def rate(hidden, events, half, graph):
    network = Network(hidden).cuda().eval()
    network = network.half() if half else network
    lanes = [Lane(network, events, graph) for _ in range(2)]
    rows = torch.randint(-2000, 2000, (events, INPUTS), dtype=torch.int16)
    torch.cuda.synchronize()
    began, batches = time.perf_counter(), 0
    while time.perf_counter() - began < 0.15 or batches < 4:
        lanes[batches % 2].start(rows)
        batches += 1
    torch.cuda.synchronize()
    return batches * events / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=65536)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}, batches of {options.events}\n")
    print("| network | single, eager | single, graph | half, graph |")
    print("|---|---|---|---|")
    ways = [(False, False), (False, True), (True, True)]
    for hidden in HIDDEN:
        cells = []
        for half, graph in ways:
            rates = [rate(hidden, options.events, half, graph) for _ in range(options.runs)]
            cells.append(f"{statistics.median(rates):.3g} ({min(rates):.3g} to {max(rates):.3g})")
        name = "-".join(map(str, [INPUTS, *hidden, OUTPUTS]))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
