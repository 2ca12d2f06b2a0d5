"""scikit-learn, XGBoost and LightGBM."""

import lightgbm
import numpy as np
import onnx
import xgboost
from onnxmltools.convert import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as OnnxmlFloats
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from .entry import ROWS, Model

FEATURES = 8


def data(seed: int, classes: int = 2, events: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """Seeded features at different scales, and a class that depends on them."""
    generator = np.random.default_rng(seed)
    scale = np.array([50, 1, 3, 20, 0.1, 1, 5, 200])
    x = (generator.standard_normal((events, FEATURES)) * scale + scale / 2).astype(np.float32)
    signal = x[:, 0] / 50 + x[:, 1] * x[:, 2] / 3 + np.abs(x[:, 3]) / 20 + 0.3 * generator.standard_normal(events)
    edges = np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])
    return x, np.digitize(signal, edges).astype(np.int64)


def target(x: np.ndarray) -> np.ndarray:
    """What a regressor learns."""
    return (x[:, 0] / 25 + np.sin(x[:, 1]) * x[:, 2] + x[:, 7] / 100).astype(np.float32)


def vectors(seed: int, missing: bool = False) -> np.ndarray:
    """Events of the same kind that no training has seen; with `missing`, a fifth of the numbers is NaN."""
    x = data(seed, events=ROWS)[0]
    if missing:
        x[np.random.default_rng(seed).random(x.shape) < 0.2] = np.nan
    return x


def sklearn_graph(estimator, *, classifier: bool = True) -> onnx.ModelProto:
    """The graph that skl2onnx writes."""
    options = {id(estimator): {"zipmap": False}} if classifier else None
    return to_onnx(estimator, np.zeros((1, FEATURES), np.float32), options=options, target_opset={"": 18, "ai.onnx.ml": 3})


def sklearn_classifier(name: str, doc: str, estimator, seed: int, classes: int) -> Model:
    """Label and probabilities."""
    x, y = data(seed, classes)
    estimator.fit(x, y)
    values = vectors(seed + 1)
    expected = [estimator.predict(values), estimator.predict_proba(values)]
    return Model(name, doc, sklearn_graph(estimator), [values], expected)


def sklearn_models() -> list[Model]:
    """What physicists build with scikit-learn."""
    forest = RandomForestRegressor(8, max_depth=4, random_state=1, n_jobs=1)
    x, _ = data(50)
    forest.fit(x, target(x))
    values = vectors(51)
    return [
        sklearn_classifier("sklearn_logistic", "pipeline StandardScaler, LogisticRegression; label, probabilities [2]",
                           make_pipeline(StandardScaler(), LogisticRegression()), 52, 2),
        sklearn_classifier("sklearn_normalizer", "pipeline Normalizer l2, LogisticRegression, 3 classes",
                           make_pipeline(Normalizer("l2"), LogisticRegression(C=50.0)), 54, 3),
        sklearn_classifier("sklearn_forest", "RandomForestClassifier, 3 classes, 6 trees",
                           RandomForestClassifier(6, max_depth=4, random_state=2, n_jobs=1), 56, 3),
        sklearn_classifier("sklearn_boosting", "GradientBoostingClassifier, 2 classes, 12 trees",
                           GradientBoostingClassifier(n_estimators=12, max_depth=3, random_state=3), 58, 2),
        Model("sklearn_forest_regressor", "RandomForestRegressor, 8 trees", sklearn_graph(forest, classifier=False),
              [values], [forest.predict(values)]),
    ]  # fmt: skip


def xgboost_graph(booster) -> onnx.ModelProto:
    """The graph that onnxmltools writes."""
    return convert_xgboost(booster, initial_types=[("input", OnnxmlFloats([None, FEATURES]))], target_opset=15)


def xgboost_models() -> list[Model]:
    """Missing values, several classes, regression."""
    options = {"n_estimators": 12, "max_depth": 3, "learning_rate": 0.3, "random_state": 4, "n_jobs": 1}
    x, y = data(60)
    x[np.random.default_rng(61).random(x.shape) < 0.2] = np.nan
    binary = xgboost.XGBClassifier(**options).fit(x, y)
    holes = vectors(62, missing=True)
    x, y = data(63, classes=3)
    three = xgboost.XGBClassifier(**options | {"n_estimators": 5}).fit(x, y)
    values = vectors(64)
    regressor = xgboost.XGBRegressor(**options | {"max_depth": 4}).fit(x, target(x))
    return [
        Model("xgboost_missing", "XGBClassifier, 2 classes, 12 trees; a fifth of the input is NaN: missing",
              xgboost_graph(binary), [holes], [binary.predict(holes), binary.predict_proba(holes)]),
        Model("xgboost_classes", "XGBClassifier, 3 classes, 15 trees, softmax", xgboost_graph(three), [values],
              [three.predict(values), three.predict_proba(values)]),
        Model("xgboost_regressor", "XGBRegressor, 12 trees", xgboost_graph(regressor), [values],
              [regressor.predict(values)]),
    ]  # fmt: skip


def lightgbm_graph(booster, **options) -> onnx.ModelProto:
    """The graph that onnxmltools writes."""
    return convert_lightgbm(
        booster, initial_types=[("input", OnnxmlFloats([None, FEATURES]))], target_opset=15, **options
    )


def lightgbm_models() -> list[Model]:
    """Binary classifier and regressor."""
    options = {"n_estimators": 12, "num_leaves": 8, "random_state": 5, "n_jobs": 1, "deterministic": True, "verbose": -1}
    x, y = data(70)
    binary = lightgbm.LGBMClassifier(**options).fit(x, y)
    regressor = lightgbm.LGBMRegressor(**options).fit(x, target(x))
    values = vectors(71)
    return [
        Model("lightgbm_binary", "LGBMClassifier, 2 classes, 12 trees of 8 leaves; the file says that `label` has 1 row, and that is wrong", lightgbm_graph(binary, zipmap=False),
              [values], [binary.predict(values), binary.predict_proba(values)]),
        Model("lightgbm_regressor", "LGBMRegressor, 12 trees of 8 leaves", lightgbm_graph(regressor), [values],
              [regressor.predict(values)]),
    ]  # fmt: skip


def all_models() -> list[Model]:
    """Everything that must run."""
    return [*sklearn_models(), *xgboost_models(), *lightgbm_models()]
