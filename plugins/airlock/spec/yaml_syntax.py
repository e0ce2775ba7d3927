"""What the YAML parser stumbled over, in words for the person who wrote it."""

from __future__ import annotations

import re

import yaml


def explain(text: str, error: yaml.MarkedYAMLError) -> tuple[int, str, str]:
    """Say what is wrong in a text that is no YAML.

    :returns: the index of the character where it is wrong, the message, and how to mend it.
    """
    problem, context = error.problem or "", error.context or ""
    index = error.problem_mark.index if error.problem_mark is not None else 0
    begin = error.context_mark.index if error.context_mark is not None else index
    quote_it = "Put quotes around the value."

    line_start = text.rfind("\n", 0, index) + 1
    if template := re.compile(r"[^\n]*?[:-] +(\{[{%])").match(text, line_start):
        return template.start(1), f"a value cannot begin with {template.group(1)!r}", quote_it
    if "cannot start any token" in problem:
        if text[index] == "\t":
            return index, "a tab stands where YAML wants spaces", "Indent with spaces."
        return index, f"a value cannot begin with {text[index]!r}", quote_it
    if "scanning an alias" in context or "scanning an anchor" in context:
        mend = f"{quote_it} (Only the name of an anchor may follow {text[begin]!r}.)"
        return begin, f"a value cannot begin with {text[begin]!r} here", mend
    if "mapping values are not allowed" in problem:
        mend = "Put quotes around a value that holds ': ', or indent this line like the keys it belongs to."
        return index, "a ':' stands where no key can be", mend
    if "block sequence entries are not allowed" in problem:
        return index, "a list cannot begin here", "Begin it on a line of its own, below its key."
    if "could not find expected ':'" in problem:
        return begin, "this is no 'key: value'", "Put a ':' and a space after the key."
    if "unexpected end of stream" in problem:
        return begin, f"the quote {text[begin]} is not closed", "Close it."
    if "flow" in context:
        if text[begin : begin + 1] in ("[", "{"):
            return begin, f"the {text[begin]!r} is not closed, or a ',' is missing in it", "Close it."
        return index, "a '[' or '{' that was opened before is not closed", "Close it."
    if "did not find expected" in problem:
        mend = "Indent the keys of one mapping, and the items of one list, by the same number of spaces."
        return index, f"this does not belong here ({problem})", mend
    return index, problem or "this is not YAML", "Look at the indentation and the quotes before it."
