"""Which rows of a broken ledger were changed, removed or inserted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from airlock.registry.records import LedgerHead, LedgerProblem


class _Read(NamedTuple):
    """A row as it stands now.

    :param place: which row of the chain it is, or claims to be. That differs from its number where rows
        before it were inserted or removed and the ones behind renumbered to hide it.
    :param fits: whether its content has the hash it bears.
    """

    row: Row[Any]
    place: int
    fits: bool


def diagnose(
    rows: Sequence[Row[Any]], head: LedgerHead, fits: Callable[[Row[Any], int], bool]
) -> list[LedgerProblem]:
    """Compare the rows there are with the chain that the head anchors.

    :param rows: all rows of the ledger, by number.
    :param fits: whether a row's hash is that of its content, written as row number so-and-so.
    """
    chain, surplus = _places(_read(rows, fits), head)
    problems = [
        LedgerProblem(read.row.number, "inserted", f"Row {read.row.number} was inserted: {why}.")
        for read, why in surplus
    ]
    wanted_hash = head.hash
    for place in range(head.count, 0, -1):
        read = chain.get(place)
        if read is None:
            problems.append(LedgerProblem(place, "removed", f"Row {place} was removed."))
            wanted_hash = ""
            continue
        number = read.row.number
        how = ""
        if not read.fits:
            how = "its content does not have the hash it bears"
        elif wanted_hash not in ("", read.row.hash):
            how = "its hash was changed with it, and is not the one that was recorded behind it"
        if how:
            problems.append(LedgerProblem(number, "changed", f"Row {number} was changed: {how}."))
        # What a changed row says of the row before it may be the very thing that was changed.
        wanted_hash = "" if how else read.row.previous_hash
    return problems


def _read(rows: Sequence[Row[Any]], fits: Callable[[Row[Any], int], bool]) -> list[_Read]:
    shift = 0
    read = []
    for row in rows:
        for candidate in (shift, shift + 1, shift - 1):
            if fits(row, row.number - candidate):
                shift = candidate
                read.append(_Read(row, row.number - shift, True))
                break
        else:
            read.append(_Read(row, row.number - shift, False))
    return read


def _places(read: Sequence[_Read], head: LedgerHead) -> tuple[dict[int, _Read], list[tuple[_Read, str]]]:
    """Give each place of the chain its row; what is left over was inserted."""
    linked_hashes = {each.row.previous_hash for each in read if each.fits} | {head.hash}
    chain: dict[int, _Read] = {}
    surplus: list[tuple[_Read, str]] = []
    # The row that another one refers to has the better claim to its place, then the one whose hash fits.
    for each in sorted(read, key=lambda each: (not each.fits, each.row.hash not in linked_hashes)):
        if not 1 <= each.place <= head.count:
            surplus.append((each, f"the ledger's head knows {head.count} rows"))
        elif each.place in chain:
            surplus.append((each, f"the place is that of row {chain[each.place].row.number}"))
        else:
            chain[each.place] = each
    return chain, surplus
