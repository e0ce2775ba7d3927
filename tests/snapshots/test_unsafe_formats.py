"""Files that can run code when they are opened are marked, whatever they are called."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import pickletools
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from airlock.snapshots.unsafe_formats import is_unsafe_format

MODEL = {"coefficients": list(range(5000)), "name": "credit-risk"}


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def array(descr: str, data: bytes = b"") -> bytes:
    """A file as NumPy saves an array: a magic number, the version, the header's length and the header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


@pytest.mark.parametrize(
    "name", ["m.pkl", "m.pickle", "m.joblib", "m.pt", "m.pth", "M.PKL", "m.dill", "m.pkl.gz", "m.joblib.lz4"]
)
def test_the_usual_names_of_pickles_are_marked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert is_unsafe_format(tmp_path / name)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zlib.compress, bz2.compress, lzma.compress])
def test_pickles_under_other_names_are_marked(
    tmp_path: Path, protocol: int, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(compress(pickle.dumps(MODEL, protocol=protocol)))
    assert is_unsafe_format(path)


@pytest.mark.parametrize(
    "content",
    [
        zipped(("archive/data.pkl", b""), ("archive/data/0", b"0000")),  # as PyTorch writes models
        zipped(("readme.txt", b"x"), ("weights", pickle.dumps(MODEL))),
        zipped(("labels.npy", array("'|O'", pickle.dumps(["a", None])))),
        array("'|O'", pickle.dumps(["a", None])),
        array("[('name', '|O'), ('value', '<i4')]"),
        lzma.compress(pickle.dumps(MODEL), format=lzma.FORMAT_ALONE),
    ],
)
def test_pickles_within_other_formats_are_marked(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert is_unsafe_format(tmp_path / "model.bin")


def test_an_archive_that_cannot_be_looked_into_is_marked(tmp_path: Path) -> None:
    encrypted = bytearray(zipped(("weights", b"12345678901234567890")))
    for header in (b"PK\x03\x04", b"PK\x01\x02"):
        flags = encrypted.index(header) + (6 if header == b"PK\x03\x04" else 8)
        encrypted[flags] |= 1
    (tmp_path / "model.bin").write_bytes(encrypted)
    assert is_unsafe_format(tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.py", b"import pickle\n"),
        ("x.txt", b"xylophone"),  # begins like zlib
        ("weights.json", b'{"a": 1}'),
        ("weights.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "),
        ("model.onnx", b"\x08\x07\x12\x07pytorch"),
        ("weights.npy", array("'<f8'", b"|O" * 4)),
        ("weights.npz", zipped(("a.npy", array("'<f8'", bytes(8))))),
        ("model.skops", zipped(("schema.json", b"{}"), ("1.npy", array("'<i8'", bytes(8))))),
        ("table.csv.gz", gzip.compress(b"a,b\n1,2\n")),
        ("empty.bin", b""),
        ("broken.zip", b"PK\x03\x04 and then nothing"),
        ("broken.gz", b"\x1f\x8b and then nothing"),
        ("notes-on-model.pkl.md", b"# notes"),
    ],
)
def test_other_files_are_not_marked(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert not is_unsafe_format(tmp_path / name)


def test_looking_does_not_unpickle(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return (tmp_path / "attacked").touch, ()

    content = pickle.dumps(Attack(), protocol=4)
    assert any(opcode.name == "REDUCE" for opcode, _, _ in pickletools.genops(content))
    (tmp_path / "model.bin").write_bytes(content)
    assert is_unsafe_format(tmp_path / "model.bin")
    assert not (tmp_path / "attacked").exists()
