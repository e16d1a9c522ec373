"""Fixed noise: the random numbers of a session or user, a function of a hash.

With new random numbers at every page a session's results would flicker although nothing was
learnt. Here they depend on (salt, session or user, arm) alone, so that two draws of one session
differ only by what the posterior learnt between them. An arm's numbers do not depend on the other
arms or on their order.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEPS: Final = 7
"""Exponential numbers for each of the two gamma variates behind a beta variate."""

_BITS: Final = 2.0**-32


class Noise(NamedTuple):
    """Independent numbers for every arm."""

    normal: Floats  # shape (2, arms): standard normal
    exponential: Floats  # shape (STEPS, 2, arms): standard exponential


class FixedNoise:
    """The numbers of any session or user, for the arms given.

    `salt`: another salt gives other numbers to everybody.

    An arm's digest is BLAKE2b (RFC 7693) of the UTF-8 text ``<length of salt>:<salt><length of
    key>:<key><arm>``; its 64 bytes are 16 little-endian integers k, taken as uniform numbers
    (k + 1/2) / 2^32. The first two give two normal numbers (Box and Muller 1958), the others give
    exponential ones, -log u.

    >>> noise = FixedNoise(["bm25", "clip"], salt="a").of("session:1")
    >>> noise.normal.shape
    (2, 2)
    >>> alone = FixedNoise(["clip"], salt="a").of("session:1")
    >>> bool(alone.normal[0, 0] == noise.normal[0, 1])
    True
    """

    def __init__(self, arms: Sequence[str], salt: str = "") -> None:
        self._arms = [arm.encode() for arm in arms]
        self._salt = _framed(salt)

    def of(self, key: str) -> Noise:
        """Return the numbers of one session or user."""
        start = blake2b(self._salt + _framed(key))
        digests = []
        for arm in self._arms:
            digest = start.copy()
            digest.update(arm)
            digests.append(digest.digest())
        words = np.frombuffer(b"".join(digests), "<u4").reshape(len(digests), -1)
        uniform = (words.T + 0.5) * _BITS
        exponential = -np.log(uniform)
        radius = np.sqrt(2.0 * exponential[0])
        angle = (2.0 * np.pi) * uniform[1]
        normal = np.array((radius * np.cos(angle), radius * np.sin(angle)))
        return Noise(normal, exponential[2:].reshape(STEPS, 2, -1))


def _framed(text: str) -> bytes:
    encoded = text.encode()
    return b"%d:%b" % (len(encoded), encoded)
