"""What all of Airlock's pages look like, and how they are made from their templates."""

from __future__ import annotations

from pathlib import Path

import jinja2

_FOLDER = Path(__file__).parent


def page_environment(templates: Path) -> jinja2.Environment:
    """Makes pages of a folder's templates, which may include the style's own; values are escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, _FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
