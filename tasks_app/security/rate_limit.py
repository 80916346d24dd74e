"""Rate limits by the generic cell rate algorithm, and the header fields that announce them.

GCRA (ITU-T I.371, virtual scheduling) keeps one moment for each caller: when a bucket that fills
evenly would be full again. A request that would move it further ahead than a whole burst is one
too many. There is no window whose edge could be waited for, and nothing to clear up: the moment
expires by itself. The script decides and writes in one step, by the store's own clock, so it
holds whatever the number of processes and whatever their clocks say.

The fields are those of draft-ietf-httpapi-ratelimit-headers-11: structured fields (RFC 9651).
"""

import math
from dataclasses import dataclass
from typing import Final

#: KEYS: the caller. ARGV: microseconds a request, requests at once.
#: Answers whether it may, how many more may at once, and how many microseconds one more must wait.
SCRIPT: Final = """
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local room = interval * burst
local full = tonumber(redis.call('GET', KEYS[1]) or now)
-- A clock that was put back must lock nobody out for longer than a burst lasts.
full = math.min(math.max(full, now), now + room) + interval
if full - now > room then
    return {0, 0, full - now - room}
end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {1, math.floor((room - (full - now)) / interval), 0}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """So many requests a minute in the long run, and so many at once."""

    name: str
    per_minute: int
    burst: int

    @property
    def interval(self) -> int:
        """Return after how many microseconds there is room for one more."""
        return max(1, round(60_000_000 / self.per_minute))

    @property
    def window(self) -> int:
        """Return within how many seconds a burst is restored, rounded up."""
        return max(1, math.ceil(self.burst * 60 / self.per_minute))

    @property
    def announced(self) -> str:
        """Return the value of `RateLimit-Policy` (draft, section 3)."""
        return f'"{self.name}";q={self.burst};w={self.window}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the script said of one request."""

    policy: Policy
    allowed: bool
    remaining: int
    wait: int

    @property
    def retry_after(self) -> int:
        """Return after how many whole seconds one more would be let through, at least 1."""
        return max(1, math.ceil(self.wait / 1_000_000))

    @property
    def announced(self) -> str:
        """Return the value of `RateLimit` (draft, section 4).

        `t` spreads what remains as the policy does, so that a client that paces itself by r/t is
        never told a pace that the policy does not keep up (section 8.5); and it never ends after
        Retry-After (section 6).
        """
        spread = math.ceil(self.remaining * self.policy.interval / 1_000_000)
        within = max(1, spread) if self.allowed else self.retry_after
        return f'"{self.policy.name}";r={self.remaining};t={within}'

    def headers(self) -> dict[str, str]:
        """Return what an answer says of it."""
        told = {"RateLimit-Policy": self.policy.announced, "RateLimit": self.announced}
        return told if self.allowed else told | {"Retry-After": str(self.retry_after)}
