"""From a token to a cookie and back; what was typed is never shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from ...http.answers import Answer
from ...http.body import FORM
from ...http.cookies import clear_cookie, is_same_origin, set_cookie
from ...http.refusal import Refusal
from ...http.roles import Role
from ..endpoint import Call, Endpoint
from .html import element
from .layout import page

_LOGIN: Final = "/ui/login"


async def show_login(call: Call) -> Answer:
    """Return the form that takes a token."""
    return _form(call.root)


async def log_in(call: Call) -> Answer:
    """Keep a token that may read in a cookie, and go to the pages."""
    _check_origin(call)
    try:
        given = parse_qs(call.raw.decode("ascii"), max_num_fields=8).get("token", [""])[0].strip()
    except ValueError:
        given = ""
    caller = call.service.tokens.caller(given)
    cookie = set_cookie(given, call.root, is_https=call.is_https)
    if caller is None or cookie is None:
        return _form(call.root, "This token is not known.", 403)
    if not caller.role.may(Role.READ):
        return _form(call.root, "These pages need a token of the role read or admin.", 403)
    return Answer(303, b"", {"location": f"{call.root}/ui", "set-cookie": cookie})


async def log_out(call: Call) -> Answer:
    """Forget the cookie, and go to the form."""
    _check_origin(call)
    cookie = clear_cookie(call.root, is_https=call.is_https)
    return Answer(303, b"", {"location": f"{call.root}{_LOGIN}", "set-cookie": cookie})


def _check_origin(call: Call) -> None:
    if not is_same_origin(call.headers):
        raise Refusal(403, "Forbidden", "expected a form of this service")


def _form(root: str, message: str | None = None, status: int = 200) -> Answer:
    form = element(
        "form",
        # Managers of passwords keep one by its user's name.
        element("input", name="user", value="rankloom", autocomplete="username", hidden=True),
        element("label", "Token of the role read or admin", for_="token"),
        element(
            "input",
            id="token",
            name="token",
            type="password",
            autocomplete="current-password",
            required=True,
            aria_describedby="message" if message else None,
        ),
        element("button", "Log in"),
        method="post",
        action=f"{root}{_LOGIN}",
        class_="login",
    )
    said = message and element("p", message, id="message", role="alert", class_="error")
    return page(root, "Log in", said, form, status=status)


ENDPOINTS: Final = (
    Endpoint("GET", _LOGIN, show_login, "Form for a token", role=None),
    Endpoint(
        "POST",
        _LOGIN,
        log_in,
        "Log in",
        role=None,
        body=bytes,
        accepted=(FORM,),
        body_limit=4_000,
        decode=False,
    ),
    Endpoint("POST", "/ui/logout", log_out, "Log out", role=None),
)
