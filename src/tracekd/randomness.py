"""Randomness as a pure function of a key such as (seed, purpose, question id).

A shared generator makes a row's draw depend on how many rows came before it. Here each draw
depends on its own key alone, so the same question gets the same draw in every run, in any order,
on any machine.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_SPAN = 1 << 64


def digest(*key: str | int) -> int:
    """Return a uniform integer in [0, 2**64) that is a function of `key` alone."""
    raw = hashlib.blake2b(json.dumps(key).encode("ascii"), digest_size=8).digest()
    return int.from_bytes(raw, "big")


def uniform(*key: str | int) -> float:
    """Return a uniform number in [0, 1) that is a function of `key` alone."""
    return digest(*key) / _SPAN


def choose(options: Sequence[T], *key: str | int) -> T:
    """Return one of `options` (not empty), uniformly."""
    return options[digest(*key) * len(options) // _SPAN]


def sample(options: Sequence[T], count: int, *key: str | int) -> list[T]:
    """Return `count` of `options` without repetition, in the order of `options`."""
    return [options[index] for index in sorted(_ranked(len(options), key)[:count])]


def shuffled(options: Sequence[T], *key: str | int) -> list[T]:
    """Return `options` in an order that is a function of `key` alone."""
    return [options[index] for index in _ranked(len(options), key)]


def _ranked(count: int, key: tuple[str | int, ...]) -> list[int]:
    """Return the integers below `count` in the order of `digest(*key, integer)`."""
    return sorted(range(count), key=lambda index: digest(*key, index))
