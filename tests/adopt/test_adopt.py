"""Third-party wheels as plugins: what is locked, what is verified, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from registry.pypi import attestations
from sealgate.adopt import methods, provenance
from sealgate.adopt.resolve import NotAdopted
from sealgate.cli import cli
from tests.support.dependencies import make_library
from tests.support.evidence import TrustFixture
from trust.evidence.statements import submit_statement
from trust.outcomes import Passed
from trust.wheel import inspect_dependencies, read_members, read_wheel

SOURCE = '''"""Say it louder."""

import whispering


def loud(text: str, times: int = 1, *, mark: str | None = "!") -> str:
    """Say it louder.

    And louder.
    """
    return text.upper() + (mark or "") * times


def anything(value, *rest, **more):
    return value


def narrow(value, /):
    return value
'''
LIBRARY, DATA = make_library(
    files={"shouting/__init__.py": SOURCE}, metadata=["Requires-Dist: whispering>=1"]
)
OTHER, OTHER_DATA = make_library("whispering")


@pytest.fixture(scope="module")
def trust() -> TrustFixture:
    return TrustFixture()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / LIBRARY.filename).write_bytes(DATA)
    (folder / OTHER.filename).write_bytes(OTHER_DATA)
    return folder


def adopt(wheels: Path, *more: str, release: str = "shouting==2.0") -> Result:
    words = ["adopt", release, "--wheels", str(wheels), "--into", str(wheels.parent / "out")]
    method = () if "--method" in more else ("--method", "shout=shouting:loud")
    return CliRunner().invoke(cli, [*words, *method, *more])


def refusal(result: Result) -> str:
    assert isinstance(result.exception, NotAdopted), result.output
    return result.exception.diagnostics()


def test_a_wheel_becomes_a_plugin_that_locks_it(wheels: Path) -> None:
    result = adopt(wheels)
    assert result.exit_code == 0, result.exception
    assert "no attestation" in result.output
    (path,) = (wheels.parent / "out").glob("*.whl")
    plugin = read_wheel(path.read_bytes(), path.name)
    assert (plugin.name, plugin.version) == ("adopted-shouting", "2.0")
    assert plugin.dependencies == (LIBRARY, OTHER)
    method = plugin.manifest.methods["shout"]
    assert method.summary == "Say it louder."
    assert method.arguments == {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "times": {"type": "integer"},
            "mark": {"type": ["string", "null"]},
        },
        "required": ["text"],
        "additionalProperties": False,
    }
    assert method.result == {"type": "string"}
    locked = {item.sha256: item for item in plugin.dependencies}
    data = {
        digest: (wheels.parent / "out" / "dependencies" / item.filename).read_bytes()
        for digest, item in locked.items()
    }
    assert isinstance(inspect_dependencies(plugin, data), Passed)
    first = path.read_bytes()
    assert adopt(wheels).exit_code == 0
    assert path.read_bytes() == first


def test_the_adapters_call_the_adopted_functions(wheels: Path, tmp_path: Path) -> None:
    assert adopt(wheels).exit_code == 0
    (path,) = (tmp_path / "out").glob("*.whl")
    source = read_members(path.read_bytes())["adopted_shouting/__init__.py"].decode()
    namespace: dict[str, Any] = {}
    code = source.replace("import shouting as _adopted_0", "")

    class Library:
        @staticmethod
        def loud(text: str, mark: str = "!") -> str:
            return text.upper() + mark

    exec(code, namespace | {"_adopted_0": Library}, namespace)
    namespace["shout"].__globals__["_adopted_0"] = Library
    assert namespace["shout"]({"text": "a", "mark": "?"}) == "A?"


def test_schemas_can_be_narrowed(wheels: Path, tmp_path: Path) -> None:
    path = tmp_path / "schemas.json"
    path.write_text(json.dumps({"shout": {"result": {"type": "string", "maxLength": 10}}}))
    assert adopt(wheels, "--schemas", str(path)).exit_code == 0
    (made,) = (tmp_path / "out").glob("*.whl")
    plugin = read_wheel(made.read_bytes(), made.name)
    assert plugin.manifest.methods["shout"].result == {"type": "string", "maxLength": 10}


@pytest.mark.parametrize("release", ["shouting", "shouting>=2", "==2.0", "shouting==x"])
def test_exactly_one_release_is_named(wheels: Path, release: str) -> None:
    assert "adopt.release" in refusal(adopt(wheels, release=release))


def test_what_it_requires_must_be_there(wheels: Path) -> None:
    (wheels / OTHER.filename).unlink()
    assert "adopt.unresolved" in refusal(adopt(wheels))


def test_a_wheel_that_no_plugin_may_lock_is_refused(wheels: Path) -> None:
    _, data = make_library("whispering", files={"whispering/x.so": b"\x7fELF"})
    (wheels / OTHER.filename).write_bytes(data)
    assert "wheel.native-code" in refusal(adopt(wheels))


@pytest.mark.parametrize(
    "method",
    ["loud", "x=shouting", "x=nothing:loud", "x=shouting:nobody", "x=shouting:narrow", "X=a:b"],
)
def test_a_method_names_a_function_of_the_wheel(method: str) -> None:
    with pytest.raises(NotAdopted) as refused:
        methods.find(method, read_members(DATA))
    assert refused.value.problem.code == "adopt.method"


def test_what_has_no_annotation_stays_open() -> None:
    found = methods.find("a=shouting:anything", read_members(DATA))
    assert found.arguments["properties"] == {"value": {}}
    assert found.result == {}


def document(trust: TrustFixture, *, filename: str = LIBRARY.filename, **changes: Any) -> bytes:
    """Return a provenance whose attestation an in-memory Sigstore signed."""
    statement = submit_statement(filename, changes.pop("sha256", LIBRARY.sha256))
    bundle = trust.sigstore.sign(trust.author.subject, statement)
    made = attestations.provenance(trust.author, bundle)
    made["attestation_bundles"][0]["publisher"] |= changes
    return json.dumps(made).encode()


def test_attestations_are_verified(trust: TrustFixture, wheels: Path, tmp_path: Path) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(trust.sigstore.trusted_root)
    (wheels / f"{LIBRARY.filename}.provenance").write_bytes(document(trust))
    result = adopt(wheels, "--trusted-root", str(root))
    assert result.exit_code == 0, refusal(result)
    assert f"published by {trust.author}" in result.output
    (path,) = (tmp_path / "out").glob("*.whl")
    origin = json.loads(read_members(path.read_bytes())["adopted_shouting/adopted.json"])
    assert origin["attestations"][0]["signer"] == trust.author.as_dict()
    # the same attestation, and a root that does not know who signed it
    assert "bundle." in refusal(adopt(wheels))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sha256": OTHER.sha256}, "another file"),
        ({"filename": OTHER.filename}, "another file"),
        ({"kind": "GitHub", "repository": "pypa/sampleproject"}, "another publisher"),
    ],
)
def test_an_attestation_that_proves_something_else_is_refused(
    trust: TrustFixture, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(NotAdopted) as refused:
        provenance.verify(document(trust, **changes), LIBRARY, trust.sigstore.trusted_root)
    assert code in refused.value.diagnostics()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"attestation_bundles": []}', b'{"attestation_bundles": [1]}', b"[]"]
)
def test_a_provenance_that_proves_nothing_is_refused(trust: TrustFixture, data: bytes) -> None:
    with pytest.raises(NotAdopted):
        provenance.verify(data, LIBRARY, trust.sigstore.trusted_root)


def test_an_altered_attestation_is_refused(trust: TrustFixture) -> None:
    made = json.loads(document(trust))
    envelope = made["attestation_bundles"][0]["attestations"][0]["envelope"]
    envelope["signature"] = envelope["signature"][:-8] + "AAAAAAA="
    data = json.dumps(made).encode()
    with pytest.raises(NotAdopted):
        provenance.verify(data, LIBRARY, trust.sigstore.trusted_root)


def test_the_public_root_is_at_hand() -> None:
    from trust.evidence.bundles import BundleVerifier

    BundleVerifier(provenance.public_root())
