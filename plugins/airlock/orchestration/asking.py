"""A task that asks people on Airflow's *Required Actions* page, and goes by what the registry says.

Airflow's request is the face; the registry is the judge. The task parks in ``awaiting_input``, and
each time it wakes (an answer, the periodic look, a retry after Airflow lost an answer) it reads the
registry afresh, so that nobody is asked twice and no decision is lost.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from airlock.orchestration.deployments import StageOperator
from airlock.orchestration.judge import VERDICTS, give_decision

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.registry.records import Verdict

COMMENT = Param("", type=["null", "string"], title="Comment", description="Why.")

# Airflow may fail a try whose answer comes while it books the parking (docs/decisions);
# each such try is repeated, and finds the decision in the registry.
PATIENT: dict[str, Any] = {"retries": 10, "retry_delay": timedelta(seconds=1)}


class AskingOperator(StageOperator, HITLOperator):
    """Base of the tasks that wait for people. Subclasses say what the ``question`` is called."""

    @property
    def question(self) -> str:
        """Under which name the registry keeps the decisions."""
        raise NotImplementedError

    def park(self, timeout: timedelta) -> NoReturn:
        """Leave the worker until somebody answers, or the time is over."""
        raise TaskAwaitingInput(method_name="execute_complete", timeout=timeout)

    def show_request(self, context: Context, body: str) -> None:
        """Put the request on Airflow's page.

        :param body: what stands above the buttons, in Markdown.
        """
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=body,
            multiple=False,
            params=self.serialized_params,
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """An answer, or the periodic look: record what was answered, and look at everything again."""
        chosen, user = event.get("chosen_options"), event.get("responded_by_user")
        if chosen and user:
            self._record(
                context, VERDICTS[chosen[0]], user["name"] or user["id"], event.get("params_input") or {}
            )
        return self.execute(context)

    def _record(self, context: Context, verdict: Verdict, user: str, answers: dict[str, Any]) -> None:
        """Usually this finds the decision that the API server wrote as it accepted the answer."""
        from airlock.orchestration.configuration import open_registry

        registry = open_registry()
        passage = registry.passages.by_run(self.dag_id, context["dag_run"].run_id)
        if passage is None or passage.state == "finished":
            return
        decision = give_decision(
            registry,
            passage_id=passage.id,
            stage=self.question,
            user=user,
            verdict=verdict,
            comment=str(answers.get("comment") or ""),
            channel="airflow",
        )
        if decision.state != "accepted":
            self.log.warning("The answer of %s does not count: %s", user, decision.reason)
