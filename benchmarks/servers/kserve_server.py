"""The model in kserve, scored as its server for scikit-learn does: ``kserve_server.py MODEL PORT``."""

import sys
from typing import Any

import joblib
import uvicorn
from kserve import InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class Scores(Model):  # type: ignore[misc]
    """Probabilities of both classes."""

    def __init__(self, path: str) -> None:
        super().__init__("benchmark")
        self._path = path

    def load(self) -> bool:
        self._model = joblib.load(self._path)
        self.ready = True
        return self.ready

    def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:
        result = self._model.predict_proba(get_predict_input(payload))
        return get_predict_response(payload, result, self.name)


class OnLoopback(uvicorn.Config):
    """Listens on this machine only: kserve listens on all addresses and has no option for it."""

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **{**settings, "host": "127.0.0.1"})


if __name__ == "__main__":
    uvicorn.Config = OnLoopback  # type: ignore[misc]
    scores = Scores(sys.argv[1])
    scores.load()
    ModelServer(http_port=int(sys.argv[2]), workers=1, enable_grpc=False).start([scores])
