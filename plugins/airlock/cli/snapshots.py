"""Making snapshots and looking at them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from airlock.cli.output import AsJson, err, print_json, say, table

if TYPE_CHECKING:
    from airlock.cli.client import Api
    from airlock.snapshots.manifest import FileEntry
    from airlock.snapshots.pack import Packed

app = typer.Typer(no_args_is_help=True, help="Make snapshots of models, and look at them.")

Reference = Annotated[str, typer.Argument(help="model@3, model (its newest) or sha256:…")]


@app.command()
def create(
    folder: Annotated[
        Path, typer.Argument(help="The model's folder, with its model.yaml.", exists=True, file_okay=False)
    ],
    service: Annotated[
        list[str] | None,
        typer.Option("--service", "-s", help="A service that it is for; more than once for several."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Freeze a model folder: lock its environment, upload its files, register it. Nothing of it is run."""
    from airlock.cli.client import connect

    with connect() as api:
        packed = _pack(api, folder, service or [])
        _upload(api, packed)
        status, snapshot = api.post_for_status(
            "snapshots", {"manifest": packed.manifest.document()}, dag_id=packed.manifest.services[0]
        )
    if as_json:
        print_json({**snapshot, "created": status == 201})
        return
    known = "" if status == 201 else "  (was there already)"
    say(f"{snapshot['name']}  {snapshot['digest']}{known}")


@app.command("list")
def list_snapshots(
    service: Annotated[
        str | None, typer.Option("--service", "-s", help="Only those for this service.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only those of this model.")] = None,
    as_json: AsJson = False,
) -> None:
    """List snapshots."""
    from airlock.cli.client import connect

    with connect() as api:
        found = api.get("snapshots", service=service, model=model)
    if as_json:
        print_json(found)
        return
    table(
        ["SNAPSHOT", "DIGEST", "SERVICES", "MODES", "BY", "AT"],
        [
            [
                each["name"],
                each["digest"].removeprefix("sha256:")[:12],
                ", ".join(each["services"]),
                ", ".join(each["modes"]),
                each["created_by"],
                each["created_at"][:16].replace("T", " "),
            ]
            for each in found
        ],
    )


@app.command()
def show(snapshot: Reference, as_json: AsJson = False) -> None:
    """Show one snapshot with its manifest."""
    from airlock.cli.client import connect, segment

    with connect() as api:
        found = api.get(f"snapshots/{segment(snapshot)}")
    if as_json:
        print_json(found)
        return
    manifest = found["manifest"]
    say(found["name"], style="bold")
    table(
        ["", ""],
        [
            ["digest", found["digest"]],
            ["made", f"{found['created_at'][:16].replace('T', ' ')} by {found['created_by']}"],
            ["owner", manifest["owner"]],
            ["services", ", ".join(found["services"])],
            ["modes", ", ".join(found["modes"])],
            ["format", manifest["format"]],
            ["input", _fields(manifest["input_schema"])],
            ["output", _fields(manifest["output_schema"])],
        ],
    )
    table(
        ["FILE", "BYTES", "SHA-256", ""],
        [
            [
                each["path"],
                f"{each['size']:,}",
                each["sha256"][:12],
                "unsafe format" if each["unsafe_format"] else "",
            ]
            for each in manifest["files"]
        ],
    )


@app.command()
def verify(
    snapshot: Annotated[
        str, typer.Argument(help="model@3, sha256:…, or the folder of a materialised snapshot.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Compare this folder with the snapshot instead of the server's store.", exists=True
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare every byte with the manifest: of the server's store, or of a folder of this machine."""
    if folder is not None or Path(snapshot).is_dir():
        found = _verify_folder(snapshot, folder)
    else:
        from airlock.cli.client import connect, segment

        with connect() as api:
            found = api.post(f"snapshots/{segment(snapshot)}/verify")
    if as_json:
        print_json(found)
    elif found["ok"]:
        say(f"{found['name']} is whole: {found['digest']}")
    else:
        for problem in found["problems"]:
            say(f"{problem['path']}: {problem['kind']}, {problem['message']}", style="red")
    if not found["ok"]:
        raise typer.Exit(1)


def _verify_folder(snapshot: str, folder: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    from airlock.snapshots.manifest import Manifest
    from airlock.snapshots.verify import verify_folder

    if folder is None:
        folder = Path(snapshot)
        manifest = Manifest.load(folder)
        name = manifest.model
    else:
        from airlock.cli.client import connect, segment

        with connect() as api:
            answer = api.get(f"snapshots/{segment(snapshot)}")
        manifest, name = Manifest.read(answer["manifest"], digest=answer["digest"]), answer["name"]
    problems = [asdict(problem) for problem in verify_folder(manifest, folder)]
    return {"name": name, "digest": manifest.digest, "ok": not problems, "problems": problems}


def _pack(api: Api, folder: Path, services: list[str]) -> Packed:
    from airlock.snapshots.pack import pack

    with err().status("Reading the folder and locking its environment …"):
        requirements = api.get("host-requirements")
        return pack(folder, services=services, host_requirements=requirements)


def _upload(api: Api, packed: Packed) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from airlock.snapshots.pack import publish

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err(), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(packed.manifest.model, total=packed.manifest.size)

        def sent(entry: FileEntry) -> None:
            progress.advance(task, entry.size)

        publish(packed, _ServerStore(api, packed.manifest.services[0]), progress=sent)


class _ServerStore:
    """The server's artifact store, as publishing needs it."""

    def __init__(self, api: Api, service: str) -> None:
        self._api = api
        self._service = service

    def has(self, sha256: str) -> bool:
        return self._api.has_blob(sha256, service=self._service)

    def put(self, stream: IO[bytes], sha256: str) -> None:
        self._api.put_blob(sha256, stream, service=self._service)


def _fields(fields: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['name']}: {each['type']}" for each in fields)
