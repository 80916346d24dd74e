"""The peer: what one writes first with Channels, a consumer in a group, one message an event."""

import os

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from tests.benchmarks.plain_layer import GROUP, layer_config

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
django.setup()
settings.CHANNEL_LAYERS = layer_config(os.environ["BENCH_LAYER"])


class PlainConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Relays whatever is sent to its group."""

    async def connect(self) -> None:
        """Join."""
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def event_happened(self, message: dict[str, str]) -> None:
        """Pass it on."""
        await self.send(text_data=message["text"])


application = PlainConsumer.as_asgi()
