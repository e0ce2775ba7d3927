"""The kinds of files and what they are read into."""

from airlock.spec import Lifecycle, ModelDescription, Policy, Roles, RuntimeSpec, Service, Spec

MODELS: dict[str, type[Spec]] = {
    "lifecycle": Lifecycle,
    "service": Service,
    "runtime": RuntimeSpec,
    "policy": Policy,
    "roles": Roles,
    "model": ModelDescription,
}
