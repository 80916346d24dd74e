"""`manage.py doctor`: looks at everything that a running Aftercommit needs, and says what to do."""
