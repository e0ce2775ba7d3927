"""Garbage collection: what belongs to what is gone, foreground deletion, and namespaces that end."""

from __future__ import annotations

from ..answers import Refusal
from ..resources import Object, of_owner
from ..store import Key, Store

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"


class Garbage:
    """Deletes what nobody owns any more."""

    def run(self, store: Store) -> None:
        """One round."""
        everything = [*store.everything()]
        uids = {document["metadata"]["uid"]: document for _, document in everything}
        for key, document in everything:
            self._collect(store, key, document, uids)
        for key, document in everything:
            finalizers = document["metadata"].get("finalizers") or ()
            if document["metadata"].get("deletionTimestamp") and finalizers:
                self._finish(store, key, document, everything)

    def _collect(self, store: Store, key: Key, document: Object, uids: dict[str, Object]) -> None:
        owners = document["metadata"].get("ownerReferences") or []
        if not owners or document["metadata"].get("deletionTimestamp"):
            return
        there = [owner for owner in owners if self._is_there(document, owner, uids)]
        going = [
            owner
            for owner in there
            if _FOREGROUND in (uids[owner["uid"]]["metadata"].get("finalizers") or ())
        ]
        resource, namespace, name = key
        try:
            if not there:
                store.delete(resource, namespace, name)
            elif len(going) == len(there):
                blocks = any(owner.get("blockOwnerDeletion") for owner in going)
                store.delete(resource, namespace, name, policy="Foreground" if blocks else "Background")
        except Refusal:  # somebody was faster
            return

    def _is_there(self, document: Object, owner: Object, uids: dict[str, Object]) -> bool:
        found = uids.get(owner["uid"])
        resource = of_owner(owner)
        if found is None or resource is None:
            return False
        where = found["metadata"].get("namespace", "")
        same = found["kind"] == owner["kind"] and found["metadata"]["name"] == owner["name"]
        # An owner of another namespace is as good as none.
        return bool(same and (not resource.namespaced or where == document["metadata"].get("namespace", "")))

    def _finish(self, store: Store, key: Key, document: Object, everything: list[tuple[Key, Object]]) -> None:
        uid, finalizers = document["metadata"]["uid"], document["metadata"]["finalizers"]
        dependents = [
            (other, one)
            for other, one in everything
            if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or ())
            and store.find(*other) is not None
        ]
        if _ORPHAN in finalizers:
            for other, one in dependents:
                store.edit(other[0], one, lambda found: _disown(found, uid))
            store.edit(key[0], document, lambda found: found["metadata"]["finalizers"].remove(_ORPHAN))
        elif _FOREGROUND in finalizers:
            blocking = [
                one
                for _, one in dependents
                for owner in one["metadata"]["ownerReferences"]
                if owner["uid"] == uid and owner.get("blockOwnerDeletion")
            ]
            if not blocking:
                store.edit(
                    key[0], document, lambda found: found["metadata"]["finalizers"].remove(_FOREGROUND)
                )


def _disown(document: Object, uid: str) -> None:
    owners = document["metadata"]["ownerReferences"]
    document["metadata"]["ownerReferences"] = [owner for owner in owners if owner["uid"] != uid]


class Namespaces:
    """What every namespace has, and its end."""

    def run(self, store: Store) -> None:
        """One round."""
        for namespace in store.all("namespaces"):
            name = namespace["metadata"]["name"]
            if not namespace["metadata"].get("deletionTimestamp"):
                if store.find("serviceaccounts", name, "default") is None:
                    store.create(
                        "serviceaccounts", name, {"metadata": {"name": "default"}}, "kube-controller-manager"
                    )
                continue
            if namespace.get("status", {}).get("phase") != "Terminating":
                store.set_status("namespaces", namespace, {"phase": "Terminating"})
            inside = [(key, one) for key, one in store.everything() if key[1] == name]
            for (resource, where, called), one in inside:
                if not one["metadata"].get("deletionTimestamp"):
                    try:
                        store.delete(resource, where, called)
                    except Refusal:  # went with another
                        continue
            if not inside and namespace["spec"].get("finalizers"):
                store.edit("namespaces", namespace, lambda found: found["spec"].update(finalizers=[]))
