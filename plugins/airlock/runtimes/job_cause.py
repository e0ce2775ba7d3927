"""Why a job failed: the same words for every kind of runtime."""

from typing import Literal

JobCause = Literal["error", "invalid_data", "timeout", "memory", "signal", "cancelled", "lost"]
"""The host or the model broke, the host refused the data or the job, it took longer or more memory than it
may, it was killed from outside, it was cancelled, or it vanished with the machine or its supervisor."""
