"""Running the gateway."""

from __future__ import annotations

import logging
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer


def gateway(
    database_url: Annotated[
        str,
        typer.Option(
            envvar=["AIRFLOW__AIRLOCK__DATABASE_URL"],
            help="The registry, as [airlock] database_url names it.",
        ),
    ],
    folder: Annotated[
        Path, typer.Option(help="Its own: what Envoy is told stays there.", envvar="AIRLOCK_GATEWAY_FOLDER")
    ] = Path("~/.airlock/gateway"),
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
    inside: Annotated[
        bool,
        typer.Option(
            "--inside",
            help="Ask deployments where they answer inside their runtime's network, in which this runs.",
        ),
    ] = False,
    name: Annotated[
        str, typer.Option(help="Of this gateway, among others of the same registry.")
    ] = socket.gethostname(),
) -> None:
    """Give each service one URL for each stage: http://ADDRESS:PORT/<service>/<STAGE>/…"""
    from airlock.gateway.gateway import Gateway
    from airlock.gateway.program import find_envoy
    from airlock.gateway.proxy import Proxy
    from airlock.registry import Registry

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asked_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: asked_to_end.append(received))
    proxy = Proxy(find_envoy(), folder.expanduser().resolve(), address=address, port=port, inside=inside)
    registry = Registry(database_url)
    Gateway(registry, proxy, name).run(lambda: bool(asked_to_end))
    registry.close()
