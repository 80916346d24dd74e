"""Mail through Django's backends: the one connector that knows Django."""

from tasks_app.connectors.mail.connector import MailConnector

__all__ = ["MailConnector"]
