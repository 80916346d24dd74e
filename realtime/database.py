"""PostgreSQL from the loop: a few threads of our own, each of which keeps its connection.

Channels' default is one thread for every socket of a process, where one slow query holds up
all of them; and threads without a bound would be connections without a bound. Each visit asks
first whether its connection still lives, so a restart of PostgreSQL costs nobody an admission.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar, cast

from channels.db import database_sync_to_async

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 4


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="stream-database")


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run synchronous database work beside the loop; raises what it raises."""
    hop = database_sync_to_async(work, thread_sensitive=False, executor=_threads())
    return cast("T", await hop(*args, **kwargs))
