"""The service: the use of models that takes their snapshots through a life cycle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.cron import PRESETS, cron_mistake
from airlock.spec.kafka import Kafka
from airlock.spec.lifecycle import Stage
from airlock.spec.mistakes import shown
from airlock.spec.names import LONGEST_LINE, STAGE_PATTERN, Line, Mode, Name, StageName, Text
from airlock.spec.refusal import refusal
from airlock.spec.size import GiB, Size


class Resources(Spec):
    """What one deployment or one job gets at most."""

    cpu: float = pydantic.Field(default=1.0, gt=0, le=1024)
    """Processor cores."""
    memory: Size = GiB
    """Memory, like ``512MiB``."""


_STORES = ("file", "s3", "gs", "gcs", "abfs", "abfss")


def _check_place(place: str) -> str:
    if (found := re.match(r"([A-Za-z0-9+.-]+):/+(.*)", place)) is None:
        return place
    scheme, rest = found.groups()
    if scheme not in _STORES:
        raise refusal(f"{shown(scheme)} is no kind of store that jobs read", f"Known: {', '.join(_STORES)}.")
    if not place.startswith(f"{scheme}://") or not rest:
        raise refusal(f"{shown(place)} is not a whole URL", "Write it like s3://bucket/folder.")
    if "@" in rest.partition("/")[0]:
        mend = "Give them to Airflow's workers and to the runtime as variables, like AWS_ACCESS_KEY_ID."
        raise refusal("the URL holds credentials", mend)
    return place


Place = Annotated[Line, pydantic.AfterValidator(_check_place)]
"""Where files are: a path from the project folder (the one with ``include/``) on, an absolute path, or a URL,
like ``s3://bucket/folder``. Paths must be the same for Airflow and for the runtimes."""


class Dataset(Spec):
    """Labelled records that checks measure on."""

    path: Place
    """A Parquet or CSV file, or a pattern of them: a path from the project folder (with ``include/``) on, an
    absolute path, or a URL."""
    target: Line
    """The column with the true answer."""


def _check_schedule(schedule: str) -> str:
    if (mistake := cron_mistake(schedule)) is not None:
        mend = (
            "Write five fields, like '0 6 * * *' (each day at 6:00), or @hourly, @daily, @weekly, @monthly."
        )
        raise refusal(mistake, mend)
    return schedule


Schedule = Annotated[
    Line,
    pydantic.AfterValidator(_check_schedule),
    pydantic.WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^({'|'.join(PRESETS)}|\s*\S+(\s+\S+){{4}}\s*)$",
            "maxLength": LONGEST_LINE,
        }
    ),
]
"""A cron expression of five fields, or a preset."""


def _check_folder(path: str) -> str:
    if "*" in path or "?" in path:
        raise refusal(f"{shown(path)} is a pattern", "Name the folder that gets the scores.")
    return path


def _written_for(value: Any) -> str:
    """Whether topics are written for all stages, or for each: the keys of the one are no stages."""
    stages = isinstance(value, Mapping) and any(re.match(STAGE_PATTERN, str(key)) for key in value)
    return "by stage" if stages else "everywhere"


class Service(Spec):
    """A use of models with an owner: it has a life cycle, and a current version for each stage.

    A service with a ``schedule`` is scored in batches on it, whatever its ``mode``.
    """

    service: Name
    """The service's name; its file is called ``<name>.yaml``. It is also the ``dag_id`` and part of URLs."""
    lifecycle: Name
    """The life cycle that its snapshots pass."""
    owner: Line
    """Who answers for the service: a person or a team."""
    description: Text = ""
    """What the service is for."""
    risk: Literal["low", "medium", "high"] = "medium"
    """How much harm a bad model does here."""
    mode: Annotated[
        Annotated[Mode, pydantic.Tag("everywhere")]
        | Annotated[dict[StageName, Mode], pydantic.Tag("by stage")],
        pydantic.Discriminator(lambda value: "by stage" if isinstance(value, Mapping) else "everywhere"),
    ] = "online"
    """How snapshots run: one word for all stages, or a mapping of stage to word."""
    kafka: (
        Annotated[
            Annotated[Kafka, pydantic.Tag("everywhere")]
            | Annotated[dict[StageName, Kafka], pydantic.Tag("by stage")],
            pydantic.Discriminator(_written_for),
        ]
        | None
    ) = pydantic.Field(default=None, kw_only=True)
    """The topics that online snapshots read and write, instead of listening for requests: for all stages, or
    a mapping of stage to topics. A stage that the mapping leaves out listens."""
    on_newer: Literal["supersede", "queue"] = "supersede"
    """What happens when a newer snapshot is promoted while one is on its way: the older one gives up its
    passage (``supersede``), or the newer one waits (``queue``)."""
    datasets: dict[Name, Dataset] = pydantic.Field(default_factory=dict)
    """What performance checks measure on, by name."""
    resources: Resources = Resources()
    """What one deployment or job gets."""
    input: Place | None = None
    """For scheduled scoring: the records to score, a file or a pattern with Airflow's Jinja templates, like
    ``data/{{ data_interval_start | ds }}/*.parquet`` or
    ``s3://bucket/{{ data_interval_start | ds }}/*.csv``."""
    output: Annotated[Place, pydantic.AfterValidator(_check_folder)] | None = None
    """For scheduled scoring: the folder of the scores, with Jinja templates as in ``input``."""
    partitions: int = pydantic.Field(default=4, ge=1, le=1000)
    """For scheduled scoring: the input files of an interval are divided into at most this many partitions,
    which are scored in parallel."""
    schedule: Schedule | None = None
    """When to score: a cron expression, or @hourly, @daily, @weekly, @monthly."""

    @pydantic.field_validator("schedule")
    @classmethod
    def _schedule_has_input_and_output(
        cls, schedule: str | None, info: pydantic.ValidationInfo
    ) -> str | None:
        missing = [key for key in ("input", "output") if key in info.data and info.data[key] is None]
        if schedule is not None and missing:
            message = f"the service has a schedule, but no {' and no '.join(missing)}"
            raise refusal(message, "Add what is to be scored and where the scores go.")
        return schedule

    def stage_mode(self, stage: Stage | str) -> Mode:
        """How snapshots of this service run at a stage.

        What the service says for the stage comes first, then the stage's own mode, then what the service says
        for all stages; ``online`` otherwise.
        """
        name, own = (stage.name, stage.mode) if isinstance(stage, Stage) else (stage, None)
        if isinstance(self.mode, dict):
            return self.mode.get(name, own or "online")
        return own or self.mode

    def stage_kafka(self, stage: Stage | str) -> Kafka | None:
        """The topics of a stage; ``None`` where it runs as batch, or listens for requests."""
        if self.stage_mode(stage) == "batch":
            return None
        if isinstance(self.kafka, dict):
            return self.kafka.get(stage.name if isinstance(stage, Stage) else stage)
        return self.kafka

    @pydantic.model_serializer(mode="wrap")
    def _leave_out_what_is_not_written(self, dump: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = dump(self)
        if written.get("kafka") is None:  # so that services without topics keep the digests they always had
            written.pop("kafka", None)
        return written
