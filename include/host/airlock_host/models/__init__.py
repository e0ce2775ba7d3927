"""Models of the three formats behind one class."""

from airlock_host.models.load import Model, load

__all__ = ["Model", "load"]
