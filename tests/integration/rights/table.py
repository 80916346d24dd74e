"""What each route needs, said a second time: the contract's roles, not what a view says of itself.

A route that is not in here fails `test_every_route_is_in_the_table`: add it with its capability, a
body that is let through, and the status of its success.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks_app.access import Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How to ask a route so that only rights decide, and what is answered then."""

    needs: Capability
    answers: int = 200
    body: Any = None  # with {name} where it names a thing of the world
    raw: bytes | None = None  # a body that is no JSON, with its type
    kind: str = "application/json"
    query: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)  # path's name → another of the world's
    others: Capability | None = None  # who lacks this is told 404: it is another member's
    stranger: int = 0  # what the owner of another workspace is answered; 0: 404 where ids are named

    def answers_to(self, granted: Collection[str]) -> int:
        """Return what a member with these capabilities is answered."""
        if self.needs not in granted:
            return 403
        return self.answers if self.others is None or self.others in granted else 404


READ, WRITE = Capability.READ, Capability.WRITE_TASKS
SEND, CARRY = Capability.MANAGE_DESTINATIONS, Capability.MANAGE_DELIVERIES
PLAN, OWN = Capability.MANAGE_SCHEDULES, Capability.MANAGE_OWN
KEYS, PEOPLE = Capability.MANAGE_KEYS, Capability.MANAGE_MEMBERS
HOUSE, FILL = Capability.MANAGE_WORKSPACE, Capability.IMPORT
OLGA = {"email": "olga@example.org"}
TITLE = {"title": "x"}
HOURLY = {"name": "hourly", "cron": "@hourly", "template": TITLE}  # of a schedule
BULK = {"operations": [{"op": "update", "id": "{task_id}", "title": "x"}]}
WEBHOOK = {"name": "new", "url": "http://127.0.0.1:9/"}
DEAD = {"delivery_id": "dead_delivery_id"}

ROWS: dict[str, Row] = {
    "GET tasks/": Row(needs=READ),
    "POST tasks/": Row(needs=WRITE, body=TITLE, answers=201),
    "POST tasks/bulk/": Row(needs=WRITE, body=BULK, stranger=400),
    "GET tasks/{task_id}/": Row(needs=READ),
    "PUT tasks/{task_id}/": Row(needs=WRITE, body=TITLE),
    "PATCH tasks/{task_id}/": Row(needs=WRITE, body=TITLE),
    "DELETE tasks/{task_id}/": Row(needs=WRITE, answers=204),
    "GET tasks/{task_id}/events/": Row(needs=READ),
    "GET tasks/by-external-id/{external_id}/": Row(needs=READ),
    "PUT tasks/by-external-id/{external_id}/": Row(needs=WRITE, body=TITLE, stranger=201),
    "DELETE tasks/by-external-id/{external_id}/": Row(needs=WRITE, answers=204),
    "GET tasks/export/": Row(needs=Capability.EXPORT),
    "GET imports/": Row(needs=READ),
    "POST imports/": Row(needs=FILL, raw=b"title\nx\n", kind="text/csv", answers=202),
    "GET imports/{import_id}/": Row(needs=READ),
    "POST imports/{import_id}/cancel/": Row(needs=FILL),
    "GET events/": Row(needs=READ),
    "GET destinations/": Row(needs=READ),
    "POST destinations/": Row(needs=SEND, body=WEBHOOK, answers=201),
    "POST destinations/preview/": Row(needs=SEND, body={"mapping": "type"}),
    "GET destinations/{destination_id}/": Row(needs=READ),
    "PATCH destinations/{destination_id}/": Row(needs=SEND, body={"name": "other"}),
    "DELETE destinations/{destination_id}/": Row(needs=SEND, answers=204),
    "POST destinations/{destination_id}/test/": Row(needs=SEND, answers=202),
    "POST destinations/{destination_id}/pause/": Row(needs=SEND),
    "POST destinations/{destination_id}/resume/": Row(needs=SEND),
    "POST destinations/{destination_id}/rotate-secret/": Row(needs=SEND),
    "POST destinations/{destination_id}/replay/": Row(
        needs=CARRY, body={"from_seq": 1}, answers=202
    ),
    "GET destinations/{destination_id}/deliveries/": Row(needs=READ),
    "GET destinations/{destination_id}/deliveries/digest/": Row(needs=READ),
    "GET replays/": Row(needs=READ),
    "GET replays/{replay_id}/": Row(needs=READ),
    "POST replays/{replay_id}/cancel/": Row(needs=CARRY),
    "GET deliveries/": Row(needs=READ),
    "GET deliveries/{delivery_id}/": Row(needs=READ),
    "POST deliveries/{delivery_id}/retry/": Row(needs=CARRY, ids=DEAD),
    "POST deliveries/{delivery_id}/cancel/": Row(needs=CARRY),
    "GET schedules/": Row(needs=READ),
    "POST schedules/": Row(needs=PLAN, body=HOURLY, answers=201),
    "POST schedules/preview/": Row(needs=READ, body={"cron": "@hourly"}),
    "GET schedules/{schedule_id}/": Row(needs=READ),
    "PATCH schedules/{schedule_id}/": Row(needs=PLAN, body={"cron": "@daily"}),
    "DELETE schedules/{schedule_id}/": Row(needs=PLAN, answers=204),
    "POST schedules/{schedule_id}/pause/": Row(needs=PLAN),
    "POST schedules/{schedule_id}/resume/": Row(needs=PLAN),
    "GET schedules/{schedule_id}/occurrences/": Row(needs=READ),
    "GET stats/": Row(needs=READ),
    "GET workspaces/": Row(needs=READ),
    "POST workspaces/": Row(needs=OWN, body={"slug": "another", "name": "x"}, answers=201),
    "GET workspaces/{workspace_id}/": Row(needs=READ),
    "PATCH workspaces/{workspace_id}/": Row(needs=HOUSE, body={"name": "other"}),
    "DELETE workspaces/{workspace_id}/": Row(needs=HOUSE, answers=204),
    "GET members/": Row(needs=READ),
    "POST members/": Row(needs=PEOPLE, body=OLGA, answers=202),
    "POST members/leave/": Row(needs=OWN, answers=204),
    "GET members/{member_id}/": Row(needs=READ),
    "PATCH members/{member_id}/": Row(needs=PEOPLE, body={"role": "viewer"}),
    "DELETE members/{member_id}/": Row(needs=PEOPLE, answers=204),
    "GET invitations/": Row(needs=PEOPLE),
    "POST invitations/": Row(needs=PEOPLE, body=OLGA, answers=201),
    "GET invitations/{invitation_id}/": Row(needs=PEOPLE),
    "DELETE invitations/{invitation_id}/": Row(needs=PEOPLE, answers=204),
    "POST invitations/{invitation_id}/resend/": Row(needs=PEOPLE),
    "GET api-keys/": Row(needs=READ),
    "POST api-keys/": Row(needs=OWN, body={"name": "x", "scope": "read"}, answers=201),
    "GET api-keys/{api_key_id}/": Row(needs=READ, others=KEYS),
    "PATCH api-keys/{api_key_id}/": Row(needs=OWN, body={"name": "x"}, answers=404),
    "DELETE api-keys/{api_key_id}/": Row(needs=OWN, others=KEYS, answers=204),
    "POST stream/ticket/": Row(needs=READ, answers=201),
}

#: Beside the API: who asks these is let in by something else, said here.
BESIDE: dict[str, str] = {
    "metrics": "its own token or network; shut where neither is named",
    "healthz": "nothing but whether it is alive",
    "readyz": "nothing but what is up",
    "api/schema/": "the same for everybody",
    "api/docs/": "the same for everybody",
    "account/invitation/": "the link that was mailed",
    "account/password/": "who is logged in, with the old password",
    "account/password/forgotten/": "anybody; what is done is mailed to the address",
    "account/password/sent/": "the same for everybody",
    "account/password/new/": "the link that was mailed",
    "api/auth/login/": "how one gets in",
    "api/auth/logout/": "ends one's own session",
}
ADMIN = "admin/"
