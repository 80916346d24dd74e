#!/usr/bin/env python
"""The one command line of Aftercommit."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:  # before there is any server: see config/settings/launch.py
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.launch"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    if sys.argv[1:2] == ["stream"]:
        os.environ.setdefault("ROLE", "stream")  # before the settings choose its connections
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:  # a sentence that names its variable needs no traceback
        sys.exit(str(wrong))
