"""Finding the functions of a Python model without running it.

The source is only parsed. A function is found by a marker, a comment line directly above it, or else by its
name:

.. code-block:: python

    # airlock.score
    def predict_fraud(records): ...

``# modelop.score`` means the same, so that existing models come over unchanged.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

from airlock.exceptions import SnapshotError

ROLES = ("init", "score", "metrics", "train")
"""What a function can be for; only ``score`` must be there."""

_MARKER = re.compile(r"#\s*(?P<family>modelop|airlock)\.(?P<role>\w+)\s*")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_functions(path: Path, *, shown_as: str) -> dict[str, str]:
    """Find the entry points of a Python source file.

    :param shown_as: what the file is called in messages.
    :returns: the name of the function for each role that is present.
    :raises SnapshotError: the file cannot be parsed, a marker is unclear, or nothing scores.
    """
    try:
        source = path.read_bytes()
        tree = ast.parse(source, filename=shown_as)
        comments = _comments(source)
    except SyntaxError as error:
        raise SnapshotError(f"{shown_as}, line {error.lineno}: not valid Python: {error.msg}.") from error
    except (OSError, ValueError, RecursionError, tokenize.TokenError) as error:
        raise SnapshotError(f"{shown_as} cannot be read as Python source: {error}.") from error
    functions = [node for node in tree.body if isinstance(node, _Function)]
    by_name = {function.name: function for function in functions}
    found = {role: by_name[role] for role in ROLES if role in by_name}
    found |= _marked(functions, comments, shown_as)
    if "score" not in found:
        raise SnapshotError(
            f"{shown_as} has no function that scores.",
            mend="Name it 'score', or write the comment '# airlock.score' directly above its def.",
        )
    for role, function in found.items():
        _check(role, function, functions, shown_as)
    return {role: found[role].name for role in ROLES if role in found}


def _comments(source: bytes) -> dict[int, str]:
    """The comment lines of a file, by line number; comments after code are left out."""
    return {
        token.start[0]: token.string
        for token in tokenize.tokenize(io.BytesIO(source).readline)
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip() == ""
    }


def _marked(functions: list[_Function], comments: dict[int, str], shown_as: str) -> dict[str, _Function]:
    """The functions that markers name. Several comment lines may stand above one function."""
    function_below: dict[int, _Function] = {}
    for function in functions:
        first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
        line = first - 1
        while line in comments:
            function_below[line] = function
            line -= 1
        # A comment between a decorator and its def is above the def as well.
        function_below |= {line: function for line in range(first, function.lineno) if line in comments}
    found: dict[str, _Function] = {}
    line_of: dict[str, int] = {}
    for line, comment in sorted(comments.items()):
        role = _role(comment, f"{shown_as}, line {line}")
        if role is None:
            continue
        if line not in function_below:
            raise SnapshotError(
                f"{shown_as}, line {line}: '{comment}' is not directly above a function.",
                mend="Put it on the line above a def that is not inside a class or another function.",
            )
        if role in found:
            raise SnapshotError(
                f"{shown_as}: two functions are marked '{role}', in lines {line_of[role]} and {line}.",
                mend="Remove one of the comments.",
            )
        found[role], line_of[role] = function_below[line], line
    return found


def _role(comment: str, place: str) -> str | None:
    """The role a comment marks. Markers of ModelOp that Airlock has no use for (schemas, slots) mean none."""
    marker = _MARKER.fullmatch(comment)
    if marker is None:
        return None
    if marker["role"] in ROLES:
        return marker["role"]
    if marker["family"] == "airlock":
        known = ", ".join(f"airlock.{role}" for role in ROLES)
        raise SnapshotError(f"{place}: '{comment}' marks nothing that is known.", mend=f"Known are {known}.")
    return None


def _check(role: str, function: _Function, functions: list[_Function], shown_as: str) -> None:
    place = f"{shown_as}, line {function.lineno}: {function.name}"
    if isinstance(function, ast.AsyncFunctionDef):
        raise SnapshotError(
            f"{place} is an 'async def', which cannot be an entry point.", mend="Write it as a plain 'def'."
        )
    same = [str(other.lineno) for other in functions if other.name == function.name]
    if len(same) > 1:
        raise SnapshotError(
            f"{shown_as}: {function.name}, which is the entry point '{role}', is defined more than once, "
            f"in lines {' and '.join(same)}.",
            mend="Python would use the last one: remove or rename the others.",
        )
