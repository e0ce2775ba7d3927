"""Checks: what is measured on a deployed snapshot, and what is concluded from it.

A model never computes its own verdict. Three places take part:

* the **candidate's** (or the **champion's**) own environment scores records: host command ``batch``;
* the **checks environment**, where no code of a model is present, measures: host command ``check``;
* **Airlock** judges the measurements against the limits of the life cycle: :func:`judge`.

The protocol of one check, for whoever executes it::

    steps = plan(check, context)                    # raises CheckError: this check cannot be run here
    measurements = {}                               # plain JSON: may be kept between tries and workers
    while step := next_step(steps, measurements):
        ...                                         # run it in the runtime, see below
        measurements[step.name] = <result>          # the host's result file, or failed(...)
    result = judge(check, measurements, context, seconds=...)

A step says where it runs (``candidate``, ``champion`` or ``checks``), the host's command, and its
arguments. The executor submits ``Job(command=step.command, arguments=step.job(measurements))`` with

* the handle of the candidate's deployment for ``candidate``,
* the handle of a batch deployment of the champion's snapshot for ``champion``,
* ``deployment=None`` for ``checks``.

``step.job`` hands the results of earlier steps to those that need them. A job that did not succeed is
recorded with :func:`failed`; :func:`next_step` leaves out the steps that need its result, and
:func:`judge` says what it means: a candidate that cannot score has failed its check, while broken
machinery is the status ``error``, which an executor may try again.

Every step writes below ``context.scratch`` only, always the same bytes for the same input, so a
check that was killed is simply begun again. The scratch folder may be removed after :func:`judge`.

What a result means: ``pass`` and ``warn`` let the snapshot go on; ``fail`` stops it; ``inconclusive``
asks a person; ``error`` and ``skipped`` never count as pass. A check marked ``on_fail: warn`` turns
its ``fail`` into ``warn``, in :func:`judge`, and says so.
"""

from __future__ import annotations

from airlock.checks.context import Champion, CheckContext
from airlock.checks.golden import read_golden
from airlock.checks.kinds import judge, plan
from airlock.checks.manifest_changes import Change, changes
from airlock.checks.markdown_section import markdown
from airlock.checks.report import Link, RoleSlot, StageReport, html
from airlock.checks.result import CheckResult, DatasetFacts, Figure, Metric
from airlock.checks.steps import Measurement, Step, failed, next_step
from airlock.spec.checks import Contract, Delta, Latency, Limit, Performance, Smoke

__all__ = [
    "Champion",
    "Change",
    "CheckContext",
    "CheckResult",
    "Contract",
    "DatasetFacts",
    "Delta",
    "Figure",
    "Latency",
    "Limit",
    "Link",
    "Measurement",
    "Metric",
    "Performance",
    "RoleSlot",
    "Smoke",
    "StageReport",
    "Step",
    "changes",
    "failed",
    "html",
    "judge",
    "markdown",
    "next_step",
    "plan",
    "read_golden",
]
