"""The channel layer of the peers, with room enough that it drops nothing by design."""

import os
from typing import Any

GROUP = "everybody"


def layer_config(layer: str) -> dict[str, dict[str, Any]]:
    """Return CHANNEL_LAYERS for one layer."""
    host = {"address": os.environ["REDIS_URL"], "socket_timeout": 30, "max_connections": 10_000}
    config: dict[str, Any] = {"hosts": [host]}
    if "core" in layer:
        config["capacity"] = 100_000_000
    return {"default": {"BACKEND": layer, "CONFIG": config}}
