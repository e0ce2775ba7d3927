"""JSON Schemas of the files under ``include/``, with which editors complete and check them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from airlock.cli.output import AsJson, print_json, say

app = typer.Typer(no_args_is_help=True, help="Schemas of the YAML files, for editors.")


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help="Where to write them.", file_okay=False)] = Path(
        "include/schemas"
    ),
    as_json: AsJson = False,
) -> None:
    """Write one JSON Schema for each kind of file; those that are as they should be are left alone."""
    from airlock.spec.json_schema import schemas

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, schema in schemas().items():
        path = folder / f"{kind}.json"
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            written.append(str(path))
    if as_json:
        print_json(written)
    else:
        say("\n".join(f"wrote {path}" for path in written) or f"{folder} is up to date.")


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="lifecycle, service, runtime, policy, roles or model")],
) -> None:
    """Print the JSON Schema of one kind of file."""
    from airlock.exceptions import NotFound
    from airlock.spec.json_schema import schemas

    known = schemas()
    if kind not in known:
        raise NotFound(f"There is no kind of file {kind!r}.", mend=f"Known: {', '.join(known)}.")
    print_json(known[kind])
