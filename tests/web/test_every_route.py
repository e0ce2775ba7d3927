"""No route of Airlock's is open: each asks who is there, whether they may, and where the request comes from.

A plugin's FastAPI routes are public in Airflow unless each of them asks. These tests walk whatever the
application has, so that a new route without its guards fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from airlock.web.app import create_app
from airlock.web.guards import (
    passage_to_decide,
    passage_to_read,
    requires_configuration,
    same_origin,
    snapshot_to_read,
)
from tests.web.application import AsUser

# Every person who is logged in may see these: they hold nothing of any service.
OF_NO_SERVICE = {"/api/v1/me", "/api/v1/openapi.json", "/api/v1/schemas/{kind}"}

OWN_RIGHTS = {passage_to_decide, passage_to_read, requires_configuration, snapshot_to_read}

READS = {"GET", "HEAD"}

ROUTES = [route for route in create_app().routes if isinstance(route, APIRoute)]

WRITES = [route for route in ROUTES if not route.methods <= READS]

# Reads bytes and changes nothing; a POST because it takes long.
WRITES_FOR_VIEWERS = {"/api/v1/snapshots/{reference}/verify"}

# Says 404 before it says 403 where there is no such passage: test_decisions.py has one.
OF_A_PASSAGE = {"/api/v1/passages/{passage_id}/decisions"}


def each(routes: list[APIRoute]) -> pytest.MarkDecorator:
    names = [f"{'/'.join(sorted(route.methods))} {route.path}" for route in routes]
    return pytest.mark.parametrize("route", routes, ids=names)


EACH_ROUTE = each(ROUTES)


def guards_of(dependant: Dependant) -> Iterator[Any]:
    """Everything that runs before a route, however deep."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from guards_of(inner)


def name_of(guard: Any) -> str:
    return f"{guard.__module__}.{getattr(guard, '__qualname__', type(guard).__qualname__)}"


def test_there_is_nothing_but_routes_with_guards(routes: list[Any]) -> None:
    """No pages of FastAPI's own, no mounts, no static files: those would be public."""
    assert {type(route) for route in routes} == {APIRoute}
    assert len(routes) == len(ROUTES) > 20


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", "docs/oauth2-redirect"])
def test_the_pages_of_fastapi_are_not_there(path: str, anonymous: TestClient) -> None:
    assert anonymous.get(f"/airlock/{path}").status_code == 404


@EACH_ROUTE
def test_a_route_depends_on_the_user_and_on_the_origin(route: APIRoute) -> None:
    names = {name_of(guard) for guard in guards_of(route.dependant)}

    assert "airflow.api_fastapi.core_api.security.get_user" in names
    assert same_origin in set(guards_of(route.dependant))


@EACH_ROUTE
def test_a_route_depends_on_a_right(route: APIRoute) -> None:
    guards = set(guards_of(route.dependant))
    from_airflow = any(".requires_access_" in name_of(guard) for guard in guards)

    assert from_airflow or guards & OWN_RIGHTS or route.path in OF_NO_SERVICE


@EACH_ROUTE
def test_a_route_that_writes_is_logged_in_airflows_audit_log(route: APIRoute) -> None:
    names = {name_of(guard) for guard in guards_of(route.dependant)}
    is_logged = "airflow.api_fastapi.logging.decorators.action_logging.<locals>.log_action" in names

    assert is_logged == (not route.methods <= READS)


def ask(client: TestClient, route: APIRoute, **headers: str) -> int:
    path = "/airlock" + route.path
    examples = {"sha256": "a" * 64, "name": "local", "kind": "service", "stage": "LAB", "run_id": "model@1"}
    for parameter in route.dependant.path_params:
        path = path.replace(f"{{{parameter.name}}}", examples.get(parameter.name, "some-name"))
    for flat in {inner.name for guard in route.dependant.dependencies for inner in guard.path_params}:
        path = path.replace(f"{{{flat}}}", examples.get(flat, "some-name"))
    (method,) = route.methods
    given = {"Content-Type": "application/json", **headers}
    answer: int = client.request(method, path, content=b"{}", headers=given).status_code
    return answer


@EACH_ROUTE
def test_nobody_gets_in_without_a_login(route: APIRoute, anonymous: TestClient) -> None:
    assert ask(anonymous, route) == 401


@EACH_ROUTE
def test_nobody_gets_in_with_a_forged_token(route: APIRoute, anonymous: TestClient) -> None:
    assert ask(anonymous, route, Authorization="Bearer e30.e30.e30") == 403


@each(WRITES)
def test_another_site_cannot_make_a_browser_write(route: APIRoute, as_user: AsUser) -> None:
    token = as_user("ada").headers["Authorization"].removeprefix("Bearer ")
    browser = TestClient(as_user("ada").app, cookies={"_token": token})

    assert ask(browser, route, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert ask(browser, route, **{"Sec-Fetch-Site": "same-site"}) == 403
    assert ask(browser, route, Origin="http://evil.example.org") == 403
    assert ask(browser, route, **{"Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"}) == 415
    assert ask(browser, route, **{"Sec-Fetch-Site": "same-origin"}) not in (401, 403, 415)


@each([route for route in WRITES if route.path not in WRITES_FOR_VIEWERS | OF_A_PASSAGE])
def test_a_viewer_changes_nothing(route: APIRoute, as_user: AsUser) -> None:
    assert ask(as_user("vera"), route) == 403
