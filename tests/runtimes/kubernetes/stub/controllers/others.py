"""Smaller controllers: quota usage, disruption budgets, autoscalers, claims, and pods of lost nodes."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal

from ..node.kubelet import NODE
from ..quantities import written
from ..quota import COUNTED, used_of
from ..selectors import fits_object
from ..store import Store
from .pods import is_ready, portion, set_condition

_NO_SCALE = (
    'the HPA controller was unable to get the target\'s current scale: deployments.apps "{name}" not found'
)
_HAS_SCALE = "the HPA controller was able to get the target's current scale"
_NO_METRICS = (
    "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics "
    "for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the "
    "requested resource (get pods.metrics.k8s.io)"
)


class Quotas:
    """``status.used`` of resource quotas."""

    def run(self, store: Store) -> None:
        """One round."""
        for quota in store.all("resourcequotas"):
            where, hard = quota["metadata"]["namespace"], quota["spec"].get("hard") or {}
            used: dict[str, Decimal] = {}
            for resource in COUNTED:
                used |= used_of(resource, store.all(resource, where))
            told = {name: written(used.get(name, Decimal(0)), name) for name in hard}
            store.set_status("resourcequotas", quota, {"hard": hard, "used": told})


class Disruption:
    """How many pods of a budget may be disturbed."""

    def run(self, store: Store) -> None:
        """One round."""
        for budget in store.all("poddisruptionbudgets"):
            spec = budget["spec"]
            pods = [
                pod
                for pod in store.all("pods", budget["metadata"]["namespace"])
                if fits_object(spec.get("selector"), pod["metadata"].get("labels") or {})
            ]
            healthy, expected = sum(is_ready(pod) for pod in pods), len(pods)
            if spec.get("maxUnavailable") is not None:
                least = max(0, expected - portion(spec["maxUnavailable"], expected, up=True))
            else:
                least = portion(spec.get("minAvailable"), expected, up=True)
            status = {
                **(budget.get("status") or {}),
                "observedGeneration": budget["metadata"]["generation"],
                "currentHealthy": healthy,
                "desiredHealthy": least,
                "expectedPods": expected,
                "disruptionsAllowed": max(0, healthy - least),
            }
            may = status["disruptionsAllowed"] > 0
            set_condition(
                status, "DisruptionAllowed", may, "SufficientPods" if may else "InsufficientPods", ""
            )
            store.set_status("poddisruptionbudgets", budget, status)


class Autoscalers:
    """Without a metrics server an autoscaler keeps the count between its bounds, and no more."""

    def run(self, store: Store) -> None:
        """One round."""
        for autoscaler in store.all("horizontalpodautoscalers"):
            spec, where = autoscaler["spec"], autoscaler["metadata"]["namespace"]
            target = store.find("deployments", where, spec["scaleTargetRef"]["name"])
            status = dict(autoscaler.get("status") or {})
            if target is None:
                why = _NO_SCALE.format(name=spec["scaleTargetRef"]["name"])
                set_condition(status, "AbleToScale", False, "FailedGetScale", why)
            else:
                now_have = target["spec"]["replicas"]
                wanted = min(max(now_have, spec["minReplicas"]), spec["maxReplicas"]) if now_have else 0
                if wanted != now_have:
                    after = {**target, "spec": {**target["spec"], "replicas": wanted}}
                    store.update("deployments", after, subresource="scale")
                set_condition(status, "AbleToScale", True, "SucceededGetScale", _HAS_SCALE)
                set_condition(status, "ScalingActive", False, "FailedGetResourceMetric", _NO_METRICS)
                status |= {"currentReplicas": now_have, "desiredReplicas": wanted, "currentMetrics": None}
            store.set_status("horizontalpodautoscalers", autoscaler, status)


class Claims:
    """Claims are bound to the volume that they name."""

    def run(self, store: Store) -> None:
        """One round."""
        for claim in store.all("persistentvolumeclaims"):
            if claim.get("status", {}).get("phase") == "Bound":
                continue
            volume = store.find("persistentvolumes", "", claim["spec"].get("volumeName", ""))
            if volume is None:
                store.set_status("persistentvolumeclaims", claim, {"phase": "Pending"})
                continue
            capacity, modes = volume["spec"]["capacity"], volume["spec"]["accessModes"]
            store.set_status(
                "persistentvolumeclaims",
                claim,
                {"phase": "Bound", "capacity": capacity, "accessModes": modes},
            )
            store.set_status("persistentvolumes", volume, {"phase": "Bound"})


class LostNodes:
    """Pods of an unreachable node are deleted when they have been patient enough."""

    def run(self, store: Store) -> None:
        """One round."""
        node = store.find("nodes", "", NODE) or {}
        taints = [one for one in (node.get("spec") or {}).get("taints") or () if one["effect"] == "NoExecute"]
        if not taints:
            return
        since = node["status"]["conditions"][0]["lastTransitionTime"]
        seconds = (datetime.now(UTC) - datetime.fromisoformat(since.replace("Z", "+00:00"))).total_seconds()
        for pod in store.all("pods"):
            tolerated = [
                one for one in pod["spec"].get("tolerations") or () if one.get("key") == taints[0]["key"]
            ]
            patience = min((one.get("tolerationSeconds", 1e9) for one in tolerated), default=0)
            is_going = bool(pod["metadata"].get("deletionTimestamp"))
            if pod["spec"].get("nodeName") == NODE and seconds > patience and not is_going:
                status = copy.deepcopy(pod["status"])
                text = "Taint manager: deleting due to NoExecute taint"
                set_condition(status, "DisruptionTarget", True, "DeletionByTaintManager", text)
                store.set_status("pods", pod, status)
                store.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
