"""Logins by password: who guesses has to wait. Counted in PostgreSQL, so for every process alike.

Five failures of one name from one address, and that pair waits a quarter of an hour. Nobody else
does: a stranger who guesses at the owner's password keeps the owner out from nowhere but the
stranger's own address. How often an address may try at all is RATE_LIMIT_ADDRESS_PER_MINUTE.
"""

from datetime import timedelta

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or who keeps guessing locks for ever
AXES_CLIENT_IP_CALLABLE = "tasks_app.admin.login.address_of"
AXES_USERNAME_CALLABLE = "tasks_app.admin.login.name_of"
AXES_LOCKOUT_CALLABLE = "tasks_app.admin.login.told_to_wait"
AXES_DISABLE_ACCESS_LOG = True  # the request log tells of logins
AXES_ENABLE_ADMIN = False  # they are in our own, tasks_app/admin/login.py
AXES_VERBOSE = False
# What was sent along is kept with a failure: without links, which an address to go on to may hold.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "next", "token", "csrfmiddlewaretoken"]
