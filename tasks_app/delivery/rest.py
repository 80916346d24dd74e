"""A sweep that has just run lets bells pass: after an outage thousands may have piled up.

No bell has an expiry instead: that is a moment of the sender's clock, compared with the receiver's.
A worker whose clock is ahead by more would hear none at all.
"""

import time


class Rest:
    """Tells one process's sweeps apart from echoes of bells that rang long ago."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = float("-inf")

    def is_over(self) -> bool:
        """Tell whether to sweep now; if so the next rest begins."""
        now = time.monotonic()
        if now - self._began < self._seconds:
            return False
        self._began = now
        return True

    def begin(self) -> None:
        """Rest from now on: for work that may take longer than the time between two bells.

        Those that were rung meanwhile then pass, and what else waits in their queue has its turn.
        """
        self._began = time.monotonic()
