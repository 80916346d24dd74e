"""`/account/`: where the links in mails lead, and what people do about their passwords.

Pages without a script. Proofs are in the query, which no log line tells, and are looked at anew
when the form comes back. Whatever address is asked about, the answer is the same.
"""

from typing import Any, Final

from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm, UserCreationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from tasks_app.actions import account, invitation
from tasks_app.api.account_forms import AddressForm
from tasks_app.api.throttles import limited_by_address
from tasks_app.exceptions import Conflict, Invalid
from tasks_app.models import Invitation
from tasks_app.observability import request_id
from tasks_app.queries.invitation_link import invitation_of
from tasks_app.queries.password_link import user_of_link

app_name: Final = "account"

BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
AFTER_LOGIN: Final = "docs"
LOGIN: Final = "rest_framework:login"


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Accept an invitation, as who is logged in or with a new account."""
    token = request.GET.get("token", "")
    found = invitation_of(token)
    if found is None:
        return _over(request, "This invitation")
    if request.method == "POST" and isinstance(request.user, User):
        return _joined(request, token, request.user)
    if request.method == "POST":
        return _registered(request, token, found)
    return _invited(request, found, UserCreationForm())


def _joined(request: HttpRequest, token: str, user: User) -> HttpResponse:
    try:
        invitation.accept(token=token, user=user, request_id=request_id.current.get())
    except Conflict as refusal:
        return _told(request, "Nothing has changed", refusal.detail, status=409)
    return redirect(AFTER_LOGIN)


def _registered(request: HttpRequest, token: str, found: Invitation) -> HttpResponse:
    form: Any = UserCreationForm(request.POST, instance=User(email=found.email))
    if form.is_valid():
        name, password = form.cleaned_data["username"], form.cleaned_data["password1"]
        try:
            member = invitation.accept_as_new(
                token=token,
                username=name,
                password=password,
                request_id=request_id.current.get(),
            )
        except Conflict as refusal:
            return _told(request, "Nothing has changed", refusal.detail, status=409)
        except Invalid as refusal:
            form.add_error(None, " ".join(error.detail for error in refusal.errors))
        else:
            login(request, member.user, backend=BACKEND)
            return redirect(AFTER_LOGIN)
    return _invited(request, found, form)


def _invited(request: HttpRequest, found: Invitation, form: Any) -> HttpResponse:
    context = {
        "invitation": found,
        "form": form,
        "next": urlencode({"next": request.get_full_path()}),
    }
    return render(request, "account/join.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Take an address; if it has an account, a link to a new password is mailed there."""
    form = AddressForm(request.POST or None)
    if form.is_valid():
        account.ask_for_password(address=form.cleaned_data["email"])
        return redirect("account:sent")
    return _form(request, "A new password", form, "Send me a link")


@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    """Say the same to everybody."""
    text = "If this address has an account, a link is on its way to it. It holds for an hour."
    return _told(request, "Look at your mail", text)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest) -> HttpResponse:
    """Set a new password by a link."""
    uid, token = request.GET.get("uid", ""), request.GET.get("token", "")
    user = user_of_link(uid, token)
    if user is None:
        return _over(request, "This link")
    form = SetPasswordForm(user, request.POST or None)
    if not form.is_valid():
        return _form(request, "A new password", form, "Set it")
    password = form.cleaned_data["new_password1"]
    if account.reset_password(uid=uid, token=token, password=password) is None:
        return _over(request, "This link")
    return redirect(LOGIN)


@sensitive_post_parameters()
@login_required(login_url=LOGIN)
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest) -> HttpResponse:
    """Change one's password; all other logins end."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required lets nobody else in
    form = PasswordChangeForm(user, request.POST or None)
    if not form.is_valid():
        return _form(request, "Change your password", form, "Change it")
    account.change_password(user=user, password=form.cleaned_data["new_password1"])
    update_session_auth_hash(request, user)
    return _told(request, "Your password is changed", "All other logins of yours have ended.")


def _form(request: HttpRequest, title: str, form: Any, button: str) -> HttpResponse:
    context = {"title": title, "form": form, "button": button}
    return render(request, "account/form.html", context, status=400 if form.errors else 200)


def _told(request: HttpRequest, title: str, text: str, *, status: int = 200) -> HttpResponse:
    return render(request, "account/told.html", {"title": title, "text": text}, status=status)


def _over(request: HttpRequest, what: str) -> HttpResponse:
    text = f"{what} holds no more: it was used, revoked or sent anew, or it is too old."
    return _told(request, "Too late", text, status=410)


urlpatterns = [
    path("invitation/", limited_by_address("invitation")(never_cache(join)), name="join"),
    path("password/", limited_by_address("login")(never_cache(change)), name="change"),
    path("password/forgotten/", limited_by_address("password")(forgotten), name="forgotten"),
    path("password/sent/", sent, name="sent"),
    path("password/new/", limited_by_address("password")(never_cache(new_password)), name="new"),
]
