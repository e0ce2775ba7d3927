"""What people write: life cycles, services, runtimes, policies, roles and model descriptions."""

from airlock.spec import checks
from airlock.spec.base import Spec
from airlock.spec.checks import Check, CheckKind, Contract, Delta, Latency, Limit, Performance, Smoke
from airlock.spec.crosscheck import misfits
from airlock.spec.digest import canonical_json, digest, file_digest, short
from airlock.spec.guards import (
    AnswersGuard,
    ErrorRateGuard,
    Guard,
    GuardKind,
    LatencyGuard,
    MetricGuard,
    ScoreDistributionGuard,
)
from airlock.spec.lifecycle import Lifecycle, Stage
from airlock.spec.load import (
    Include,
    Source,
    load_include,
    load_lifecycle,
    load_model,
    load_service,
    service_index,
)
from airlock.spec.metrics import METRICS, Metric
from airlock.spec.model import ModelDescription
from airlock.spec.names import Mode
from airlock.spec.policy import Approval, Policy, Roles
from airlock.spec.rollout import BlueGreen, Canary, Direct, Guarded, Rollout, Shadow, SideBySide, Sticky
from airlock.spec.runtime import RuntimeSpec
from airlock.spec.runtime_options import (
    ContainerOptions,
    DockerOptions,
    Images,
    KubernetesOptions,
    LocalOptions,
    Publish,
    RuntimeOptions,
    TlsFiles,
    Volume,
)
from airlock.spec.schema import Field, FieldType
from airlock.spec.service import Dataset, Resources, Service
from airlock.spec.size import GiB, MiB

__all__ = [
    "METRICS",
    "AnswersGuard",
    "Approval",
    "BlueGreen",
    "Canary",
    "Check",
    "CheckKind",
    "ContainerOptions",
    "Contract",
    "Dataset",
    "Delta",
    "Direct",
    "DockerOptions",
    "ErrorRateGuard",
    "Field",
    "FieldType",
    "GiB",
    "Guard",
    "GuardKind",
    "Guarded",
    "Images",
    "Include",
    "KubernetesOptions",
    "Latency",
    "LatencyGuard",
    "Lifecycle",
    "Limit",
    "LocalOptions",
    "Metric",
    "MetricGuard",
    "MiB",
    "Mode",
    "ModelDescription",
    "Performance",
    "Policy",
    "Publish",
    "Resources",
    "Roles",
    "Rollout",
    "RuntimeOptions",
    "RuntimeSpec",
    "ScoreDistributionGuard",
    "Service",
    "Shadow",
    "SideBySide",
    "Smoke",
    "Source",
    "Spec",
    "Stage",
    "Sticky",
    "TlsFiles",
    "Volume",
    "canonical_json",
    "checks",
    "digest",
    "file_digest",
    "load_include",
    "load_lifecycle",
    "load_model",
    "load_service",
    "misfits",
    "service_index",
    "short",
]
