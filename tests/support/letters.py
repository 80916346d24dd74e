"""Reading what was mailed: the link in a letter, without the address it is at."""

import re

from tasks_app.delivery.post import send_notices, wait_for_post
from tests.support.mail_server import Letter, MailServer


def posted() -> None:
    """Send what waits, and wait until it has gone."""
    send_notices()
    assert wait_for_post(20)


def link_in(letter: Letter) -> str:
    """Return path and query of the one link in a letter."""
    found = re.findall(r"https?://[^/\s]+(/\S+)", letter.message.get_content())
    assert len(found) == 1, found
    return str(found[0])


def next_letter(smtp: MailServer) -> Letter:
    """Post what waits and take the one letter that comes of it."""
    before = len(smtp.letters)
    posted()
    (letter,) = smtp.letters[before:]
    return letter
