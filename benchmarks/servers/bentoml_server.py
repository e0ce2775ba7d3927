"""The model in bentoml: ``MODEL=… bentoml serve bentoml_server:Scores``."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Scores:
    """Probabilities of both classes."""

    def __init__(self) -> None:
        self._model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def score(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return self._model.predict_proba(rows)  # type: ignore[no-any-return]
