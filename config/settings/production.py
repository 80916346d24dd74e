"""Production: HTTPS only, no default secret, hosts named."""

from django.core.exceptions import ImproperlyConfigured

from config.env import env
from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS, ENCRYPTION_KEYS, SECRET_KEY
from config.settings.people import public_address

if len(SECRET_KEY) < 50 or "not-a-secret" in SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY must be a random text of at least 50 characters.")
if not ENCRYPTION_KEYS:
    raise ImproperlyConfigured("ENCRYPTION_KEYS is empty: name at least one id:base64 key.")
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name hosts, not *.")

PUBLIC_URL = env.parsed(
    "PUBLIC_URL", f"https://{(ALLOWED_HOSTS or ['localhost'])[0].lstrip('.')}", public_address
)
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 31_536_000, low=0, high=63_072_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
