"""YAML as plain data that remembers where in the file each piece stands.

Built on libyaml's stream of events, without recursion: a file nested too deep, or one that grows without end
by aliases, is a mistake to report and never a crash. Plain words are read as YAML 1.2 and JSON read them
(``no`` is text, ``012`` is twelve), which is also how editors see them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from airlock.exceptions import Problem
from airlock.spec.mistakes import Mistake, Place, did_you_mean
from airlock.spec.yaml_syntax import explain

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MOST_BYTES = 1024 * 1024
_MOST_VALUES = 100_000
_DEEPEST = 50
_LONGEST_INTEGER = 30  # digits; Python refuses to read integers of many thousands

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TAGS = {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_LAST_BREAK = re.compile(r"(\r\n|\r|\n)\Z")
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Text:
    """The text of a file, which turns the index of a character into line and column."""

    file: Path
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.text))]

    @cached_property
    def _end(self) -> int:
        """The end of the last line, before a line break that ends the file."""
        last = _LAST_BREAK.search(self.text)
        return len(self.text) if last is None else last.start()

    def position(self, index: int) -> tuple[int, int]:
        """Line and column, both counted from 1, of the character with this index."""
        index = min(index, self._end)
        line = bisect_right(self._line_starts, index)
        return line, index - self._line_starts[line - 1] + 1

    def problem(self, index: int, message: str, mend: str | None = None) -> Problem:
        """A problem at the character with this index."""
        return Problem(self.file, *self.position(index), message, mend)


@dataclass(frozen=True)
class _Entry:
    """Where a key (``None`` in lists) and its value begin: indices of characters."""

    key: int | None
    value: int


@dataclass(frozen=True)
class Document:
    """One YAML document.

    :param value: its data: mappings with text keys, lists, text, numbers, true, false and ``None``.
    :param start: the index of its first character.
    :param entries: by the ``id`` of each mapping and list, where its items stand.
    """

    text: Text
    value: Any
    start: int
    entries: dict[int, dict[str | int, _Entry]]

    def problem(self, mistake: Mistake) -> Problem:
        """Say where in the file a mistake is."""
        index = self.index(mistake.place, about_key=mistake.about_key)
        return self.text.problem(index, mistake.message, mistake.mend)

    def index(self, place: Place, *, about_key: bool = False) -> int:
        """The index of the first character of a value, or of its key.

        Steps that are not in the data are passed over: they tell which reading of a value was tried.
        """
        value, index = self.value, self.start
        for step in place:
            entry = self.entries.get(id(value), {}).get(step) if isinstance(value, dict | list) else None
            if entry is not None:
                value = value[step]
                index = entry.key if about_key and entry.key is not None else entry.value
        return index


def read_documents(file: Path) -> tuple[list[Document], list[Problem]]:
    """Read a file into its documents, with every mistake of form.

    A file that is no YAML gives no document and one problem.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            return [], [Problem(file, 1, 1, "the file is larger than 1 MiB", "Divide it.")]
        data = file.read_bytes()
    except OSError as error:
        return [], [Problem(file, 1, 1, f"the file cannot be read: {error.strerror}")]
    try:
        text = Text(file, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        text = Text(file, data.decode("utf-8-sig", errors="replace"))
        index = len(data[: error.start].decode("utf-8-sig", errors="replace"))
        return [], [text.problem(index, "the file is not UTF-8 text", "Save it as UTF-8.")]
    if found := _NOT_YAML.search(text.text):
        message = f"the character U+{ord(found.group()):04X} cannot stand in YAML"
        return [], [text.problem(found.start(), message, "Remove it.")]
    return _Composer(text).compose()


@dataclass
class _Key:
    """A key that waits for its value.

    :param name: ``None`` where the key is wrong: its value is read and dropped.
    """

    name: str | None
    index: int
    merge: bool = False


@dataclass
class _Open:
    """A mapping or list under construction."""

    value: dict[str, Any] | list[Any]
    index: int
    anchor: str | None
    entries: dict[str | int, _Entry] = field(default_factory=dict)
    size: int = 1
    key: _Key | None = None
    merged: list[dict[str, Any]] = field(default_factory=list)


class _Stop(Exception):
    pass


class _Composer:
    """Builds documents from the parser's events, on a stack of open mappings and lists."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._problems: list[Problem] = []
        self._documents: list[Document] = []
        self._begin_document()

    def compose(self) -> tuple[list[Document], list[Problem]]:
        try:
            for event in yaml.parse(self._text.text, Loader=_PARSER):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._stumble(*explain(self._text.text, error))
            return [], self._problems
        except _Stop:
            return [], self._problems
        return self._documents, self._problems

    def _note(self, index: int, message: str, mend: str | None = None) -> None:
        self._problems.append(self._text.problem(index, message, mend))

    def _stumble(self, index: int, message: str, mend: str) -> None:
        """Note where the parser gave up; what was noted after that place is only a consequence."""
        here = self._text.problem(index, message, mend)
        before = [known for known in self._problems if (known.line, known.column) < (here.line, here.column)]
        self._problems = [*before, here]

    def _begin_document(self) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._sizes: dict[int, int] = {}
        self._entries: dict[int, dict[str | int, _Entry]] = {}

    def _take(self, event: Any) -> None:
        index = event.start_mark.index
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event, index)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._check_tag(event.tag, index)
            if len(self._stack) == _DEEPEST:
                self._note(index, f"nested deeper than {_DEEPEST} levels", "Write it flatter.")
                raise _Stop
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._stack.append(_Open({} if is_mapping else [], index, event.anchor))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event.anchor or "", index)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._begin_document()

    def _take_scalar(self, event: Any, index: int) -> None:
        self._check_tag(event.tag, index)
        plain = event.implicit[0]
        top = self._stack[-1] if self._stack else None
        if (
            plain
            and event.value == "<<"
            and top is not None
            and isinstance(top.value, dict)
            and top.key is None
        ):
            top.key = _Key(event.value, index, merge=True)
            return
        value = _plain_value(event.value) if plain else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        self._add(value, index)

    def _take_alias(self, anchor: str, index: int) -> None:
        if anchor in self._anchors:
            self._add(self._anchors[anchor], index)
            return
        if any(collection.anchor == anchor for collection in self._stack):
            self._note(index, f"*{anchor} stands inside of what it refers to", "Write out what is meant.")
        else:
            self._note(index, f"nothing above is marked &{anchor}", did_you_mean(anchor, self._anchors))
        raise _Stop

    def _check_tag(self, tag: str | None, index: int) -> None:
        if tag not in _TAGS:
            name = (tag or "").replace("tag:yaml.org,2002:", "!!")
            self._note(index, f"the tag {name} is not understood here", "Remove it.")

    def _close(self) -> None:
        done = self._stack.pop()
        if isinstance(done.value, dict):
            for mapping in done.merged:
                for key in mapping.keys() - done.value.keys():
                    done.value[key] = mapping[key]
                    done.entries[key] = self._entries[id(mapping)][key]
        self._entries[id(done.value)] = done.entries
        self._sizes[id(done.value)] = done.size
        if done.anchor is not None:
            self._anchors[done.anchor] = done.value
        self._add(done.value, done.index)

    def _add(self, value: Any, index: int) -> None:
        if not self._stack:
            self._documents.append(Document(self._text, value, index, self._entries))
            return
        top = self._stack[-1]
        top.size += self._sizes.get(id(value), 1) if isinstance(value, dict | list) else 1
        if top.size > _MOST_VALUES:
            self._note(index, f"more than {_MOST_VALUES} values, aliases counted", "Divide the file.")
            raise _Stop
        if isinstance(top.value, list):
            top.entries[len(top.value)] = _Entry(None, index)
            top.value.append(value)
        elif top.key is None:
            top.key = self._check_key(value, index, top)
        else:
            self._set(top, top.value, top.key, value, index)
            top.key = None

    def _check_key(self, key: Any, index: int, mapping: _Open) -> _Key:
        if not isinstance(key, str):
            template = self._text.text.startswith("{{", index - 1)
            message = "a value cannot begin with '{{'" if template else "a key must be text"
            self._note(index, message, "Put quotes around it.")
            return _Key(None, index)
        if key in mapping.entries:
            first = mapping.entries[key].key
            line = self._text.position(first if first is not None else index)[0]
            self._note(
                index, f"the key {key!r} is here twice", f"The first is on line {line}: remove one of them."
            )
            return _Key(None, index)
        return _Key(key, index)

    def _set(self, top: _Open, mapping: dict[str, Any], key: _Key, value: Any, index: int) -> None:
        if key.merge:
            sources = value if isinstance(value, list) else [value]
            if all(isinstance(source, dict) for source in sources):
                top.merged += sources
            else:
                self._note(index, "'<<' takes in mappings only", "Refer to a mapping marked with &name.")
        elif key.name is not None:
            mapping[key.name] = value
            top.entries[key.name] = _Entry(key.index, index)


def _plain_value(word: str) -> str | int | float | bool | None:
    """Read a word without quotes as YAML 1.2's core schema does."""
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.fullmatch(word) and len(word) <= _LONGEST_INTEGER:
        return int(word, 0) if word[:2] in ("0o", "0x") else int(word)
    if _FLOAT.fullmatch(word):
        return float(word.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return word
