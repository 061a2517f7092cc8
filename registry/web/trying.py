"""Trying a published version's methods: a form for each, made from its `arguments` JSON Schema.

The page's script sends what is filled in to the runner, as the visitor; this registry has no part
in it. The schema is an author's: everything of it becomes text, the number of controls is bounded,
and a `pattern` is shown and not run here, because a browser would run it without bound; the runner
decides what is valid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from registry.readmodel import MethodView, VersionView
from registry.services import current
from registry.signin import sessions
from registry.signin.completion import SIGNING_CALLBACK
from registry.web import commands
from registry.web.schema import plain, rules_of, type_of

Kind: TypeAlias = Literal["line", "text", "integer", "number", "choice", "json"]

MAX_CONTROLS = 40
MAX_CHOICES = 200
LINE = 200
"""Characters up to which a string is asked for in one line."""
_STRUCTURE = ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas")
"""Keywords with which a schema's own `properties` and `type` do not say all."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value to choose: its JSON in ASCII, and the text that is shown."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """One argument's control.

    Attributes:
        member: the argument's name as JSON in ASCII; "" where the value is all the arguments.
        kind: a line or several of text, a whole or any number, a choice, or JSON.
        label: its title, or its name.
        name: its name as the caller of an API writes it.
        type: its JSON type in words.
        description: what the author wrote about it.
        rules: the schema's further constraints, each a short text.
        required: whether it must be there.
        default: the text that is filled in at first.
        minimum, maximum: bounds of a number as text, or "".
        choices: of a choice.
    """

    member: str
    kind: Kind
    label: str
    name: str
    type: str
    description: str
    rules: tuple[str, ...]
    required: bool
    default: str = ""
    minimum: str = ""
    maximum: str = ""
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One method's form: its name, summary, controls, and the command that does the same."""

    method: str
    summary: str
    controls: tuple[Control, ...]
    command: str


@dataclass(frozen=True, slots=True)
class TryPage:
    """What the script reads from the page, and the forms.

    Attributes:
        runner: the runner's base URL.
        issuer: the OIDC issuer that the visitor signed in at.
        client_id: the client of the pages that call.
        redirect_uri: where the authority sends the window back to.
        person: the visitor's subject.
        wall_seconds: how long a call may take.
        trials: a form for each method.
    """

    runner: str
    issuer: str
    client_id: str
    redirect_uri: str
    person: str
    wall_seconds: float
    trials: tuple[Trial, ...]

    @property
    def origins(self) -> frozenset[str]:
        """The origins that the script talks to beside its own: the runner's and the issuer's."""
        parts = map(urlsplit, (self.runner, self.issuer))
        return frozenset(f"{part.scheme}://{part.netloc}" for part in parts)


def offered(view: VersionView) -> TryPage | None:
    """Return the forms; None where the version is not published, or nobody may try it here.

    That needs a runner in the settings and a visitor who is signed in; whether the visitor may
    call, the runner decides.
    """
    settings = current().settings
    account = sessions.state()
    if (
        view.state != "published"
        or settings.calling is None
        or settings.sign_in is None
        or account is None
        or account.person is None
    ):
        return None
    return TryPage(
        settings.calling.runner_url,
        settings.sign_in.issuer,
        settings.calling.client_id,
        settings.base_url + SIGNING_CALLBACK,
        account.person.subject,
        view.limits.wall_seconds,
        tuple(_trial(view, method) for method in view.methods),
    )


def _trial(view: VersionView, method: MethodView) -> Trial:
    pinned = commands.run(view.name, method, view.version)
    return Trial(method.name, method.summary, controls(method.arguments), pinned)


def controls(schema: Mapping[str, Any]) -> tuple[Control, ...]:
    """Return a control for each argument, or one for all of them where the schema is not plain."""
    properties = schema.get("properties", {})
    needed = schema.get("required", ())
    plain = (
        isinstance(properties, Mapping)
        and isinstance(needed, list | tuple)
        and not any(keyword in schema for keyword in (*_STRUCTURE, "patternProperties"))
        and not isinstance(schema.get("additionalProperties", False), Mapping)
        and len(properties) <= MAX_CONTROLS
        and set(map(str, needed)) <= set(properties)
        and (properties or schema.get("additionalProperties") is False)
    )
    if not plain:
        whole = Control("", "json", "Arguments", "", "object", "", (), True, "{}")
        return (whole,)
    return tuple(
        _control(name, inner if isinstance(inner, Mapping) else {}, name in needed)
        for name, inner in properties.items()
    )


def _control(name: str, schema: Mapping[str, Any], required: bool) -> Control:
    kind = _kind(schema)
    title = schema.get("title")
    default = schema.get("default", schema.get("const"))
    numeric = kind in ("integer", "number")
    return Control(
        member=json.dumps(name),
        kind=kind,
        label=title if isinstance(title, str) and title.strip() else name,
        name=name,
        type=type_of(schema),
        description=str(schema.get("description", "")),
        rules=tuple(rules_of(schema)),
        required=required,
        default=_default(kind, default),
        minimum=_bound(schema.get("minimum")) if numeric else "",
        maximum=_bound(schema.get("maximum")) if numeric else "",
        choices=tuple(_choices(schema, default, required)) if kind == "choice" else (),
    )


def _kind(schema: Mapping[str, Any]) -> Kind:
    kind, enum = schema.get("type"), schema.get("enum")
    if any(keyword in schema for keyword in _STRUCTURE):
        return "json"
    if isinstance(enum, list | tuple):
        return "choice" if 0 < len(enum) <= MAX_CHOICES else "json"
    if kind == "boolean" or "const" in schema:
        return "choice"
    if kind in ("integer", "number"):
        return "integer" if kind == "integer" else "number"
    if kind != "string":
        return "json"
    longest, default = schema.get("maxLength"), schema.get("default", "")
    short = isinstance(longest, int) and longest <= LINE and "\n" not in str(default)
    return "line" if short else "text"


def _choices(schema: Mapping[str, Any], default: object, required: bool) -> Iterator[Choice]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [False, True])
    if not required:
        yield Choice("", "(not given)")
    wanted = json.dumps(plain(default)) if default is not None else None
    for value in values:
        text = json.dumps(plain(value))
        label = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
        yield Choice(text, label, text == wanted)


def _default(kind: Kind, default: object) -> str:
    if kind == "json":
        return "" if default is None else json.dumps(plain(default), indent=2, ensure_ascii=False)
    if kind in ("integer", "number"):
        return _bound(default)
    return default if isinstance(default, str) and kind != "choice" else ""


def _bound(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return json.dumps(value) if number else ""
