"""API keys: `/api/v1/api-keys/`. One's own; with `manage_keys` those of all, to see and revoke."""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions import api_key as actions
from tasks_app.api import filters
from tasks_app.api.fields import Line, Moment, StrictSerializer, Word
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.events.snapshot import moment
from tasks_app.exceptions import NotFound
from tasks_app.models import ApiKey, Scope
from tasks_app.queries.snapshot import snapshot_at_head


class ApiKeySerializer(StrictSerializer):
    """A key of one member. ``prefix`` is how it begins, to recognise it by."""

    id = serializers.UUIDField(read_only=True)
    name = Line(max_length=100)
    scope = Word(choices=Scope.choices, help_text="Never above the member's role.")
    prefix = serializers.CharField(read_only=True)
    member = serializers.UUIDField(read_only=True)
    user = serializers.CharField(read_only=True)
    expires_at = Moment(allow_null=True, default=None)
    last_used_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="To the minute."
    )
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)


class ApiKeyWithSecretSerializer(ApiKeySerializer):
    """A key at the only moment that it is known."""

    key = serializers.CharField(read_only=True)


FILTERS: Final = (filters.ids("member", "membership_id"),)
ORDERINGS: Final[Orderings] = {"created_at": "created_at", "name": "name"}
WHOLE: Final = ApiKeySerializer()
PART: Final = ApiKeySerializer(partial=True)
ApiKeyPage: Final = page_of(ApiKeySerializer)


class ApiKeyView(WorkspaceView):
    """Make keys of one's own, change and revoke them; see and revoke those of others."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "create": Capability.MANAGE_OWN,
        "partial_update": Capability.MANAGE_OWN,
        "destroy": Capability.MANAGE_OWN,
    }
    shows_secret = frozenset({"create"})

    @documented("api_keys_list", ApiKeyPage, parameters=filters.parameters(FILTERS, ORDERINGS))
    def list(self, request: Request) -> Response:
        """List keys, newest first, the revoked too."""
        kept = filters.filtered(request, FILTERS)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(
                request, self._keys().filter(kept), orderings=ORDERINGS, default="-created_at"
            )
        return listed(found, [told_key(row) for row in found.rows], head)

    @documented("api_keys_retrieve", ApiKeySerializer)
    def retrieve(self, request: Request, api_key_id: UUID) -> Response:
        """Show a key, without what opens anything."""
        with snapshot_at_head(self.workspace_id) as head:
            key = self._keys().filter(pk=api_key_id).first()
        if key is None:
            raise NotFound
        return shown(told_key(key), head)

    @documented(
        "api_keys_create",
        ApiKeyWithSecretSerializer,
        request=ApiKeySerializer,
        status=201,
        example={"name": "CI", "scope": "write", "expires_at": "2030-01-01T00:00:00Z"},
    )
    def create(self, request: Request) -> Response:
        """Make a key of one's own; the answer shows it this once."""
        key, plain = actions.create_key(
            **WHOLE.read_new(request.data),
            membership_id=self.principal.membership_id,
            cause=self.cause,
            not_after=self.principal.expires_at,
        )
        location = request.build_absolute_uri(f"{request.path}{key.pk}/")
        body = {**told_key(key), "key": plain}
        return Response(body, status=201, headers={"Location": location})

    @documented(
        "api_keys_partial_update",
        ApiKeySerializer,
        request=ApiKeySerializer,
        cursor=False,
        conflict="It is revoked.",
    )
    def partial_update(self, request: Request, api_key_id: UUID) -> Response:
        """Change name, scope or end of a key of one's own."""
        fields, echoed = PART.read(request.data)
        echoed.pop("last_used_at", None)  # it moves between a client's reading and writing
        key = actions.change_key(
            membership_id=self.principal.membership_id,
            api_key_id=api_key_id,
            fields=fields,
            cause=self.cause,
            echoed=echoed,
            not_after=self.principal.expires_at,
        )
        return Response(told_key(key))

    @documented("api_keys_destroy", None, status=204)
    def destroy(self, request: Request, api_key_id: UUID) -> Response:
        """Revoke a key for good; its streams close."""
        anybodys = self.may(Capability.MANAGE_KEYS)
        actions.revoke_key(
            workspace_id=self.workspace_id,
            api_key_id=api_key_id,
            cause=self.cause,
            membership_id=None if anybodys else self.principal.membership_id,
        )
        return Response(status=204)

    def _keys(self) -> QuerySet[ApiKey]:
        keys = ApiKey.objects.in_workspace(self.workspace_id).select_related("membership__user")
        if self.may(Capability.MANAGE_KEYS):
            return keys
        return keys.filter(membership_id=self.principal.membership_id)


def told_key(key: ApiKey) -> dict[str, Any]:
    """Return a key as the API shows it."""
    return {
        **actions.read_only(key),
        "name": key.name,
        "scope": key.scope,
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
    }
