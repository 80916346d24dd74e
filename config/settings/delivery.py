"""The numbers of the delivery engine (contract §5 and §7). Seconds, unless said otherwise."""

from ipaddress import ip_network

from config.env import env
from tasks_app.security.way_out import OutboundProxy, read_name_servers, read_proxy


def networks(text: str) -> list[str]:
    """Return a comma list of CIDR networks; raises ValueError where one is none."""
    return [str(ip_network(item.strip())) for item in text.split(",") if item.strip()]


def proxy(text: str) -> OutboundProxy | None:
    """Return the proxy of a URL, or None; raises ValueError, without the URL."""
    return read_proxy(text, resolves=env.boolean("OUTBOUND_PROXY_RESOLVES", False))


OUTBOUND_ENABLED = env.boolean("OUTBOUND_ENABLED", True)
OUTBOUND_ALLOWED_NETWORKS = env.parsed("OUTBOUND_ALLOWED_NETWORKS", "", networks)
OUTBOUND_DNS_SERVERS = env.parsed("OUTBOUND_DNS_SERVERS", "", read_name_servers)
OUTBOUND_PROXY = env.parsed("OUTBOUND_PROXY", "", proxy)
CONNECTORS = env.items("CONNECTORS")  # modules that register further kinds
DELIVERY_CONNECT_TIMEOUT = 5.0
DELIVERY_IN_FLIGHT = env.integer("DELIVERY_IN_FLIGHT", 100, low=1, high=1000)  # a process
DELIVERY_LEASE_MARGIN = 30.0  # a lease outlives its attempt's deadline by this
DELIVERY_WORKER_BEAT = 2.0
DELIVERY_WORKER_SILENCE = 6.0  # a worker silent for this long has died
DELIVERY_POISON_LEASES = 20  # leases without any outcome
# Of nothing but failures.
DELIVERY_AUTO_PAUSE_AFTER = env.integer(
    "DELIVERY_AUTO_PAUSE_AFTER", 5 * 24 * 3600, low=1, high=365 * 24 * 3600
)
DELIVERY_MAX_AGE = 4 * 24 * 3600  # older than this: dead
# How long the past is kept, in days; 0: for ever.
RETENTION_LOG_DAYS = env.integer("RETENTION_LOG_DAYS", 90, low=0, high=36_500)
RETENTION_ATTEMPTS_DAYS = env.integer("RETENTION_ATTEMPTS_DAYS", 30, low=0, high=36_500)
