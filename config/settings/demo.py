"""The demo workspace of `make up`: a login, a key and a webhook secret that everybody knows.

The sandbox checks signatures with DEMO_WEBHOOK_SECRET: start it with
SANDBOX_SECRETS=<DEMO_WEBHOOK_SECRET>. Never in production.
"""

from config.env import env
from tasks_app.security.signing import check_secret


def webhook_secrets(text: str) -> list[str]:
    """Return a list of secrets; raises ValueError where one is none."""
    secrets = text.replace(",", " ").split()
    for secret in secrets:
        check_secret(secret)
    return secrets


DEMO_ALLOWED = env.boolean("DEMO_ALLOWED", False)
DEMO_API_KEY = "dev-secret-token"
DEMO_WEBHOOK_SECRET = "whsec_YWZ0ZXJjb21taXQtZGVtby1zZWNyZXQtMzItYnl0ZXM="  # noqa: S105
SANDBOX_SECRETS = env.parsed("SANDBOX_SECRETS", DEMO_WEBHOOK_SECRET, webhook_secrets)
SANDBOX_PORT = env.integer("SANDBOX_PORT", 8001, low=1, high=65_535)
