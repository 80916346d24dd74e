"""The channel layer: hints that a log has grown. Every timeout is explicit.

With redis-py 8 the defaults end idle sockets after 5 s (channels_redis#422) and refuse the
101st connection, so both are set.
"""

from config.settings.valkey import CACHE_URL, REDIS_URL

CHANNEL_PREFIX = "aftercommit"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "prefix": CHANNEL_PREFIX,
            "hosts": [
                {
                    "address": CACHE_URL or REDIS_URL,
                    "socket_timeout": 30,
                    "socket_connect_timeout": 3,
                    "socket_keepalive": True,
                    "health_check_interval": 10,
                    "max_connections": 1000,
                },
            ],
        },
    },
}
