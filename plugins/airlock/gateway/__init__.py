"""The gateway: one stable URL for each service and stage, whatever versions are behind it.

Envoy does the work. Airlock writes its configuration from the registry's traffic.
"""
