"""The compiled parser behind `load_letor`: bytes of svmlight lines in, arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Lines = NDArray[np.int64]
    Words = tuple[Bytes, Bytes, Bytes, Bytes]

FINE, HARD, ABSENT, INFINITE, BAD = 0, 1, 2, 3, 4
"""What a number is: read exactly, to be read by Python, NULL or NaN, too large, no number."""

(
    NO_FAULT,
    BAD_GRADE,
    GRADE_NOT_WHOLE,
    GRADE_ABSENT,
    EMPTY_QID,
    NO_COLON,
    BAD_INDEX,
    INDEX_TOO_LARGE,
    INDEX_TOO_SMALL,
    NOT_ASCENDING,
    BAD_VALUE,
    VALUE_INFINITE,
) = range(12)

MAX_INDEX = 1_000_000
MAX_FLOAT32 = 3.4028235677973362e38
# Digits beyond the 19th, the rounding of the digits and that of the power of ten together stay
# well below this share of the number.
SLACK = 2.0**-49
POWERS = np.array([10.0**exponent for exponent in range(301)])
NEWLINE, SPACE, COLON, HASH, EQUALS = 10, 32, 58, 35, 61
PLUS, MINUS, POINT, LETTER_E = 43, 45, 46, 101


@kernel
def is_blank(byte: int) -> bool:
    """Return whether a byte separates tokens within a line."""
    return byte == SPACE or 9 <= byte <= 13


@kernel
def lower(byte: int) -> int:
    """Return the byte in lower case."""
    return byte + 32 if 65 <= byte <= 90 else byte


@kernel
def word_is(data: Bytes, start: int, end: int, word: Bytes) -> bool:
    """Return whether data[start:end] is the (lower-case) word, in any case."""
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110 - numba compiles no generators
        if lower(data[start + i]) != word[i]:
            return False
    return True


@kernel
def parse_index(data: Bytes, start: int, end: int) -> int:
    """Return the whole number in data[start:end]; -1 if none, any larger one if > MAX_INDEX."""
    if start >= end:
        return -1
    number = 0
    for i in range(start, end):
        digit = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        if number <= MAX_INDEX:
            number = number * 10 + int(digit)
    return number


@kernel
def parse_number(data: Bytes, start: int, end: int, words: Words) -> tuple[float, int]:
    """Return the number in data[start:end] and what it is: FINE, HARD, ABSENT, INFINITE or BAD.

    FINE means that rounding to float32 is certain: every double within the parser's error rounds
    to the same float32. The few others (about one in 10^7) are HARD.
    """
    if word_is(data, start, end, words[0]) or word_is(data, start, end, words[1]):
        return np.nan, ABSENT
    signed = start < end and (data[start] == MINUS or data[start] == PLUS)
    digits, exponent, stop = parse_digits(data, start + signed, end)
    if stop < 0:
        return 0.0, BAD
    if stop < end:
        power, good = parse_exponent(data, stop, end)
        if not good:
            return 0.0, BAD
        exponent += power
    value, kind = scaled(digits, exponent)
    return (-value if data[start] == MINUS else value), kind


@kernel
def parse_digits(data: Bytes, start: int, end: int) -> tuple[np.uint64, int, int]:
    """Return digits and exponent of ``12.5`` (125, -1) and where it stops; -1 without a digit."""
    digits, exponent, seen, fraction = np.uint64(0), 0, False, False
    i = start
    while i < end:
        digit = np.int64(data[i]) - 48
        if data[i] == POINT and not fraction:
            fraction = True
        elif digit < 0 or digit > 9:
            break
        elif digits < np.uint64(10**18):
            seen = True
            digits = digits * np.uint64(10) + np.uint64(digit)
            exponent -= fraction
        else:
            exponent += not fraction
        i += 1
    return digits, exponent, (i if seen else -1)


@kernel
def parse_exponent(data: Bytes, start: int, end: int) -> tuple[int, bool]:
    """Return the exponent in ``e-12`` and whether it is one."""
    if lower(data[start]) != LETTER_E or start + 1 == end:
        return 0, False
    sign = data[start + 1]
    power = parse_index(data, start + 1 + (sign in (MINUS, PLUS)), end)
    return (-power if sign == MINUS else power), power >= 0


@kernel
def scaled(digits: np.uint64, exponent: int) -> tuple[float, int]:
    """Return digits * 10^exponent and whether its float32 is certain."""
    if digits == 0:
        return 0.0, FINE
    if exponent > 300:
        return 0.0, INFINITE
    if exponent < -300:
        return 0.0, HARD
    value = np.float64(digits)
    value = value * POWERS[exponent] if exponent >= 0 else value / POWERS[-exponent]
    if value >= MAX_FLOAT32:
        return value, INFINITE
    certain = np.float32(value * (1 - SLACK)) == np.float32(value * (1 + SLACK))
    return value, (FINE if certain else HARD)


@kernel
def content_end(data: Bytes, start: int, end: int) -> int:
    """Return where the comment of a line begins, or the end of the line."""
    for i in range(start, end):
        if data[i] == HASH:
            return i
    return end


@kernel
def token(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the first token in data[start:end]; equal where there is none."""
    while start < end and is_blank(data[start]):
        start += 1
    stop = start
    while stop < end and not is_blank(data[stop]):
        stop += 1
    return start, stop


@kernel
def measure(data: Bytes, starts: Lines, ends: Lines) -> tuple[int, int, int]:
    """Return the number of rows, the lowest and the highest feature index."""
    rows, lowest, highest = 0, MAX_INDEX + 1, -1
    for line in range(len(starts)):
        stop = content_end(data, starts[line], ends[line])
        a, b = token(data, starts[line], stop)
        if a == b:
            continue
        rows += 1
        number, pure = 0, True
        for i in range(b, stop):
            byte = data[i]
            digit = np.int64(byte) - 48
            if 0 <= digit <= 9:
                if number <= MAX_INDEX:
                    number = number * 10 + int(digit)
            elif is_blank(byte):
                number, pure = 0, True
            else:
                if byte == COLON and pure and not is_blank(data[i - 1]):
                    lowest, highest = min(lowest, number), max(highest, number)
                pure = False
    return rows, lowest, highest


@kernel
def parse_rows(
    data: Bytes,
    starts: Lines,
    ends: Lines,
    base: int,
    words: Words,
    X: NDArray[np.float32],
    grade: NDArray[np.float64],
    spans: NDArray[np.int64],
    row_line: NDArray[np.int64],
    hard: NDArray[np.bool_],
) -> tuple[int, int, int, int]:
    """Fill one row of every array per line that holds one; return the first fault.

    `spans` gets the bounds of the qid and of the docid (zeros where absent); `row_line` the
    line. A fault is (kind, line, start, end of the token).
    """
    row = 0
    for line in range(len(starts)):
        stop = content_end(data, starts[line], ends[line])
        a, b = token(data, starts[line], stop)
        if a == b:
            continue
        grade[row], fault = parse_grade(data, a, b, words)
        if fault != NO_FAULT:
            return fault, line, a, b
        row_line[row] = line
        a, b = token(data, b, stop)
        if b - a >= 4 and word_is(data, a, a + 4, words[2]):
            if b - a == 4:
                return EMPTY_QID, line, a, b
            spans[row, 0], spans[row, 1] = a + 4, b
            a, b = token(data, b, stop)
        fault, a, b = parse_features(data, a, stop, base, words, X[row], hard[row : row + 1])
        if fault != NO_FAULT:
            return fault, line, a, b
        spans[row, 2], spans[row, 3] = document_span(data, stop, ends[line], words[3])
        row += 1
    return NO_FAULT, 0, 0, 0


@kernel
def parse_grade(data: Bytes, start: int, end: int, words: Words) -> tuple[float, int]:
    """Return the grade in data[start:end] and what is wrong with it."""
    value, kind = parse_number(data, start, end, words)
    if kind == ABSENT:
        return value, GRADE_ABSENT
    if kind == BAD:
        return value, BAD_GRADE
    if kind == INFINITE or value < 0 or value != np.floor(value):
        return value, GRADE_NOT_WHOLE
    return value, NO_FAULT


@kernel
def parse_features(
    data: Bytes,
    start: int,
    end: int,
    base: int,
    words: Words,
    values: NDArray[np.float32],
    hard: NDArray[np.bool_],
) -> tuple[int, int, int]:
    """Fill the values of one row; return the first fault and the bounds of its token."""
    before = -1
    a, b = token(data, start, end)
    while a < b:
        colon = a
        while colon < b and data[colon] != COLON:
            colon += 1
        index = parse_index(data, a, colon)
        fault = index_fault(index, before, base, len(values)) if colon < b else NO_COLON
        if fault != NO_FAULT:
            return fault, a, b
        value, kind = parse_number(data, colon + 1, b, words)
        if kind in (BAD, INFINITE):
            return (BAD_VALUE if kind == BAD else VALUE_INFINITE), a, b
        hard[0] |= kind == HARD
        values[index - base] = value
        before = index
        a, b = token(data, b, end)
    return NO_FAULT, 0, 0


@kernel
def index_fault(index: int, before: int, base: int, width: int) -> int:
    """Return what is wrong with a feature index, -1 standing for no number."""
    if index < 0:
        return BAD_INDEX
    if index < base:
        return INDEX_TOO_SMALL
    if index - base >= width:
        return INDEX_TOO_LARGE
    return NOT_ASCENDING if index <= before else NO_FAULT


@kernel
def document_span(data: Bytes, start: int, end: int, docid: Bytes) -> tuple[int, int]:
    """Return the bounds of X in a comment that says ``docid = X``; zeros where none does."""
    width = len(docid)
    for i in range(start, end - width):
        a = i + width
        if word_is(data, i, a, docid) and (is_blank(data[a]) or data[a] == EQUALS):
            while a < end and (is_blank(data[a]) or data[a] == EQUALS):
                a += 1
            return token(data, a, end)
    return 0, 0
