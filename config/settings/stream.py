"""The numbers of the stream (contract §6). Seconds and bytes."""

from config.env import env

STREAM_SERVER = env.choice("STREAM_SERVER", "uvicorn", ("uvicorn", "daphne"))
STREAM_FRAME_BYTES = 64 * 1024  # a client's larger one ends its stream with 1009
STREAM_BUFFER_BYTES = 1024 * 1024  # more than this waiting for a client: 4008
STREAM_STALL_SECONDS = 30  # a replay that its client does not read: 4008
STREAM_MESSAGES_PER_SECOND = 50  # more from a client: 4029
STREAM_MAX_AGE_SECONDS = env.integer("STREAM_MAX_AGE_SECONDS", 12 * 3600, low=1, high=86_400)
STREAM_HEARTBEAT_SECONDS = env.integer("STREAM_HEARTBEAT_SECONDS", 10, low=1, high=15)
STREAM_LOOK_SECONDS = 3  # how often a stream looks at the heads by itself
STREAM_RECHECK_SECONDS = 5  # how often it asks whether its followers still may follow
STREAM_DRAIN_SECONDS = env.integer("STREAM_DRAIN_SECONDS", 5, low=0, high=300)
STREAM_PAGE = 500  # events a read
