"""What Envoy is told: pure functions from the registry's routes to Envoy's configuration (API version 3).

One *cluster* is one deployment. One *route* is one service at one stage: it divides its requests among
clusters by weight. Both come from files that Envoy watches, so that nothing is ever restarted.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airlock.registry.records import Backend, Route

Document = dict[str, Any]

CLUSTERS = "clusters.json"
ROUTES = "routes.json"
ADMIN = "admin.sock"

HEALTH = "/-/health"
"""Answers 200 as long as the gateway runs."""

_TYPE = "type.googleapis.com/envoy."
_ROUTE_TABLE = "services"
# Queries stay out of logs and answers: they may hold what is to be scored.
_PATH = "%PATH(NQ:ORIG_OR_PATH)%"
_ANSWER_WITHIN = "60s"
_MOST_CONNECTIONS = 50_000
_NAMES: Document = {"query_timeout_seconds": 2, "query_tries": 2}
"""A name that nobody tells holds up its own deployment, and a start of Envoy, for seconds, not minutes."""


def bootstrap(folder: Path, address: str, port: int) -> Document:
    """What Envoy starts with.

    :param folder: where the files are that it watches, and its own administration socket.
    :param address: to listen on.
    """
    return {
        "node": {"id": "airlock", "cluster": "airlock"},
        "admin": {"address": {"pipe": {"path": str(folder / ADMIN), "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _watched(folder, CLUSTERS)},
        "typed_dns_resolver_config": {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": f"{_TYPE}extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                **_NAMES,
            },
        },
        "static_resources": {"listeners": [_listener(folder, address, port)]},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_TYPE}extensions.resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": _MOST_CONNECTIONS,
                    },
                }
            ]
        },
    }


def clusters(backends: Iterable[Backend], *, inside: bool) -> list[Document]:
    """A cluster for each deployment.

    :param inside: ask the deployments where they answer inside their runtime's network.
    """
    urls = {backend.deployment_id: backend.inside if inside else backend.url for backend in backends}
    return [_cluster(name, url) for name, url in sorted(urls.items())]


def route_table(routes: Sequence[Route]) -> list[Document]:
    """The one table of all routes."""
    table = [
        {"match": {"path": HEALTH}, "direct_response": _answer(200, {"status": "ok"})},
        *(part for route in routes for part in _parts(route)),
        {
            "match": {"prefix": "/"},
            "direct_response": _answer(
                404,
                _not_found(
                    f"Nothing is online at {_PATH}. Ask for /<service>/<STAGE>/…, like /cc-fraud/PROD/score."
                ),
            ),
        },
    ]
    return [
        {
            "@type": f"{_TYPE}config.route.v3.RouteConfiguration",
            "name": _ROUTE_TABLE,
            "virtual_hosts": [{"name": "services", "domains": ["*"], "routes": table}],
        }
    ]


def discovery(version: str, resources: Sequence[Document]) -> str:
    """The content of a file that Envoy watches."""
    return json.dumps({"version_info": version, "resources": list(resources)})


def _watched(folder: Path, name: str) -> Document:
    source = {"path": str(folder / name), "watched_directory": {"path": str(folder)}}
    return {"path_config_source": source, "resource_api_version": "V3"}


def _listener(folder: Path, address: str, port: int) -> Document:
    """As Envoy's guide for servers at the edge has it: paths made plain, every wait bounded."""
    manager = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "rds": {"route_config_name": _ROUTE_TABLE, "config_source": _watched(folder, ROUTES)},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{_TYPE}extensions.filters.http.router.v3.Router"},
            }
        ],
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "server_header_transformation": "PASS_THROUGH",
        "common_http_protocol_options": {"idle_timeout": "75s"},
        "request_headers_timeout": "10s",
        "request_timeout": _ANSWER_WITHIN,
        "stream_idle_timeout": _ANSWER_WITHIN,
        "local_reply_config": {"mappers": [_own_failures()]},
        "access_log": [
            {
                "name": "requests",
                "typed_config": {
                    "@type": f"{_TYPE}extensions.access_loggers.stream.v3.StdoutAccessLog",
                    "log_format": {"json_format": _LOG},
                },
            }
        ],
    }
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": address, "port_value": port}},
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


_LOG = {
    "time": "%START_TIME%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "path": _PATH,
    "status": "%RESPONSE_CODE%",
    "seconds": "%DURATION%",
    "to": "%UPSTREAM_CLUSTER_RAW%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "flags": "%RESPONSE_FLAGS%",
}


def _own_failures() -> Document:
    """The gateway's own failures in the form in which models' servers tell theirs."""
    return {
        "filter": {
            "response_flag_filter": {"flags": ["UH", "UF", "UC", "UT", "UO", "URX", "LR", "UR", "NC", "SI"]}
        },
        "body_format_override": {
            "json_format": {
                "error": "unreachable",
                "message": f"No deployment answers at {_PATH}: %RESPONSE_CODE_DETAILS%.",
            }
        },
    }


def _parts(route: Route) -> list[Document]:
    path = f"/{route.service}/{route.stage}"
    if not any(backend.percent for backend in route.backends):
        message = f"Nothing of {route.service} is online in {route.stage}."
        nothing = _answer(404, _not_found(message))
        return [{"match": {"path_separated_prefix": path}, "direct_response": nothing}]
    to = {"route": _action(route)}
    added = [
        {
            "header": {"key": "x-forwarded-prefix", "value": path},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    ]
    return [
        # What is there for Airlock is not for applications.
        {
            "match": {"path_separated_prefix": f"{path}/airlock"},
            "direct_response": _answer(404, _not_found("This is not for applications.")),
        },
        {"match": {"prefix": f"{path}/"}, **to, "request_headers_to_add": added},
        {"match": {"path": path}, **to, "request_headers_to_add": added},
    ]


def _action(route: Route) -> Document:
    weights = [{"name": backend.deployment_id, "weight": backend.percent} for backend in route.backends]
    weighted: Document = {"clusters": weights}
    action: Document = {
        "weighted_clusters": weighted,
        "prefix_rewrite": "/",
        "timeout": _ANSWER_WITHIN,
        # Only what no deployment has seen is sent again.
        "retry_policy": {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 2},
    }
    if route.sticky is not None:
        weighted["use_hash_policy"] = True
        action["hash_policy"] = [{"header": {"header_name": route.sticky}}]
    if route.mirror is not None:
        share = {"numerator": route.mirror.percent, "denominator": "HUNDRED"}
        action["request_mirror_policies"] = [
            {"cluster": route.mirror.deployment_id, "runtime_fraction": {"default_value": share}}
        ]
    return action


def _cluster(name: str, url: str) -> Document:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = {"socket_address": {"address": host, "port_value": port}}
    options = f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions"
    limits = {
        "max_connections": _MOST_CONNECTIONS,
        "max_pending_requests": _MOST_CONNECTIONS,
        "max_requests": _MOST_CONNECTIONS,
    }
    cluster: Document = {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "3s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                # Less than the host's own, so that it never closes a connection on a request.
                "common_http_protocol_options": {"idle_timeout": "60s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
    if parts.scheme == "https":
        cluster["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{_TYPE}extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": host,
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": ssl.get_default_verify_paths().cafile},
                        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
                    }
                },
            },
        }
    return cluster


def _not_found(message: str) -> Document:
    return {"error": "not_found", "message": message}


def _answer(status: int, body: Document) -> Document:
    return {"status": status, "body_format": {"json_format": body}}
