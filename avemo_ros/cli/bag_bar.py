"""A progress bar over recordings."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm


class Bar:
    """A bar over the message time of all bags, with the speed and the time that is left."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[Any] | None = None
        self._bags = 0
        self._began = time.monotonic()

    def __enter__(self) -> Bar:
        return self

    def begin(self, seconds: float, bags: int) -> None:
        """So much lies ahead."""
        self._bags = bags
        self._began = time.monotonic()
        self._bar = tqdm(
            total=seconds,
            disable=not self._shown,
            file=sys.stderr,
            leave=False,
            desc=self._done(0),
            bar_format="{desc} {bar} {n:.0f}/{total:.0f} s{postfix}, {remaining} left",
        )

    def reach(self, seconds: float, bags: int) -> None:
        """So much is done."""
        if self._bar is None:
            return
        speed = seconds / max(time.monotonic() - self._began, 1e-6)
        self._bar.desc = self._done(bags)
        self._bar.postfix = f"{speed:.1f} times real time"
        self._bar.update(seconds - self._bar.n)

    def _done(self, bags: int) -> str:
        return f"{bags}/{self._bags} bag{'' if self._bags == 1 else 's'}"

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
