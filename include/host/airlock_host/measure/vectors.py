"""Numbers by row, as everything that is computed here takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""One number a row, or one a sample."""
