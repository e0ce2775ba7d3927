"""Buttons on a task's page in Airflow that lead somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey


class TaskLink(BaseOperatorLink):
    """Leads to an address that the task found out while it ran.

    :param name: what stands on the button.
    :param xcom_key: under which the task keeps the address.
    """

    name = ""
    xcom_key = ""

    def __init__(self, name: str, xcom_key: str) -> None:
        self.name = name
        self.xcom_key = xcom_key

    def set(self, context: Context, address: str) -> None:
        """Say where the button leads."""
        context["ti"].xcom_push(key=self.xcom_key, value=address)

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        from airflow.sdk.execution_time.xcom import XCom

        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or "")


ENDPOINT = TaskLink("Endpoint", "endpoint")
REPORT = TaskLink("Report", "report")
