"""The web application around a model: routes, readiness, limits, measurements."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as WebRequest
from starlette.responses import Response
from starlette.routing import Route

from airlock_host.exceptions import HostError
from airlock_host.models import Model
from airlock_host.serving.answers import RecordedAnswers
from airlock_host.serving.connections import REFUSED, Limits
from airlock_host.serving.dispatcher import Dispatcher
from airlock_host.serving.invocations import invocations
from airlock_host.serving.measurements import CONTENT_TYPE, Measurements
from airlock_host.serving.messages import Answer, Protocol, Refused, Request, error_answer, refuse
from airlock_host.serving.openapi import ANSWERS_PATH, describe
from airlock_host.serving.plain import plain
from airlock_host.serving.v2 import V2
from airlock_host.serving.waiting import Waiter, WaitingRequests
from airlock_host.snapshot import Deployment, Snapshot

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,200}")

Endpoint = Callable[[WebRequest], Awaitable[Response]]


class Application:
    """Serves one snapshot.

    :ivar model: ``None`` until it is loaded and warm; requests to score are answered 503 until then.
    :ivar headers: what every answer carries.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        deployment: Deployment,
        limits: Limits | None = None,
        *,
        threads: int = 1,
        record_answers: int = 0,
    ) -> None:
        """:param threads: how many calls of the model may run at once.
        :param record_answers: how many answers are kept to be compared; 0 for none.
        """
        self.snapshot = snapshot
        self.deployment = deployment
        self.model: Model | None = None
        self.dispatcher = Dispatcher(threads)
        self.measurements = Measurements(deployment, snapshot.outputs)
        self._waiting = WaitingRequests(self.measurements.unanswered)
        self._limits = limits or Limits()
        self._answers = RecordedAnswers(record_answers) if record_answers else None
        who = {
            "x-airlock-snapshot": deployment.snapshot,
            "x-airlock-digest": deployment.digest,
            "x-airlock-deployment": deployment.deployment,
        }
        self.headers = {name: value for name, value in who.items() if value}
        self.asgi = Starlette(
            routes=self._routes(),
            exception_handlers={HTTPException: self._no_such_route, Exception: self._broken},
        )
        # /score/ is no path; a redirection would also be to wherever the client's Host header says.
        self.asgi.router.redirect_slashes = False

    def _routes(self) -> list[Route]:
        v2 = V2(self.snapshot, self.deployment)
        infer = self._scoring("infer", v2.infer)
        routes = [
            Route("/score", self._scoring("score", plain(self.snapshot.inputs)), methods=["POST"]),
            Route(
                "/invocations",
                self._scoring("invocations", invocations(self.snapshot.inputs)),
                methods=["POST"],
            ),
            Route("/ping", self._health("status", ready=True)),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._fixed(self._describe)),
            Route("/v2", self._fixed(v2.server)),
            Route("/v2/health/live", self._health("live", ready=False)),
            Route("/v2/health/ready", self._health("ready", ready=True)),
        ]
        for prefix in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            routes += [
                Route(f"{prefix}/infer", infer, methods=["POST"]),
                Route(f"{prefix}/ready", self._health("ready", ready=True, of=v2.check_model)),
                Route(prefix, self._fixed(v2.metadata)),
            ]
        if self._answers is not None:
            routes.append(Route(ANSWERS_PATH, self._recorded(self._answers)))
        return routes

    def _describe(self, _: dict[str, str]) -> dict[str, Any]:
        return describe(self.snapshot, self.deployment, records_answers=self._answers is not None)

    def _scoring(self, endpoint: str, protocol: Protocol) -> Endpoint:
        """An endpoint that scores what ``protocol`` reads from the request."""

        async def handle(web_request: WebRequest) -> Response:
            try:
                if self.model is None:
                    raise Refused(503, "not_ready", "the model is still loading")
                body = await self._body(web_request)
            except HostError as error:
                started, answer, is_wanted = time.perf_counter(), refuse(error), True
            else:
                started = time.perf_counter()
                request = Request(body, web_request.headers, web_request.path_params)
                work = partial(_work, protocol, request, self.model)
                waiter = Waiter(endpoint, web_request.scope, started)
                self._waiting.begin(waiter)
                try:
                    answer = await self.dispatcher.run(work, len(body))
                finally:
                    is_wanted = self._waiting.end(waiter)
            if answer.scored is not None:
                self.measurements.scored(answer.scored.count, answer.scored.first_number)
            if answer.refusal is not None:
                self.measurements.refused(answer.refusal)
            if is_wanted:
                self.measurements.request(endpoint, answer.status, time.perf_counter() - started)
            if self._answers is not None and (request_id := _request_id(web_request)) is not None:
                self._answers.add(request_id, endpoint, answer.status, answer.scored)
            return self._response(web_request, answer)

        return handle

    def _fixed(self, content: Callable[[dict[str, str]], object]) -> Endpoint:
        """An endpoint that answers with JSON made from the path's parameters."""

        async def handle(web_request: WebRequest) -> Response:
            try:
                return self._response(web_request, Answer(orjson.dumps(content(web_request.path_params))))
            except HostError as error:
                return self._response(web_request, refuse(error))

        return handle

    def _health(
        self, name: str, *, ready: bool, of: Callable[[dict[str, str]], None] | None = None
    ) -> Endpoint:
        """An endpoint that answers 200, or, where it must be ``ready`` and is not, 503."""

        async def handle(web_request: WebRequest) -> Response:
            try:
                if of is not None:
                    of(web_request.path_params)
            except HostError as error:
                return self._response(web_request, refuse(error))
            good = self.model is not None or not ready
            return self._response(
                web_request, Answer(orjson.dumps({name: good}), status=200 if good else 503)
            )

        return handle

    def _recorded(self, answers: RecordedAnswers) -> Endpoint:
        """An endpoint that gives the recorded answers, page by page."""

        async def handle(web_request: WebRequest) -> Response:
            try:
                after = _number(web_request, "after", default=0, least=0, most=2**53)
                limit = _number(web_request, "limit", default=1000, least=1, most=10_000)
            except HostError as error:
                return self._response(web_request, refuse(error))
            return self._response(web_request, Answer(orjson.dumps(answers.page(after, limit))))

        return handle

    async def _metrics(self, web_request: WebRequest) -> Response:
        self._waiting.look(time.perf_counter())
        return self._response(web_request, Answer(self.measurements.text(), CONTENT_TYPE))

    async def _body(self, web_request: WebRequest) -> bytes:
        """The request's body.

        :raises Refused: 413, it is larger than allowed and not read on; or it did not come to its end.
        """
        announced = web_request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._limits.body:
            raise self._too_large()
        chunks, size, more = [], 0, True
        while more:
            chunk, more = await _received(web_request)
            size += len(chunk)
            if size > self._limits.body:
                raise self._too_large()
            chunks.append(chunk)
        return b"".join(chunks)

    def _too_large(self) -> Refused:
        return Refused(
            413,
            "too_large",
            f"the body is larger than {self._limits.body} bytes; send fewer records in one request",
        )

    def _response(
        self, web_request: WebRequest, answer: Answer, more_headers: Mapping[str, str] | None = None
    ) -> Response:
        headers = {**self.headers, **answer.headers, **(more_headers or {})}
        request_id = _request_id(web_request)
        if request_id is not None:
            headers["x-request-id"] = request_id
        return Response(answer.body, status_code=answer.status, headers=headers, media_type=answer.media_type)

    async def _no_such_route(self, web_request: WebRequest, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code == 405:
            message = f"{web_request.url.path} does not take {web_request.method}"
        else:
            message = f"there is nothing at {web_request.url.path}; /openapi.json lists what there is"
        answer = error_answer(error.status_code, "no_such_route", message)
        return self._response(web_request, answer, error.headers)

    async def _broken(self, web_request: WebRequest, error: Exception) -> Response:
        """A fault of the host's own; Starlette raises it on, so that it is logged."""
        self.measurements.refused("host_failed")
        message = f"the host failed: {type(error).__name__}"
        return self._response(web_request, error_answer(500, "host_failed", message))


async def _received(web_request: WebRequest) -> tuple[bytes, bool]:
    """The next piece of a request's body, and whether more will come.

    :raises Refused: its connection refused it, as too slow for instance, or the client left.
    """
    message = await web_request.receive()
    if message["type"] == "http.disconnect":
        left = Refused(400, "client_left", "the client left before its request was whole")
        raise web_request.scope.get(REFUSED, left)
    return message.get("body", b""), message.get("more_body", False)


def _request_id(web_request: WebRequest) -> str | None:
    """The id that whoever sent a request on gave it; one that is none is as good as none."""
    for name, value in web_request.scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None
    return None


def _number(web_request: WebRequest, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number in the query.

    :raises Refused: 400, it is none, or out of its limits.
    """
    text = web_request.query_params.get(name, str(default))
    number = int(text) if re.fullmatch("[0-9]{1,16}", text) else -1
    if not least <= number <= most:
        raise Refused(400, "bad_request", f"{name!r} must be a whole number from {least} to {most}")
    return number


def _work(protocol: Protocol, request: Request, model: Model) -> Answer:
    try:
        return protocol(request, model.score)
    except HostError as error:
        if error.__cause__ is not None:
            log.error("%s", error, exc_info=error.__cause__)
        return refuse(error)
