"""The numbers of the delivery engine (contract §5 and §7). Seconds, unless said otherwise."""

from ipaddress import ip_network

from config.env import env


def networks(text: str) -> list[str]:
    """Return a comma list of CIDR networks; raises ValueError where one is none."""
    return [str(ip_network(item.strip())) for item in text.split(",") if item.strip()]


OUTBOUND_ENABLED = env.boolean("OUTBOUND_ENABLED", True)
OUTBOUND_ALLOWED_NETWORKS = env.parsed("OUTBOUND_ALLOWED_NETWORKS", "", networks)
DELIVERY_CONNECT_TIMEOUT = 5.0
DELIVERY_IN_FLIGHT = env.integer("DELIVERY_IN_FLIGHT", 100, low=1, high=1000)  # a process
DELIVERY_LEASE_MARGIN = 30.0  # a lease outlives its attempt's deadline by this
DELIVERY_WORKER_BEAT = 2.0
DELIVERY_WORKER_SILENCE = 6.0  # a worker silent for this long has died
DELIVERY_POISON_LEASES = 20  # leases without any outcome
DELIVERY_MAX_AGE = 4 * 24 * 3600  # older than this: dead
