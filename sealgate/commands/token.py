"""`sealgate token`: print an identity token of the embedded authority."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import click

from sealgate.deployment import Deployment
from trust import strictjson
from trust.errors import SealgateError, problem

PASSWORD_VARIABLE = "SEALGATE_PASSWORD"
TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to wait for an answer."""
MAX_REPLY = 64 * 1024
WORKLOADS = "https://sealgate.local/"
"""Workloads of a local deployment may be named by what follows this."""


class NoToken(SealgateError):
    """The authority gave no token."""


def password_for(deployment: Deployment, account: str) -> str:
    """Return the account's password: from the environment, its secret file, or a prompt."""
    given = os.environ.get(PASSWORD_VARIABLE)
    if given:
        return given
    stored = deployment.secret(account.removeprefix(WORKLOADS))
    if "/" not in account.removeprefix(WORKLOADS) and stored.is_file():
        return stored.read_text(encoding="utf-8").strip()
    password: str = click.prompt(f"Password of {account}", hide_input=True, err=True)
    return password


def fetch_token(authority: str, account: str, password: str, audience: str) -> str:
    """Return an identity token of `account` from the authority at the URL `authority`.

    Raises:
        NoToken: the authority does not answer, or refuses.
    """
    import requests

    from registry import replies

    url = f"{authority}/token"
    form = {
        "grant_type": "password",
        "username": account,
        "password": password,
        "audience": audience,
    }
    try:
        with requests.post(
            url, data=form, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as reply:
            body = replies.read(reply, MAX_REPLY)
        document: Any = strictjson.loads(body, max_bytes=MAX_REPLY)
    except (requests.RequestException, OSError, SealgateError) as error:
        _refuse(url, error, "check that the authority runs (`sealgate up`)")
    token = document.get("id_token") if isinstance(document, dict) else None
    if reply.status_code != requests.codes.ok or not isinstance(token, str):
        said = document.get("message", "") if isinstance(document, dict) else document
        _refuse(url, f"{reply.status_code} {said}", "check the account's name and its password")
    return token


def _refuse(url: str, value: object, advice: str) -> NoReturn:
    raise NoToken(
        problem(
            "token.refused",
            f"no identity token from {url}",
            value=value,
            expected='status 200 and {"id_token": ...}',
            advice=advice,
        )
    )


@click.command("token")
@click.argument("account")
@click.option(
    "--audience", default="sigstore", show_default=True, help="Whom the token is meant for."
)
@click.pass_obj
def command(home: Path, account: str, audience: str) -> None:
    """Print an identity token of ACCOUNT, valid for five minutes.

    ACCOUNT is an e-mail address, a workload's URI, or the last part of one of this deployment's
    workloads (`scanner`, `registry`). The password comes from the environment variable
    SEALGATE_PASSWORD, from the account's file under var/accounts/, or from a prompt.
    """
    deployment = Deployment.load(home)
    password = password_for(deployment, account)
    subject = account if "@" in account or "://" in account else WORKLOADS + account
    click.echo(fetch_token(deployment.addresses.authority, subject, password, audience))
