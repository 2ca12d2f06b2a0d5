"""Keras 3 on PyTorch: no TensorFlow is needed for an export."""

import os
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras  # noqa: E402  (the backend must be chosen first)
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from keras import layers  # noqa: E402

from .entry import Model, normal  # noqa: E402


def export(network: keras.Model) -> onnx.ModelProto:
    """The graph that `Model.export` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        network.export(path, format="onnx", verbose=False)
        return onnx.load(path)


def model(name: str, doc: str, network: keras.Model, values: np.ndarray) -> Model:
    """Export and keep what Keras says."""
    expected = network.predict(values, verbose=0)  # also: a network that was never called has no graph to export
    return Model(name, doc, export(network), [values], [expected], 1e-5)


def dense() -> keras.Model:
    """A regression network with the normalisation inside."""
    return keras.Sequential([
        keras.Input((10,)), layers.Normalization(mean=[0.2] * 10, variance=[1.7] * 10),
        layers.Dense(16, "relu"), layers.Dropout(0.1), layers.Dense(8, "tanh"), layers.Dense(2, "softplus"),
    ])  # fmt: skip


def image() -> keras.Model:
    """Channels last, so that the graph has transposes."""
    return keras.Sequential([
        keras.Input((9, 7, 2)), layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(4, 2, activation="elu"), layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax"),
    ])  # fmt: skip


def all_models() -> list[Model]:
    """Everything that must run."""
    keras.utils.set_random_seed(41)
    found = [model("keras_dense", "Normalization, Dense relu, Dropout, Dense tanh, Dense softplus", dense(), normal(42, 10))]
    keras.utils.set_random_seed(43)
    doc = "image [9, 7, 2] with the channels last: Conv2D same, MaxPooling2D, GlobalAveragePooling2D, Dense softmax"
    return [*found, model("keras_image", doc, image(), normal(44, 9, 7, 2))]
