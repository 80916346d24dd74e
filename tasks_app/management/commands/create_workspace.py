"""`manage.py create_workspace SLUG --owner NAME`: open a workspace; for people and for scripts."""

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import RegexValidator, validate_email
from django.db import IntegrityError, transaction

from tasks_app.actions.account import ask_for_password
from tasks_app.actions.workspace import open_workspace
from tasks_app.events.cause import system
from tasks_app.exceptions import Invalid
from tasks_app.models.workspace import SLUG_PATTERN


class Command(BaseCommand):
    """Open a workspace with its first owner, who is made where an address is given."""

    help = (
        "Open a workspace. With --email a missing owner is made, and mailed a link to a password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how it is called and who owns it."""
        parser.add_argument("slug", help="a-z, 0-9 and -, at most 50: it stands in addresses")
        parser.add_argument("--owner", required=True, help="the owner's user name")
        parser.add_argument("--name", default="", help="what people read; default: the slug")
        parser.add_argument("--email", default="", help="make the owner, where missing, with this")
        parser.add_argument("--json", action="store_true", help="answer as one line of JSON")

    @transaction.atomic
    def handle(self, *_args: Any, **given: Any) -> None:
        """Open it. Raises CommandError with a sentence, and changes nothing then."""
        name = given["name"].strip() or given["slug"]
        if len(name) > 100 or "\0" in name:
            raise CommandError("A name has at most 100 characters.")
        _check(RegexValidator(SLUG_PATTERN, "A slug is 1 to 50 of a-z, 0-9 and -."), given["slug"])
        owner = User.objects.filter(username=given["owner"], is_active=True).first()
        made = owner is None
        owner = owner or _made(given["owner"], given["email"])
        try:
            workspace = open_workspace(
                slug=given["slug"], name=name, owner=owner, cause=system("create_workspace")
            )
        except Invalid as refusal:
            raise CommandError(" ".join(error.detail for error in refusal.errors)) from refusal
        told = {
            "id": str(workspace.pk),
            "slug": workspace.slug,
            "name": workspace.name,
            "owner": owner.get_username(),
            "owner_made": made,
        }
        text = f"Workspace {workspace.slug}: {owner.get_username()} owns it."
        text += f" A link to a password is on its way to {owner.email}." if made else ""
        self.stdout.write(json.dumps(told) if given["json"] else text)


def _made(name: str, email: str) -> User:
    if not email:
        raise CommandError(
            f"There is no active user {name!r}: name an existing one, or have one made by --email."
        )
    _check(validate_email, email)
    _check(UnicodeUsernameValidator(), name)
    try:
        with transaction.atomic():
            user = User.objects.create_user(name, email)
    except IntegrityError as error:
        raise CommandError("Another user has this name or this address.") from error
    ask_for_password(address=email)
    return user


def _check(validator: Any, value: str) -> None:
    try:
        validator(value)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
