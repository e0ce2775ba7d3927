"""Kind ``docker``: servers and jobs as containers on a Docker engine."""
