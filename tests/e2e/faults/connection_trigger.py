"""A trigger that asks for an Airflow connection where triggers of Airlock ask runtimes: in a thread."""

from __future__ import annotations

from typing import Any

from airlock.orchestration.polling import QUESTIONS, Ask, PollTrigger


def _connection_is_known(name: str, host: str, password: str) -> Ask:
    from airflow.sdk import BaseHook

    def is_known() -> bool:
        connection = BaseHook.get_connection(name)
        return (connection.host, connection.password) == (host, password)

    return is_known


QUESTIONS["connection is known"] = _connection_is_known


class ConnectionTrigger(PollTrigger):
    """The same trigger, in a module of which the triggerer also gets the question."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "connection_trigger.ConnectionTrigger", super().serialize()[1]
