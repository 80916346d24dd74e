"""The test settings, for a stream that soon loses patience with clients."""

from config.settings.test import *  # noqa: F403

STREAM_STALL_SECONDS = 1
