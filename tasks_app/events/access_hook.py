"""Telling streams that somebody's access has changed: rung by whoever changes it.

The door for actions, which may not touch the commit hook itself.
"""

from tasks_app.events.commit_hook import tell_access_changed

__all__ = ["tell_access_changed"]
