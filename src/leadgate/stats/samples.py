"""Two samples side by side, without sorting them (quiet).

A Kolmogorov-Smirnov statistic, tenths and quartiles need the exact order of values in few places only. So values are
counted in cells of a code that keeps their order, and only the cells in which one of these can lie are looked at value
by value. That takes a sixth of the time that sorting both takes, and the result is the same.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_FIRST = 16
"""Bits of a code that tell the cells of the first cut apart."""
_SHARE = 1 << 15
"""Cells with a larger part of the values than one of so many are cut again, to that."""
_ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class SideBySide:
    """Two samples in the same bins, ascending; none is empty on both sides."""

    edges: Floats
    """Upper edges, inclusive."""
    a: Counts
    b: Counts


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cells:
    """Ranges of codes. One of the first cut begins at a multiple of 2 ** shift and is cut in 2 ** bits."""

    shift: int
    bits: Codes
    start: Counts
    """By cell of the first cut: the number of the first cell within it."""

    def of(self, codes: Codes) -> Counts:
        """The cell of each code."""
        first = (codes >> np.uint64(self.shift)).view(np.int64)
        within = codes & np.uint64((1 << self.shift) - 1)
        within >>= (np.uint64(self.shift) - self.bits)[first]
        return self.start[first] + within.view(np.int64)

    def ends(self, cells: Counts) -> Codes:
        """The largest code of each cell."""
        first = np.searchsorted(self.start, cells, side="right") - 1
        rest = np.uint64(self.shift) - self.bits[first]
        begin: Codes = first.astype(np.uint64) << np.uint64(self.shift)
        after: Codes = (cells - self.start[first] + 1).astype(np.uint64) << rest
        begin += after - np.uint64(1)  # in place: the last may be the largest of all integers
        return begin


def side_by_side(a: Floats, b: Floats) -> SideBySide:
    """Count two samples of finite values, each with at least one, in bins that lose nothing of what matters.

    The Kolmogorov-Smirnov statistic of the bins is that of the values, and the tenths and quartiles of both samples are
    edges.
    """
    x, y = _keys(a), _keys(b)
    low, high = min(int(x.min()), int(y.min())), max(int(x.max()), int(y.max()))
    sides = _codes(x, low), _codes(y, low)
    cells = _cut(*sides, shift=max(0, (high - low).bit_length() - _FIRST))
    places = cells.of(sides[0]), cells.of(sides[1])
    counts = [np.bincount(place, minlength=int(cells.start[-1]) + 1) for place in places]
    used = np.flatnonzero(counts[0] + counts[1])
    n, m = counts[0][used], counts[1][used]
    wanted = _wanted(n, m)
    looked_at = np.zeros(len(counts[0]), dtype=np.bool_)
    looked_at[used[wanted]] = True
    points, fine = _values(sides, places, looked_at)
    ends = np.minimum(cells.ends(used[~wanted]), np.uint64(high - low))
    codes = np.concatenate([ends, points])
    order = np.argsort(codes)
    return SideBySide(
        edges=_decoded(codes[order], low),
        a=np.concatenate([n[~wanted], fine[0]])[order],
        b=np.concatenate([m[~wanted], fine[1]])[order],
    )


def _keys(values: Floats) -> npt.NDArray[np.int64]:
    """Integers in the order of the values: their bits, with those of negative ones turned around."""
    keys = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0
    keys ^= (keys >> 63) & np.int64((1 << 63) - 1)
    return keys


def _codes(keys: npt.NDArray[np.int64], low: int) -> Codes:
    """Distances of keys from the lowest."""
    codes = keys.view(np.uint64)
    codes -= np.uint64(low & _ALL_BITS)
    return codes


def _decoded(codes: Codes, low: int) -> Floats:
    keys = (codes + np.uint64(low & _ALL_BITS)).view(np.int64)
    return (keys ^ ((keys >> 63) & np.int64((1 << 63) - 1))).view(np.float64)


def _cut(a: Codes, b: Codes, *, shift: int) -> _Cells:
    """Cells with about the same part of the values, as far as few cuts can do that."""
    n, m = (np.bincount((side >> np.uint64(shift)).view(np.int64), minlength=1 << _FIRST) for side in (a, b))
    parts = np.maximum(1.0, (n + m) * (_SHARE / (len(a) + len(b))))
    bits = np.minimum(np.ceil(np.log2(parts)), shift).astype(np.uint64)
    cells = np.left_shift(np.int64(1), bits.astype(np.int64))
    start = np.cumsum(cells) - cells
    return _Cells(shift=shift, bits=bits, start=np.append(start, start[-1] + cells[-1]))


def _wanted(n: Counts, m: Counts) -> Mask:
    """The cells whose insides matter.

    Within them the distribution functions may be further apart than at any end of a cell, or tenths or quartiles lie.
    """
    share_a, share_b = n / n.sum(), m / m.sum()
    apart = np.cumsum(share_a - share_b)
    before = np.append(0.0, apart[:-1])
    wanted: Mask = np.maximum(before + share_a, share_b - before) > np.abs(apart).max()
    for counts in (n, m):
        seen = np.cumsum(counts)
        at = np.searchsorted(seen, seen[-1] * np.append(np.arange(1, 10) / 10, (0.25, 0.75)), side="left")
        wanted[np.minimum(at, len(seen) - 1)] = True
    return wanted


def _values(
    sides: tuple[Codes, Codes], places: tuple[Counts, Counts], looked_at: Mask
) -> tuple[Codes, tuple[Counts, Counts]]:
    """The different codes in some cells, ascending, and how often either side has each."""
    inside = [looked_at[place] for place in places]
    codes = [side[there] for side, there in zip(sides, inside, strict=True)]
    cells = [place[there] for place, there in zip(places, inside, strict=True)]
    # What many leads have is alone in its cell, and need not be sorted.
    alone_at, alone = _alone(codes, cells, looked_at)
    rest = [np.sort(code[~alone[cell]]) for code, cell in zip(codes, cells, strict=True)]
    points = _distinct(np.sort(np.concatenate(rest)))
    lonely = np.flatnonzero(alone)
    counts = []
    for cell, ordered in zip(cells, rest, strict=True):
        above = np.searchsorted(ordered, points, side="right")
        counts.append(np.append(np.bincount(cell, minlength=len(alone))[lonely], np.diff(above, prepend=0)))
    return np.append(alone_at[lonely], points), (counts[0], counts[1])


def _alone(codes: list[Codes], cells: list[Counts], looked_at: Mask) -> tuple[Codes, Mask]:
    """By cell: a code in it, and whether it has no other."""
    one = np.zeros(len(looked_at), dtype=np.uint64)
    for code, cell in zip(codes, cells, strict=True):
        one[cell] = code
    alone = looked_at.copy()
    for code, cell in zip(codes, cells, strict=True):
        alone[cell[one[cell] != code]] = False
    return one, alone


def _distinct(ordered: Codes) -> Codes:
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
