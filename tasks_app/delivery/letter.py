"""What a notice says: a subject and a few lines that say what happens next and what to do."""

from typing import Final

from tasks_app.models import Destination, Notice, NoticeKind, Workspace

SUBJECTS: Final = {
    NoticeKind.AUTO_PAUSED: "paused: {name}",
    NoticeKind.CIRCUIT_OPENED: "not reachable: {name}",
    NoticeKind.RECOVERED: "reachable again: {name}",
}
BODIES: Final = {
    NoticeKind.AUTO_PAUSED: (
        "Nothing is sent to the destination “{name}” any more: it was paused.\n{detail}\n\n"
        "No change is lost: what is to be told waits, and goes out in order once somebody"
        " resumes the destination (POST /api/v1/destinations/{id}/resume/).\n"
    ),
    NoticeKind.CIRCUIT_OPENED: (
        "The destination “{name}” fails again and again; last: {detail}.\n\n"
        "It is left alone for a while and then probed with one request at a time. No change is"
        " lost: once it answers, what waits goes out in order, slowly at first. You will be told.\n"
    ),
    NoticeKind.RECOVERED: (
        "The destination “{name}” answers again. What waited goes out in order.\n"
    ),
}


def letter(notice: Notice) -> tuple[str, str]:
    """Return subject and body."""
    destination = Destination.objects.get(pk=notice.destination_id)
    workspace = Workspace.objects.get(pk=notice.workspace_id)
    kind = NoticeKind(notice.kind)
    name = " ".join(destination.name.split())  # a subject is one line
    words = {"name": name, "id": destination.pk, "detail": notice.detail or "no answer"}
    subject = f"[{workspace.slug}] {SUBJECTS[kind].format(**words)}"
    about = f"\nWorkspace: {workspace.name}\nDestination: {destination.pk}\nAt: {_at(notice)}\n"
    return subject, BODIES[kind].format(**words) + about


def _at(notice: Notice) -> str:
    return f"{notice.created_at:%Y-%m-%d %H:%M:%S} UTC"
