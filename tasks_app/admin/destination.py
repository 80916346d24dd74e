"""Destinations: made, changed, paused, resumed. A secret is shown once, by what made it."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tasks_app.access import Capability
from tasks_app.actions import destination as actions
from tasks_app.admin.asking import asked
from tasks_app.admin.causing import cause_of
from tasks_app.admin.destination_form import DestinationForm
from tasks_app.admin.finding import beginning, by_id
from tasks_app.admin.recorded import RecordedAdmin
from tasks_app.admin.rights import rights_of
from tasks_app.admin.scoped import Rows
from tasks_app.admin.site import site
from tasks_app.admin.verbs import ButtonsAdmin, each
from tasks_app.exceptions import Forbidden, Invalid, StaleVersion
from tasks_app.models import Destination

NEEDS = Capability.MANAGE_DESTINATIONS
CHANGED = (
    "Somebody has changed this destination since the page was made. Nothing of yours was written:"
    " open it again."
)


@admin.register(Destination, site=site)
class DestinationAdmin(RecordedAdmin, ButtonsAdmin):
    """External systems of one's own workspaces. Their secrets are on no page."""

    form = DestinationForm
    adds = changes = deletes = NEEDS
    finders = (by_id("pk"), beginning("name"))
    search_help_text = "An id, or the beginning of a name"
    list_display = ("name", "where", "kind", "address", "state", "paused_reason", "deleted_at")
    list_filter = ("state",)
    autocomplete_fields = ("workspace",)
    actions = ("pause", "resume", "ping", "rotate", "delete_destinations")
    asks = "What waits for it is cancelled. Its log stays."
    readonly_fields = (
        *("where", "address", "authentication", "state", "paused_reason", "blocked_until"),
        *("created_at", "updated_at", "deleted_at"),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is typed, then what is told. Who may not manage it sees no address."""
        typed = ["name", "url", "events", "mode", "max_concurrency", "timeout", "retry_schedule"]
        if obj is None:
            return ["workspace", "kind", *typed, "mapping"]
        if not self.has_change_permission(request, obj):
            return ["name", "kind", "events", *self.readonly_fields]
        return [*typed, "mapping", *self.readonly_fields, "seen"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether it may be changed; one that is deleted stays as it was."""
        deleted = obj is not None and obj.deleted_at is not None
        return not deleted and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether it may be deleted, which happens once."""
        deleted = obj is not None and obj.deleted_at is not None
        return not deleted and super().has_delete_permission(request, obj)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Tell whether who asks may manage any."""
        return rights_of(request).somewhere(NEEDS)

    def save_model(
        self, request: HttpRequest, obj: Destination, form: DestinationForm, change: bool
    ) -> None:
        """Create or change it. Raises StaleVersion, Invalid, Forbidden and NotFound."""
        if change:
            made = self._changed(request, obj, form)
        else:
            if not rights_of(request).may(NEEDS, obj.workspace_id):
                raise Forbidden
            made, request.aftercommit_secret = actions.create_destination(  # type: ignore[attr-defined]
                workspace_id=obj.workspace_id, fields=form.given(), cause=cause_of(request)
            )
        obj.__dict__.update(made.__dict__)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Show the secret, this once: the answer itself has it, no cookie and no session."""
        return self._secret(request, obj, request.aftercommit_secret)  # type: ignore[attr-defined]

    def delete_model(self, request: HttpRequest, obj: Destination) -> None:
        """Delete it; the sweep cancels what waits. Raises NotFound."""
        actions.delete_destination(
            workspace_id=obj.workspace_id, destination_id=obj.pk, cause=cause_of(request)
        )

    @admin.action(description="Pause", permissions=["manage"])
    def pause(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Let deliveries wait."""
        return self._each(request, rows, actions.pause_destination, "Paused")

    @admin.action(description="Resume", permissions=["manage"])
    def resume(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Send what waits."""
        return self._each(request, rows, actions.resume_destination, "Resumed")

    @admin.action(description="Send a ping", permissions=["manage"])
    def ping(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Queue a ping for each."""
        return self._each(request, rows, actions.ping_destination, "Queued a ping for")

    @admin.action(description="Delete", permissions=["manage"])
    def delete_destinations(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Delete them once it was asked whether they are meant."""
        if "confirmed" not in request.POST:
            question = "Delete these destinations? What waits for them is cancelled."
            return asked(self, request, rows, action="delete_destinations", question=question)
        return self._each(request, rows, actions.delete_destination, "Deleted")

    @admin.action(description="Rotate the secret", permissions=["manage"])
    def rotate(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        """Make one of them a new secret, shown this once; the old one signs too for 24 h."""
        chosen = list(rows[:2])
        if len(chosen) != 1:
            self.message_user(request, "One at a time: its secret is shown.", messages.ERROR)
            return None
        made: list[str] = []

        def verb(row: Destination) -> None:
            at = {"workspace_id": row.workspace_id, "destination_id": row.pk}
            made.append(actions.rotate_secret(**at, cause=cause_of(request))[1])

        back = each(self, request, rows, verb=verb, needs=NEEDS, done="Rotated the secret of")
        return self._secret(request, chosen[0], made[0]) if made else back

    @admin.display(description="address")
    def address(self, destination: Destination) -> str:
        """Return where it is, without the parts of an address in which tokens live."""
        parts = urlsplit(destination.url)
        return f"{parts.scheme}://{parts.hostname}/…" if parts.hostname else f"{parts.scheme}:…"

    @admin.display(description="authentication")
    def authentication(self, destination: Destination) -> str:
        """Return of which type its credentials are."""
        return str((destination.auth or {}).get("type", "none"))

    def _changed(
        self, request: HttpRequest, obj: Destination, form: DestinationForm
    ) -> Destination:
        try:
            return actions.change_destination(
                workspace_id=obj.workspace_id,
                destination_id=obj.pk,
                fields=form.given(),
                cause=cause_of(request),
                echoed={"updated_at": form.cleaned_data["seen"]},
            )
        except Invalid as refusal:
            if any(error.pointer == "/updated_at" for error in refusal.errors):
                raise StaleVersion(CHANGED) from refusal
            raise

    def _each(self, request: HttpRequest, rows: Rows, act: Any, done: str) -> HttpResponse | None:
        cause = cause_of(request)

        def verb(row: Destination) -> None:
            act(workspace_id=row.workspace_id, destination_id=row.pk, cause=cause)

        return each(self, request, rows, verb=verb, needs=NEEDS, done=done)

    def _secret(self, request: HttpRequest, destination: Destination, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": destination.name,
            "destination": destination,
            "secret": secret,
            "opts": self.opts,
        }
        return render(request, "admin/secret.html", context)
