"""Who may speak to us, and the keys that seal what we keep."""

from config.env import env
from tasks_app.security.cors import check_origin
from tasks_app.security.encryption import KeyRing


def origins(text: str) -> list[str]:
    """Return a comma list of origins; raises ValueError where one is none, also for ``*``."""
    return [check_origin(item.strip()) for item in text.split(",") if item.strip()]


def encryption_keys(text: str) -> list[str]:
    """Return a comma list of keys, or none; raises ValueError where one is none."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    if items:
        KeyRing.parse(items)
    return items


SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.items("SECRET_KEY_FALLBACKS")
ENCRYPTION_KEYS = env.parsed("ENCRYPTION_KEYS", "", encryption_keys)
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CORS_ALLOWED_ORIGINS = env.parsed("CORS_ALLOWED_ORIGINS", "", origins)
ALLOWED_ORIGINS = env.items("ALLOWED_ORIGINS")  # of WebSockets, beside the page's own host
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")

MIDDLEWARE = [
    "tasks_app.api.middleware.RequestIdMiddleware",
    "tasks_app.api.middleware.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "tasks_app.admin.headers.AdminHeadersMiddleware",
    "tasks_app.api.middleware.CorsMiddleware",
    "tasks_app.api.head.HeadMiddleware",
    "tasks_app.api.throttles.RateLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "tasks_app.api.middleware.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tasks_app.api.form_method.FormMiddleware",
    "axes.middleware.AxesMiddleware",  # last: answers who has to wait
]
LOGIN_REDIRECT_URL = "/api/docs/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_ENGINE = "tasks_app.actions.session_store"  # tells streams of every logout
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
