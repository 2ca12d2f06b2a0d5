"""PyTorch: networks as they come out of `torch.onnx.export`, and state dicts."""

import io

import numpy as np
import onnx
import torch
from torch import nn

from .entry import Model, Refused, normal


class Mixer(nn.Module):
    """Normalisation, attention-like weights and residual sums, as in small transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(12, 16)
        self.norm = nn.LayerNorm(16)
        self.inner = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.gate = nn.Linear(16, 16)
        self.last = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.embed(x)
        x = x + self.inner(self.norm(x))
        x = x + x * torch.softmax(self.gate(x), dim=-1)
        return torch.softmax(self.head(self.last(x)), dim=1)


class Autoencoder(nn.Module):
    """The score is in the graph: mean squared error of the reconstruction."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(19, 12), nn.LeakyReLU(0.1), nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 12), nn.ELU(), nn.Linear(12, 19)
        )

    def forward(self, x):
        return ((self.layers(x) - x) ** 2).mean(dim=1)


class DeepSets(nn.Module):
    """A network per particle, the mean over particles, a network on the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
        self.rho = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.rho(self.phi(x).mean(dim=1))


class TwoHeads(nn.Module):
    """Two inputs and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.track, self.cluster = nn.Linear(6, 12), nn.Linear(5, 12)
        self.kind, self.energy = nn.Linear(24, 3), nn.Linear(24, 1)

    def forward(self, track, cluster):
        both = torch.cat([torch.relu(self.track(track)), torch.sigmoid(self.cluster(cluster))], dim=1)
        return torch.softmax(self.kind(both), dim=1), nn.functional.softplus(self.energy(both))


class LastState(nn.Module):
    """A recurrent network."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def seeded(seed: int, make) -> nn.Module:
    """A network with seeded weights; biases too are not zero."""
    torch.manual_seed(seed)
    return make()


def settle(network: nn.Module, *shape: int) -> nn.Module:
    """Give BatchNorm statistics and weights that are not those of a new layer."""
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(torch.randn(32, *shape) * 1.5 + 0.3)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
    return network


def export(network: nn.Module, inputs: list[np.ndarray], *, old: bool, opset: int, dynamic: bool = True) -> onnx.ModelProto:
    """The graph that PyTorch writes, by the exporter of before 2.9 (`old`) or of today."""
    network.eval()
    names = [f"x{at}" for at in range(len(inputs))] if len(inputs) > 1 else ["x"]
    example = tuple(torch.from_numpy(value[: 2 if dynamic else 1]) for value in inputs)
    buffer = io.BytesIO()
    if old:
        axes = {name: {0: "batch"} for name in names} if dynamic else None
        options = {"dynamo": False, "dynamic_axes": axes}
    else:
        batch = torch.export.Dim("batch")
        shapes = tuple({0: batch} for _ in inputs) if dynamic else None
        options = {"dynamo": True, "dynamic_shapes": shapes, "external_data": False, "verbose": False}
    torch.onnx.export(network, example, buffer, input_names=names, opset_version=opset, **options)
    return onnx.load_from_string(buffer.getvalue())


def outputs(network: nn.Module, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What PyTorch itself computes."""
    network.eval()
    with torch.no_grad():
        found = network(*map(torch.from_numpy, inputs))
    return [value.numpy() for value in (found if isinstance(found, tuple) else (found,))]


def model(name: str, doc: str, network: nn.Module, inputs: list[np.ndarray], **how) -> Model:
    """Export and keep what PyTorch says."""
    proto = export(network, inputs, **how)
    return Model(name, doc, proto, inputs, outputs(network, inputs), 1e-5, pieces=not how.get("dynamic", True))


def mlp() -> nn.Module:
    """The usual classifier with BatchNorm after and Dropout between the layers."""
    return nn.Sequential(
        nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(16, 5), nn.Softmax(dim=1),
    )  # fmt: skip


def cnn() -> nn.Module:
    """An image of 18 x 14 calorimeter regions."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, stride=2), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid(),
    )  # fmt: skip


def conv1d() -> nn.Module:
    """A waveform of two channels and 64 samples: groups, dilation, stride."""
    return nn.Sequential(
        nn.Conv1d(2, 8, 5, groups=2, padding=2), nn.SELU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 8, 3, dilation=4, padding=4, groups=4), nn.PReLU(8), nn.Conv1d(8, 4, 4, stride=3, bias=False),
        nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3), nn.LogSoftmax(dim=1),
    )  # fmt: skip


def all_models() -> list[Model]:
    """Everything that must run."""
    waveform = normal(13, 2, 64)
    return [
        model("torch_mlp", "classifier 16-32-16-5 with BatchNorm, Dropout and Softmax; exporter of before 2.9, opset 17",
              settle(seeded(1, mlp), 16), [normal(11, 16)], old=True, opset=17),
        model("torch_mlp_dynamo", "the same network from the exporter of today, opset 20",
              settle(seeded(1, mlp), 16), [normal(11, 16)], old=False, opset=20),
        model("torch_cnn", "image [1, 18, 14]: Conv2d, BatchNorm, MaxPool, AvgPool, Flatten, Linear, Sigmoid",
              settle(seeded(2, cnn), 1, 18, 14), [np.abs(normal(12, 1, 18, 14))], old=False, opset=18),
        model("torch_conv1d", "waveform [2, 64]: Conv1d with groups, dilation and stride; Selu, PRelu, LogSoftmax; opset 13",
              seeded(3, conv1d), [waveform], old=True, opset=13),
        model("torch_mixer", "LayerNorm, Gelu, Softmax in the middle, residual sums; opset 20",
              seeded(4, Mixer), [normal(14, 12)], old=False, opset=20),
        model("torch_mixer_old", "the same network by the exporter of before 2.9 at opset 11: LayerNorm and Gelu in pieces",
              seeded(4, Mixer), [normal(14, 12)], old=True, opset=11),
        model("torch_autoencoder", "autoencoder 19-12-4-12-19 with its mean squared error in the graph: one score per event",
              seeded(5, Autoencoder), [normal(15, 19)], old=False, opset=18),
        model("torch_deepsets", "deep sets on [8 particles, 4 features]: Linear on the last axis, mean over particles, Linear",
              seeded(6, DeepSets), [normal(16, 8, 4)], old=False, opset=18),
        model("torch_two_heads", "two inputs [6] and [5]; two outputs [3] and [1]",
              seeded(7, TwoHeads), [normal(17, 6), normal(18, 5)], old=False, opset=18),
        model("torch_batch_of_one", "exported without a dynamic axis: the batch is 1 in inputs, outputs and a Reshape",
              seeded(8, lambda: nn.Sequential(nn.Unflatten(1, (2, 6)), nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(),
                                              nn.Linear(12, 2))),
              [normal(19, 12)], old=False, opset=18, dynamic=False),
        model("torch_lstm", "LSTM over 7 steps of [4], Linear on its last state; opset 18",
              seeded(10, LastState), [normal(21, 7, 4)], old=False, opset=18),
    ]  # fmt: skip


def refused() -> list[Refused]:
    """What must be refused."""
    double = seeded(9, lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).double())
    return [
        Refused("double", "data type float64 (double)",
                export(double, [normal(22, 4).astype(np.float64)], old=False, opset=18)),
    ]  # fmt: skip
