"""Who may read /metrics: whoever knows the token, or asks from a network that is named."""

from config.env import env
from config.settings.delivery import networks

METRICS_TOKEN = env.text("METRICS_TOKEN", "")
METRICS_ALLOWED_NETWORKS = env.parsed("METRICS_ALLOWED_NETWORKS", "", networks)
