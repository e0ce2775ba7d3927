"""Answers that are given on Airflow's own *Required Actions* page (or its REST API) to a gate.

A root middleware of the API server sees the one route by which Airflow takes answers, and puts the
decision into the registry **before** Airflow sees the answer:

- a decision that does not count is refused at once, with the reason, and Airflow's request stays open;
- a registry that cannot be written refuses the answer (503): Airflow never holds an answer that the ledger
  does not have;
- an answer that Airflow then does not take, because another person's is being worked on (409) or its
  database is busy (5xx), has been given nevertheless. It is acknowledged; the gate reads the registry anyway
  as it works on the other answer, and is woken in the other case.

The gate records the answer once more as it resumes, which finds the row that is here already.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airlock.exceptions import AirlockError, Conflict, NotFound
from airlock.orchestration.configuration import open_registry
from airlock.orchestration.judge import VERDICTS, give_decision
from airlock.registry.records import DecisionRecord, GateRecord, Verdict
from airlock.web.airflow_private import BaseUser, DagAccessEntity, may, name_of, user_of
from airlock.web.gate_answers import settled, wake

log = logging.getLogger(__name__)

_ROUTE = re.compile(
    r"/api/v2/dags/(?P<dag_id>[^/]+)/dagRuns/(?P<run_id>[^/]+)/taskInstances/(?P<task_id>[^/]+)"
    r"/-?\d+/hitlDetails/?$"
)
_ASKING = (".gate", ".rollout")
"""How the builder names tasks that ask. It decides only while the registry, which knows them, is away."""

_LARGEST_BODY = 1024 * 1024

_PATIENCE_SECONDS = 6.0
"""How long an answer waits for a gate that is about to park."""


@dataclass(frozen=True)
class Answer:
    """What a person answered on Airflow's page."""

    user: BaseUser
    verdict: Verdict
    option: str
    params: dict[str, Any]

    @property
    def comment(self) -> str:
        """The comment that the gate's form asks for."""
        return str(self.params.get("comment") or "")


class RequiredActions:
    """ASGI middleware around Airflow's API server; other requests pass at the cost of three comparisons."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PATCH" or "/hitlDetails" not in scope["path"]:
            await self._app(scope, receive, send)
            return
        route = _ROUTE.search(scope["path"])
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            gate = await anyio.to_thread.run_sync(
                _open_gate, route["dag_id"], route["run_id"], route["task_id"]
            )
        except (SQLAlchemyError, AirlockError):
            if not route["task_id"].endswith(_ASKING):
                await self._app(scope, receive, send)
                return
            log.exception("The registry cannot be read; an answer to %s was refused.", scope["path"])
            await _unrecorded()(scope, receive, send)
            return
        if gate is None:
            await self._app(scope, receive, send)
            return
        await self._answer_gate(gate, scope, receive, send)

    async def _answer_gate(self, gate: GateRecord, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await _refusal(413, "The answer is too long.")(scope, receive, send)
            return
        answer = await _understand(gate, scope, body)
        if answer is None:
            # Airflow says what is wrong with it: no login, no right, no such option.
            await self._app(scope, _again(body, receive), send)
            return
        try:
            decision = await anyio.to_thread.run_sync(_record, gate, answer)
        except (NotFound, Conflict) as error:
            await _refusal(409, str(error))(scope, receive, send)
            return
        except (AirlockError, SQLAlchemyError):
            log.exception("The registry cannot be written; an answer to %s was refused.", scope["path"])
            await _unrecorded()(scope, receive, send)
            return
        if not decision.accepted:
            await _refusal(409, f"This does not count: {decision.reason}")(scope, receive, send)
            return
        await settled(gate, patience=_PATIENCE_SECONDS)
        status_code = await self._pass_on(answer, scope, _again(body, receive), send)
        if status_code >= 500:
            await wake(gate, answer.user, answer.verdict)

    async def _pass_on(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> int:
        """Give the answer to Airflow; where it does not take it, acknowledge in its place.

        :returns: Airflow's status code.
        """
        status_code = 200

        async def unless_not_taken(message: Message) -> None:
            nonlocal status_code
            if message["type"] == "http.response.start":
                status_code = message["status"]
            if not _not_taken(status_code):
                await send(message)

        await self._app(scope, receive, unless_not_taken)
        if _not_taken(status_code):
            await _acknowledgement(answer)(scope, receive, send)
        return status_code


def _not_taken(status_code: int) -> bool:
    return status_code == 409 or status_code >= 500


def _open_gate(dag_id: str, run_id: str, task_id: str) -> GateRecord | None:
    gate = open_registry().gates_open.find(dag_id, run_id, task_id)
    return gate if gate is not None and gate.closed_at is None else None


def _record(gate: GateRecord, answer: Answer) -> DecisionRecord:
    return give_decision(
        open_registry(),
        passage_id=gate.passage_id,
        stage=gate.stage,
        user=name_of(answer.user),
        verdict=answer.verdict,
        comment=answer.comment,
        channel="airflow",
    )


async def _understand(gate: GateRecord, scope: Scope, body: bytes) -> Answer | None:
    """The answer, if it is one that Airflow would take: from somebody who may, one of the gate's options."""
    try:
        document = json.loads(body)
        (option,) = document["chosen_options"]
        verdict = VERDICTS[option]
        params = dict(document.get("params_input") or {})
    except (ValueError, TypeError, KeyError):
        return None
    user = await user_of(scope)
    if user is None or not await anyio.to_thread.run_sync(_may_answer, user, gate):
        return None
    return Answer(user, verdict, option, params)


def _may_answer(user: BaseUser, gate: GateRecord) -> bool:
    return may(user, "PUT", gate.dag_id, DagAccessEntity.HITL_DETAIL)


async def _read(receive: Receive) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > _LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that has been read already, and then what comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _acknowledgement(answer: Answer) -> JSONResponse:
    """What Airflow itself answers when it takes an answer."""
    user = answer.user
    return JSONResponse(
        {
            "responded_by": {"id": str(user.get_id()), "name": name_of(user)},
            "responded_at": datetime.now(UTC).isoformat(),
            "chosen_options": [answer.option],
            "params_input": answer.params,
        }
    )


def _refusal(status_code: int, detail: str) -> JSONResponse:
    """In the shape of Airflow's errors, which its page shows to the person."""
    return JSONResponse({"detail": detail}, status_code=status_code)


def _unrecorded() -> JSONResponse:
    # Made anew each time: middlewares around this one write their headers into it.
    return _refusal(
        503,
        "Airlock's registry cannot be reached, so this was not taken. Please answer again in a moment.",
    )
