"""The volumes of a pod, as folders of this machine."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from typing import Any

from ..resources import Object
from ..store import Store


class NotMounted(Exception):
    """A volume cannot be mounted now; tried again later."""


class NotConfigured(Exception):
    """A container's variables cannot be made now; tried again later."""


def mount(store: Store, pod: Object, folder: Path) -> dict[str, Path]:
    """Make every volume of a pod under its folder.

    :returns: folders by the volumes' names.
    :raises NotMounted: with the node's words for it.
    """
    made = {}
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        target = folder / "volumes" / name
        [kind] = set(volume) - {"name"}
        source = volume[kind] or {}
        if kind == "persistentVolumeClaim":
            target = _claimed(store, pod, source)
        elif kind == "emptyDir":
            target.mkdir(parents=True, exist_ok=True)
            target.chmod(0o777)
        else:
            files = _files(store, pod, name, kind, source)
            if target.exists():
                shutil.rmtree(target)
            target.mkdir(parents=True)
            for path, content, mode in files:
                _write(target / path, content, mode)
        _give(target, pod["spec"].get("securityContext") or {}, has_claim=kind == "persistentVolumeClaim")
        made[name] = target
    return made


def renew(store: Store, pod: Object, folder: Path) -> None:
    """Write what changed in config maps and secrets into a pod's volumes, each file whole or not at all."""
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        [kind] = set(volume) - {"name"}
        if kind not in ("configMap", "secret"):
            continue
        for path, content, mode in _files(store, pod, name, kind, volume[kind] or {}):
            target = folder / "volumes" / name / path
            if target.read_bytes() == content:
                continue
            unfinished = target.with_name(f"..{target.name}")
            _write(unfinished, content, mode)
            owner = target.stat()
            os.chown(unfinished, owner.st_uid, owner.st_gid)
            unfinished.chmod(owner.st_mode & 0o7777)
            unfinished.replace(target)


def _files(store: Store, pod: Object, name: str, kind: str, source: Object) -> list[tuple[str, bytes, int]]:
    mode = source.get("defaultMode", 0o644)
    if kind == "projected":
        return [
            (path, content, mode)
            for part in source.get("sources") or ()
            for inner in part
            if inner != "serviceAccountToken"
            for path, content, _ in _files(store, pod, name, inner, part[inner])
        ]
    if kind == "downwardAPI":
        return [
            (item["path"], str(field(pod, item["fieldRef"]["fieldPath"])).encode(), mode)
            for item in source.get("items") or ()
        ]
    plural = {"configMap": "configmaps", "secret": "secrets"}.get(kind)
    if plural is None:
        raise NotMounted(
            f'MountVolume.SetUp failed for volume "{name}" : the node has no volumes of kind {kind}'
        )
    wanted = source.get("name") or source.get("secretName")
    found = store.find(plural, pod["metadata"]["namespace"], str(wanted))
    if found is None:
        if source.get("optional"):
            return []
        raise NotMounted(
            f'MountVolume.SetUp failed for volume "{name}" : {plural.rstrip("s")} "{wanted}" not found'
        )
    data = contents(plural, found)
    items = source.get("items")
    if not items:
        return [(key, content, mode) for key, content in data.items()]
    missing = [item["key"] for item in items if item["key"] not in data]
    if missing and not source.get("optional"):
        raise NotMounted(
            f'MountVolume.SetUp failed for volume "{name}" : references non-existent '
            f"{plural.rstrip('s')} key: {missing[0]}"
        )
    return [
        (item["path"], data[item["key"]], item.get("mode", mode)) for item in items if item["key"] in data
    ]


def contents(plural: str, document: Object) -> dict[str, bytes]:
    """The entries of a config map or secret."""
    encoded = document.get("data") if plural == "secrets" else document.get("binaryData")
    plain = {} if plural == "secrets" else document.get("data") or {}
    made = {key: value.encode() for key, value in plain.items()}
    return made | {key: base64.b64decode(value) for key, value in (encoded or {}).items()}


def _claimed(store: Store, pod: Object, source: Object) -> Path:
    claim = store.find("persistentvolumeclaims", pod["metadata"]["namespace"], source["claimName"])
    volume = store.find("persistentvolumes", "", (claim or {}).get("spec", {}).get("volumeName", ""))
    if volume is None or "hostPath" not in volume["spec"]:
        raise NotMounted(f'persistentvolumeclaim "{source["claimName"]}" is not bound')
    return Path(volume["spec"]["hostPath"]["path"])


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _give(folder: Path, security: Object, *, has_claim: bool) -> None:
    """Hand a volume to the group of the pod, as ``fsGroup`` asks for."""
    group = security.get("fsGroup")
    if group is None:
        return
    root = os.stat(folder)
    if (
        security.get("fsGroupChangePolicy") == "OnRootMismatch"
        and root.st_gid == group
        and root.st_mode & 0o2070 == 0o2070
    ):
        return
    for where, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            path = os.path.join(where, name)
            if not os.path.islink(path):
                os.chown(path, -1, group)
                own = os.stat(path).st_mode
                os.chmod(path, own | 0o060 | (0o2010 if os.path.isdir(path) else 0))
    if has_claim:
        os.chmod(folder, os.stat(folder).st_mode | 0o2070)


def field(pod: Object, path: str) -> Any:
    """What ``fieldRef`` names: a field of the pod, or one label or annotation."""
    if "['" in path:
        part, _, key = path.partition("['")
        return (pod["metadata"].get(part.rpartition(".")[2]) or {}).get(key.removesuffix("']"), "")
    here: Any = pod
    for step in path.split("."):
        here = (here or {}).get(step)
    return here if here is not None else ""


def variables(store: Store, pod: Object, container: Object) -> dict[str, str]:
    """The variables that a container's specification gives it.

    :raises NotConfigured: what they come from is not there.
    """
    made: dict[str, str] = {}
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or ():
        for kind, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if source.get(kind):
                data = _data(store, namespace, plural, source[kind])
                made |= {source.get("prefix", "") + key: value.decode() for key, value in data.items()}
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom")
        if not origin:
            made[variable["name"]] = variable.get("value") or ""
        elif origin.get("fieldRef"):
            made[variable["name"]] = str(field(pod, origin["fieldRef"]["fieldPath"]))
        elif origin.get("resourceFieldRef"):
            reference = origin["resourceFieldRef"]
            part, _, name = reference["resource"].partition(".")
            made[variable["name"]] = str((container["resources"].get(part) or {}).get(name, ""))
        else:
            _add_from_key(store, namespace, variable, made)
    return made


def _add_from_key(store: Store, namespace: str, variable: Object, made: dict[str, str]) -> None:
    origin = variable["valueFrom"]
    plural, reference = (
        ("secrets", origin["secretKeyRef"])
        if origin.get("secretKeyRef")
        else ("configmaps", origin["configMapKeyRef"])
    )
    data = _data(store, namespace, plural, reference)
    if reference["key"] in data:
        made[variable["name"]] = data[reference["key"]].decode()
    elif not reference.get("optional"):
        kind = "Secret" if plural == "secrets" else "ConfigMap"
        raise NotConfigured(f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}")


def _data(store: Store, namespace: str, plural: str, reference: Object) -> dict[str, bytes]:
    found = store.find(plural, namespace, reference["name"])
    if found is not None:
        return contents(plural, found)
    if reference.get("optional"):
        return {}
    raise NotConfigured(f'{plural.rstrip("s")} "{reference["name"]}" not found')
