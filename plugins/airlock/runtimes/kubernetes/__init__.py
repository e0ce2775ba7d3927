"""Kind ``kubernetes``: deployments, services and jobs in a namespace of a cluster."""
