"""Who asks, and what they may do: tokens of the administrator and of service accounts, roles, bindings."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass

from .answers import Refusal
from .resources import Object
from .store import Store

ADMINISTRATOR = "kubernetes-admin"


@dataclass(frozen=True)
class Wish:
    """What somebody wants to do."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""
    subresource: str = ""

    @property
    def full_resource(self) -> str:
        """As rules name it: ``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Access:
    """Tokens and rules.

    :param token: the administrator's.
    """

    def __init__(self, store: Store, token: str) -> None:
        self._store = store
        self._users = {token: ADMINISTRATOR}

    def user(self, authorization: str) -> str:
        """Who a request is from.

        :raises Refusal: nobody knows the token.
        """
        scheme, _, token = authorization.partition(" ")
        if not authorization:
            return "system:anonymous"
        user = self._users.get(token)
        if scheme.lower() != "bearer" or user is None:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        return user

    def make_token(self, namespace: str, account: str, seconds: int) -> Object:
        """A ``TokenRequest`` that was granted."""
        user = f"system:serviceaccount:{namespace}:{account}"
        claims = base64.urlsafe_b64encode(json.dumps({"sub": user, "jti": secrets.token_hex(8)}).encode())
        token = f"eyJhbGciOiJSUzI1NiJ9.{claims.decode().rstrip('=')}.{secrets.token_urlsafe(16)}"
        self._users[token] = user
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account, "namespace": namespace},
            "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": ends},
        }

    def check(self, user: str, wish: Wish) -> None:
        """:raises Refusal: no rule allows it; the message has the verb and the resource."""
        if self.allows(user, wish):
            return
        scope = f'in the namespace "{wish.namespace}"' if wish.namespace else "at the cluster scope"
        resource = f"{wish.resource}.{wish.group}" if wish.group else wish.resource
        named = f'"{wish.name}" ' if wish.name else ""
        raise Refusal(
            403,
            "Forbidden",
            f'{resource} {named}is forbidden: User "{user}" cannot {wish.verb} resource '
            f'"{wish.full_resource}" in API group "{wish.group}" {scope}',
            {"name": wish.name, "kind": wish.resource} | ({"group": wish.group} if wish.group else {}),
        )

    def allows(self, user: str, wish: Wish) -> bool:
        """Whether somebody may do it."""
        if user == ADMINISTRATOR:
            return True
        return any(_allows(rule, wish) for rule in self.rules(user, wish.namespace))

    def rules(self, user: str, namespace: str) -> list[Object]:
        """What somebody may do in a namespace, or in the cluster."""
        if user == ADMINISTRATOR:
            return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        bindings = self._store.all("clusterrolebindings")
        if namespace:
            bindings = [*bindings, *self._store.all("rolebindings", namespace)]
        reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
        return [
            {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": reviews},
            *(
                rule
                for binding in bindings
                if any(_is(subject, user) for subject in binding.get("subjects") or ())
                for rule in self._rules(binding)
            ),
        ]

    def _rules(self, binding: Object) -> list[Object]:
        reference = binding["roleRef"]
        namespace = binding["metadata"].get("namespace", "") if reference["kind"] == "Role" else ""
        plural = "roles" if reference["kind"] == "Role" else "clusterroles"
        role = self._store.find(plural, namespace, reference["name"])
        rules: list[Object] = (role or {}).get("rules") or []
        return rules


def _is(subject: Object, user: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user == f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}"
    if subject["kind"] == "Group":
        return subject["name"] == "system:authenticated" and user != "system:anonymous"
    return bool(user == subject["name"])


def _allows(rule: Object, wish: Wish) -> bool:
    names = rule.get("resourceNames")
    return (
        bool({"*", wish.verb} & set(rule["verbs"]))
        and bool({"*", wish.group} & set(rule.get("apiGroups") or ()))
        and bool({"*", wish.full_resource} & set(rule.get("resources") or ()))
        and (not names or wish.name in names)
    )
