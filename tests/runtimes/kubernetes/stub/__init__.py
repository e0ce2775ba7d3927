"""A Kubernetes cluster for tests: API server, controllers, scheduler and one node that runs containers.

It behaves as a cluster of one version does, as far as Airlock uses it: objects are validated against the
published schema, applied with field managers, owned, quota'd and collected; the node really runs each
container's command, in namespaces of its own. It is a program of its own, reached over HTTP like a cluster.
"""
