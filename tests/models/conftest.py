"""The example models are scripts, not a package: their folder is put on the path, as when they are run."""

import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "include" / "models"))
