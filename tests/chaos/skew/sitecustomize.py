"""A clock that goes wrong: shifts the wall clock of this process by CHAOS_CLOCK_SKEW seconds.

Python imports a module of this name at its start where its folder is on PYTHONPATH. The monotonic
clock stays right, as it does on a machine whose time was set by hand.
"""

import datetime
import os
import time
from datetime import datetime as _real
from typing import Any

_SKEW = float(os.environ.get("CHAOS_CLOCK_SKEW", "0"))
_real_time, _real_time_ns = time.time, time.time_ns


class _OneClass(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _real)


class _Shifted(_real, metaclass=_OneClass):
    """Makes real datetimes; only ``now`` and its kin are wrong."""

    __slots__ = ()  # C code compares the size of the class

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return _real(*args, **options)  # noqa: DTZ001 - as it was asked for

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _real.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return _real.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return _real.fromtimestamp(time.time())  # noqa: DTZ006 - as datetime.today() does


if _SKEW:
    time.time = lambda: _real_time() + _SKEW
    time.time_ns = lambda: _real_time_ns() + int(_SKEW * 1e9)
    datetime.datetime = _Shifted  # type: ignore[misc]
