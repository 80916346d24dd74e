"""Django's sessions in the database, which tell streams when one ends (SESSION_ENGINE).

Logging out deletes the session wherever it is done, in the admin as in the API: so this is the
one place that sees every logout, and a screen that somebody left open goes dark at once.
"""

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from tasks_app.events.access_hook import tell_access_changed


class SessionStore(DatabaseStore):
    """A session that is missed when it goes."""

    def _validate_session_key(self, key: str) -> bool:
        """Take a key with a NUL, which PostgreSQL refuses to compare with, for none at all."""
        valid = super()._validate_session_key(key)  # type: ignore[misc]
        return bool(valid) and "\0" not in key

    def delete(self, session_key: str | None = None) -> None:
        """Delete the session and say so."""
        super().delete(session_key)
        if session_key or self.session_key:
            tell_access_changed(None)
