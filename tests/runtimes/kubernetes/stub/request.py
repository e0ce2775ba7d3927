"""One request to the API server: what its address asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .access import Wish
from .answers import Refusal, bad_request
from .resources import RESOURCES, Resource

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True)
class Target:
    """What a path names.

    :param rest: the path behind ``/proxy``.
    """

    resource: Resource
    namespace: str
    name: str
    subresource: str = ""
    rest: str = ""


@dataclass(frozen=True)
class Request:
    """Method, address and body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, method: str, address: str, headers: dict[str, str], body: bytes) -> Request:
        """Take an address apart."""
        parts = urlsplit(address)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return cls(method, parts.path, query, headers, body)

    def document(self) -> Any:
        """The body; an apply may be written in YAML.

        :raises Refusal: it is neither.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            pass
        import yaml

        try:
            return yaml.safe_load(self.body)
        except yaml.YAMLError as error:
            raise bad_request(f"the body of the request was in an unknown format: {error}") from None

    @property
    def is_dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"

    @property
    def is_apply(self) -> bool:
        """Whether this is a server-side apply."""
        kind = self.headers.get("content-type", "").split(";")[0]
        return self.method == "PATCH" and kind == "application/apply-patch+yaml"

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch", "") in ("1", "true", "True")

    @property
    def manager(self) -> str:
        """The field manager; without one, the beginning of the user agent."""
        return self.query.get("fieldManager") or self.headers.get("user-agent", "unknown").split("/")[0]

    def target(self) -> Target | None:
        """What the path names, or ``None`` for those that name no objects.

        :raises Refusal: there is no such kind.
        """
        steps = [unquote(step) for step in self.path.strip("/").split("/")]
        if steps[0] == "api" and len(steps) >= 3:
            group, version, steps = "", steps[1], steps[2:]
        elif steps[0] == "apis" and len(steps) >= 4:
            group, version, steps = steps[1], steps[2], steps[3:]
        else:
            return None
        namespace = ""
        if steps[0] == "namespaces" and len(steps) > 2 and (group, version, steps[2]) in RESOURCES:
            namespace, steps = steps[1], steps[2:]
        resource = RESOURCES.get((group, version, steps[0]))
        if resource is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        name = steps[1] if len(steps) > 1 else ""
        subresource = steps[2] if len(steps) > 2 else ""
        if subresource and subresource not in resource.subresources:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        rest = "/" + "/".join(self.path.strip("/").split("/proxy", 1)[1:]).lstrip("/")
        if subresource == "proxy" and self.path.endswith("/") and not rest.endswith("/"):
            rest += "/"
        return Target(resource, namespace, name, subresource, rest)

    def wish(self, target: Target) -> Wish:
        """What the asker must be allowed to do."""
        verb = _VERBS.get(self.method, "")
        if self.method in ("GET", "HEAD"):
            verb = "get" if target.name else "watch" if self.is_watch else "list"
        elif self.method == "DELETE":
            verb = "delete" if target.name else "deletecollection"
        if target.subresource == "proxy":
            verb = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}.get(
                self.method, "delete"
            )
        namespace = target.namespace
        if target.resource.plural == "namespaces":
            namespace = target.name
        name = target.name.split(":")[0] if target.subresource == "proxy" else target.name
        return Wish(verb, target.resource.group, target.resource.plural, namespace, name, target.subresource)
