"""The API server: HTTP in front of the store."""

from __future__ import annotations

import dataclasses
import json
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import discovery, schema
from .access import Access, Wish
from .answers import Refusal, bad_request
from .patches import json_patch, merge_patch
from .proxy import Proxy
from .request import Request, Target
from .resources import Object, Resource
from .selectors import fits_fields, matches
from .store import Store

Answer = tuple[int, Any] | Iterator[bytes]
"""Code and document (or text), or lines that come as they happen."""

Control = Callable[[str, Any], Any]
"""What tests may tell the cluster that no API tells: see :mod:`.control`."""


class ApiServer(ThreadingHTTPServer):
    """Serves one cluster on loopback."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, store: Store, access: Access, proxy: Proxy, control: Control) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.api = Api(store, access, proxy, control)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed go without a word."""


class Api:
    """Answers requests."""

    def __init__(self, store: Store, access: Access, proxy: Proxy, control: Control) -> None:
        self._store = store
        self._access = access
        self._proxy = proxy
        self._control = control

    def answer(self, request: Request) -> Answer | Object:
        """:raises Refusal: as the API server says no."""
        user = self._access.user(request.headers.get("authorization", ""))
        if request.path in ("/readyz", "/livez", "/healthz"):
            return 200, "ok"
        if request.path.startswith("/stub/"):
            return 200, self._control(request.path.removeprefix("/stub/"), request.document())
        target = request.target()
        if target is None:
            found = discovery.answer(request.path)
            if found is None:
                raise Refusal(404, "NotFound", "the server could not find the requested resource")
            return 200, found
        self._access.check(user, request.wish(target))
        if target.subresource in ("log", "proxy", "token", "scale"):
            return self._subresource(request, target)
        if target.resource.group == "authorization.k8s.io":
            schema.validate(target.resource, request.document())
            return 201, self._review(user, target.resource, request.document())
        act = {"GET": self._read, "POST": self._create, "PUT": self._replace, "PATCH": self._patch}
        if request.is_apply and self._store.find(target.resource, target.namespace, target.name) is None:
            self._access.check(user, dataclasses.replace(request.wish(target), verb="create"))
        return act.get(request.method, self._delete)(request, target)

    # --- reading

    def _read(self, request: Request, target: Target) -> Answer:
        if target.name:
            return 200, self._store.get(target.resource, target.namespace, target.name)
        if request.is_watch:
            return self._watch(request, target)
        with self._store.lock:
            items = [item for item in self._items(target) if _is_wanted(request, item)]
            version = str(self._store.version)
        kind = {"kind": f"{target.resource.kind}List", "apiVersion": target.resource.api_version}
        return 200, kind | {"metadata": {"resourceVersion": version}, "items": items}

    def _items(self, target: Target) -> list[Object]:
        return self._store.all(target.resource, target.namespace or None)

    def _watch(self, request: Request, target: Target) -> Iterator[bytes]:
        ends = time.monotonic() + float(request.query.get("timeoutSeconds") or 1800)
        since = request.query.get("resourceVersion") or "0"
        with self._store.lock:
            seen = int(since)
            begin = [] if seen else [("ADDED", item) for item in self._items(target)]
            seen = seen or self._store.version
        yield from (_line(change, item) for change, item in begin if _is_wanted(request, item))
        while (left := ends - time.monotonic()) > 0:
            with self._store.changed:
                if self._store.version <= seen:
                    self._store.changed.wait(min(left, 1))
                fresh = [change for change in self._store.changes if change[0] > seen]
            for version, change, resource, item in fresh:
                seen = version
                here = not target.namespace or item["metadata"].get("namespace") == target.namespace
                named = not target.name or item["metadata"]["name"] == target.name
                if resource is target.resource and here and named and _is_wanted(request, item):
                    yield _line(change, item)

    def _review(self, user: str, resource: Resource, document: Object) -> Object:
        if resource.plural == "selfsubjectrulesreviews":
            rules = self._access.rules(user, document["spec"].get("namespace", ""))
            status = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
            return {**document, "status": status}
        asked = document["spec"].get("resourceAttributes") or {}
        wish = Wish(
            asked.get("verb", ""),
            asked.get("group", ""),
            asked.get("resource", ""),
            asked.get("namespace", ""),
            asked.get("name", ""),
            asked.get("subresource", ""),
        )
        return {**document, "status": {"allowed": self._access.allows(user, wish)}}

    # --- writing

    def _create(self, request: Request, target: Target) -> Answer:
        document = request.document()
        made = self._store.create(
            target.resource,
            self._namespace_of(target, document),
            document,
            request.manager,
            dry_run=request.is_dry_run,
        )
        return 201, made

    def _namespace_of(self, target: Target, document: Object) -> str:
        inside = (document.get("metadata") or {}).get("namespace") or target.namespace
        if target.resource.namespaced and inside != target.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        return target.namespace

    def _replace(self, request: Request, target: Target) -> Answer:
        document = request.document()
        self._check_name(target, document)
        document["metadata"]["namespace"] = target.namespace
        if target.subresource == "finalize":
            return 200, self._finalize(target, document)
        made = self._store.update(
            target.resource,
            document,
            request.manager,
            subresource=target.subresource,
            dry_run=request.is_dry_run,
        )
        return 200, made

    def _check_name(self, target: Target, document: Object) -> None:
        name = (document.get("metadata") or {}).get("name", target.name)
        if name != target.name:
            raise bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({target.name})"
            )
        document.setdefault("metadata", {})["name"] = target.name

    def _finalize(self, target: Target, document: Object) -> Object:
        def change(namespace: Object) -> None:
            namespace["spec"]["finalizers"] = document["spec"].get("finalizers")

        self._store.edit(target.resource, document, change)
        return document

    def _patch(self, request: Request, target: Target) -> Answer:
        kind = request.headers.get("content-type", "").split(";")[0]
        document = request.document()
        if request.is_apply:
            if not request.query.get("fieldManager"):
                raise Refusal(
                    422,
                    "Invalid",
                    'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: '
                    "is required for apply patch",
                )
            self._check_name(target, document)
            self._namespace_of(target, document)
            for field, wanted in (
                ("kind", target.resource.kind),
                ("apiVersion", target.resource.api_version),
            ):
                if document.get(field) != wanted:
                    raise bad_request(
                        f"{field} of the configuration is {document.get(field)!r}, not {wanted!r}"
                    )
            made, is_new = self._store.apply(
                target.resource,
                target.namespace,
                document,
                request.manager,
                force=request.query.get("force") in ("true", "True", "1"),
                subresource=target.subresource,
                dry_run=request.is_dry_run,
            )
            return (201 if is_new else 200), made
        with self._store.lock:
            before = self._store.get(target.resource, target.namespace, target.name)
            if kind == "application/json-patch+json":
                after = json_patch(before, document)
            elif kind in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
                after = merge_patch(before, document, target.resource if "strategic" in kind else None)
            else:
                raise Refusal(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
            return 200, self._store.update(
                target.resource,
                after,
                request.manager,
                subresource=target.subresource,
                dry_run=request.is_dry_run,
            )

    def _delete(self, request: Request, target: Target) -> Answer:
        options = request.document() if request.body else {}
        asked = {**options, **request.query}
        # For Jobs of batch/v1 the dependents stay unless something else is asked for.
        policy = asked.get("propagationPolicy") or (
            "Orphan"
            if target.resource.plural == "jobs" and asked.get("orphanDependents") is None
            else "Background"
        )
        grace = asked.get("gracePeriodSeconds")
        arguments: Any = {
            "policy": policy,
            "grace_seconds": None if grace is None else int(grace),
            "dry_run": request.is_dry_run or options.get("dryRun") == ["All"],
        }
        with self._store.lock:
            if not target.name:
                for item in self._items(target):
                    if _is_wanted(request, item):
                        metadata = item["metadata"]
                        self._store.delete(
                            target.resource, metadata.get("namespace", ""), metadata["name"], **arguments
                        )
                return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
            found = self._store.get(target.resource, target.namespace, target.name)
            wanted = options.get("preconditions") or {}
            for field in ("uid", "resourceVersion"):
                if wanted.get(field) not in (None, found["metadata"][field]):
                    raise Refusal(
                        409,
                        "Conflict",
                        f'Operation cannot be fulfilled on {target.resource.qualified} "{target.name}": '
                        f"the {field.upper()} in the precondition ({wanted[field]}) does not match the "
                        f"{field.upper()} in record ({found['metadata'][field]}). The object might have been "
                        "deleted and then recreated",
                    )
            return 200, self._store.delete(target.resource, target.namespace, target.name, **arguments)

    # --- subresources that are no part of the object

    def _subresource(self, request: Request, target: Target) -> Answer:
        if target.subresource == "log":
            pod = self._store.get(target.resource, target.namespace, target.name)
            return self._proxy.log(pod, request.query)
        if target.subresource == "proxy":
            return self._proxy.forward(request, target)
        if target.subresource == "token":
            self._store.get(target.resource, target.namespace, target.name)
            seconds = (request.document().get("spec") or {}).get("expirationSeconds") or 3600
            return 201, self._access.make_token(target.namespace, target.name, seconds)
        return self._scale(request, target)

    def _scale(self, request: Request, target: Target) -> Answer:
        with self._store.lock:
            found = self._store.get(target.resource, target.namespace, target.name)
            if request.method != "GET":
                replicas = request.document()["spec"]["replicas"]
                after = {**found, "spec": {**found["spec"], "replicas": replicas}}
                found = self._store.update(target.resource, after, request.manager, subresource="scale")
            return 200, {
                "kind": "Scale",
                "apiVersion": "autoscaling/v1",
                "metadata": {
                    key: found["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")
                },
                "spec": {"replicas": found["spec"]["replicas"]},
                "status": {"replicas": found.get("status", {}).get("replicas", 0)},
            }


def _is_wanted(request: Request, item: Object) -> bool:
    labels = item["metadata"].get("labels") or {}
    return matches(request.query.get("labelSelector"), labels) and fits_fields(
        request.query.get("fieldSelector"), item
    )


def _line(change: str, item: Object) -> bytes:
    return json.dumps({"type": change, "object": item}).encode() + b"\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request.of(self.command, self.path, headers, self.rfile.read(length))
        try:
            answer = self.server.api.answer(request)
        except Refusal as refusal:
            answer = refusal.code, refusal.status
        except Exception as error:
            traceback.print_exc()
            message = f"Internal error occurred: {error!r}"
            failure = Refusal(500, "InternalError", message)
            answer = failure.code, failure.status
        if isinstance(answer, tuple):
            self._send(*answer)
        else:
            self._stream(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _send(self, code: int, content: Any) -> None:
        kind, extra = "application/json", {}
        if hasattr(content, "headers"):  # of a server behind the proxy
            kind, extra, body = content.kind, content.headers, content.body
        elif isinstance(content, (str, bytes)):
            kind = "text/plain"
            body = content.encode() if isinstance(content, str) else content
        else:
            body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("content-type", kind)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, lines: Any) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for line in lines:
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the log of the cluster is for what goes wrong."""
