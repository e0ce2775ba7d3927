"""A model that is a Python module with the functions ``init`` and ``score``, whatever their names."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any

from airlock_host.columns import Columns
from airlock_host.exceptions import ModelFailed, SnapshotUnusable
from airlock_host.models.forms import Form, builder, fits_array, to_records
from airlock_host.snapshot import Snapshot

log = logging.getLogger(__name__)


def load_score(snapshot: Snapshot) -> Callable[[Columns], Any]:
    """Import the snapshot's module, run its ``init``, and return its ``score`` taking columns.

    While the module is imported and ``init`` runs, the working folder is the snapshot's, so that a relative
    path to a file of the model works wherever the host was started.

    :raises SnapshotUnusable: the module or a function is missing, or importing or ``init`` raised.
    """
    path = snapshot.folder / snapshot.entry_points.get("module", "model.py")
    if not path.is_file():
        raise SnapshotUnusable(f"the snapshot of {snapshot.model!r} has no file {path.name}")
    with chdir(snapshot.folder):
        module = _import(path, snapshot.folder)
        score = _function(module, snapshot.entry_points.get("score", "score"), path)
        init_name = snapshot.entry_points.get("init")
        if init_name is not None:
            _initialise(_function(module, init_name, path), snapshot.folder, path)
    form = form_of(score)
    if form == "array" and not fits_array(snapshot.inputs):
        raise SnapshotUnusable(
            f"{path.name}: {score.__name__} takes an array, which holds only numbers, but the input schema "
            "has strings or times; take a DataFrame instead"
        )
    if form == "record":
        log.warning(
            "%s: %s takes one record at a time. It works, and costs about 600 times the processor time "
            "of a function that takes a batch (a DataFrame or an array) once it scores many rows.",
            path.name,
            score.__name__,
        )
        return lambda rows: [_one_answer(score(record)) for record in to_records(rows)]
    build = builder(form)
    return lambda rows: score(build(rows))


def form_of(score: Callable[..., Any]) -> Form:
    """In which form a score function takes its rows: as it annotates its first parameter.

    Without an annotation a generator function takes one record at a time (ModelOp's convention), and any
    other a ``pandas.DataFrame`` where pandas is installed, a dict of arrays where it is not.

    :raises SnapshotUnusable: it takes no parameter, or one annotated with something else.
    """
    parameters = list(inspect.signature(score).parameters.values())
    if not parameters:
        raise SnapshotUnusable(f"{score.__name__} takes no parameter; it must take the rows to score")
    annotation = parameters[0].annotation
    if inspect.isgeneratorfunction(score):
        return "record"
    if annotation is inspect.Parameter.empty:
        return "dataframe" if importlib.util.find_spec("pandas") else "columns"
    words = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    arrays = "ndarray" in words or "NDArray" in words
    if words.split("[")[0].split(".")[-1] in ("dict", "Dict", "Mapping", "MutableMapping"):
        return "columns" if arrays else "record"
    if "DataFrame" in words:
        return "dataframe"
    if "RecordBatch" in words:
        return "record_batch"
    if arrays:
        return "array"
    raise SnapshotUnusable(
        f"{score.__name__} takes a {words}; it may take a pandas.DataFrame, a pyarrow.RecordBatch, a "
        "numpy.ndarray, a dict[str, numpy.ndarray] of columns, or (slowly) a dict for one record"
    )


def _import(path: Path, folder: Path) -> ModuleType:
    # The snapshot's files are what was approved: importing them must not write caches beside them.
    sys.dont_write_bytecode = True
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise SnapshotUnusable(f"{path.name} is not a Python module")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    try:
        specification.loader.exec_module(module)
    except ImportError:
        raise
    except (Exception, SystemExit) as error:
        log.error("%s", "".join(traceback.format_exception(error)))
        raise SnapshotUnusable(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _function(module: ModuleType, name: str, path: Path) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise SnapshotUnusable(f"{path.name} has no function {name!r}, which the manifest names")
    return function  # type: ignore[no-any-return]


def _initialise(init: Callable[..., Any], folder: Path, path: Path) -> None:
    required = [
        parameter
        for parameter in inspect.signature(init).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    try:
        init(folder) if required else init()
    except ImportError:
        raise
    except (Exception, SystemExit) as error:
        log.error("%s", "".join(traceback.format_exception(error)))
        raise SnapshotUnusable(
            f"{path.name}: {init.__name__} raised {type(error).__name__}: {error}"
        ) from error


def _one_answer(returned: Any) -> Mapping[str, Any]:
    """The single record a row-at-a-time function returned or yielded."""
    answers = list(returned) if inspect.isgenerator(returned) else [returned]
    if len(answers) != 1:
        raise ModelFailed(f"the model yielded {len(answers)} answers for one record; it must yield one")
    answer = answers[0]
    if not isinstance(answer, Mapping):
        raise ModelFailed(f"the model answered a {type(answer).__name__} for a record; it must answer a dict")
    return answer
