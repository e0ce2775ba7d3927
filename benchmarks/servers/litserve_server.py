"""The model in litserve: ``litserve_server.py MODEL PORT``."""

import sys
from typing import Any

import joblib
import litserve
import numpy as np


class Scores(litserve.LitAPI):  # type: ignore[misc]
    """Probabilities of both classes."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def setup(self, device: str) -> None:
        self._model = joblib.load(self._path)

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.array(request["rows"])

    def predict(self, rows: Any) -> Any:
        return self._model.predict_proba(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Scores(sys.argv[1]), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False)
