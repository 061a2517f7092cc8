"""`uv`, `twine` and `pip`, unmodified, against a registry that is served over HTTP."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from sealgate.deployment import Addresses, Deployment
from tests.authority.conftest import ALICE, PASSWORDS, Service, service
from tests.registry.pypi.conftest import serving
from tests.registry.pypi.tools import BIN, Town, form, post
from tests.support.evidence import AUTHOR, TrustFixture
from tests.support.wheels import make_wheel

__all__ = ["service"]


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a tool printed, its line breaks and indents as single blanks."""
    return " ".join((done.stdout + done.stderr).split())


# -- upload ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["uv", "twine"])
def test_a_signed_wheel_is_taken_once_and_for_all(town: Town, tool: str) -> None:
    wheel = town.wheel()
    town.dist(*wheel, town.attestation(*wheel))

    def upload() -> subprocess.CompletedProcess[str]:
        return town.uv_publish() if tool == "uv" else town.twine_upload("--attestations")

    for _ in range(2):
        done = upload()
        assert done.returncode == 0, said(done)
        view = town.registry.view()
        assert view["author"]["subject"] == AUTHOR
        assert view["sha256"] == hashlib.sha256(wheel[1]).hexdigest()
        assert [event["event"] for event in view["timeline"]] == ["submitted"]


@pytest.mark.parametrize("tool", ["uv", "twine"])
def test_the_terminal_shows_every_part_of_a_refusal(town: Town, tool: str) -> None:
    filename, wheel = make_wheel(files={"example_plugin/fast.so": b"\x7fELF" + bytes(60)})
    town.dist(filename, wheel, town.attestation(filename, wheel))
    done = town.uv_publish() if tool == "uv" else town.twine_upload("--attestations")
    assert done.returncode != 0
    same = form(filename, wheel, town.attestation(filename, wheel))
    problems = post(town.registry, same).get_json()["problems"]
    assert problems
    for problem in problems:
        for part in ("code", "what", "value", "expected", "advice", "where"):
            assert " ".join(problem[part].split()) in said(done), (part, said(done))


@pytest.mark.parametrize("tool", ["uv", "twine"])
def test_an_unsigned_wheel_is_refused_with_how_to_sign(town: Town, tool: str) -> None:
    town.dist(*town.wheel())
    done = town.uv_publish() if tool == "uv" else town.twine_upload()
    assert done.returncode != 0
    assert "it has no attestation [http.field]" in said(done)
    assert "sealgate attest" in said(done)


def test_a_source_distribution_is_refused_with_the_reason(town: Town) -> None:
    (town.folder / "pkg").mkdir()
    project = '[project]\nname = "example-plugin"\nversion = "1.0.0"\n'
    (town.folder / "pkg" / "pyproject.toml").write_text(project)
    build = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
    with (town.folder / "pkg" / "pyproject.toml").open("a") as file:
        file.write('description = "A plugin."\n' + build)
    (town.folder / "pkg" / "example_plugin.py").write_text('"""A plugin."""\n')
    built = town.run("python", "-m", "build", "-nsx", "-o", "dist", "pkg")
    assert built.returncode == 0, said(built)
    (sdist,) = (town.folder / "dist").iterdir()
    assert sdist.name == "example_plugin-1.0.0.tar.gz"
    for done in (town.uv_publish(), town.twine_upload()):
        assert done.returncode != 0
        assert "building a source distribution runs its code" in said(done)
        assert "example_plugin-1.0.0.tar.gz (sdist)" in said(done)


def test_uv_checks_the_index_before_it_uploads(published: Town) -> None:
    check = ("--check-url", f"{published.url}/simple/")
    path = published.dist(*published.wheel("1.0.0"))
    done = published.uv_publish(*check)
    assert done.returncode == 0, said(done)
    assert "already exists, skipping" in said(done)
    path.write_bytes(make_wheel()[1])
    done = published.uv_publish(*check)
    assert done.returncode != 0
    path.unlink()


def test_attest_and_publish_with_the_embedded_authority(
    service: Service, trust: TrustFixture, tmp_path: Path
) -> None:
    """What `sealgate attest` writes is what `uv publish` sends and the registry takes."""
    home = tmp_path / "home"
    home.mkdir()
    deployment = Deployment(home, Addresses(authority=service.url))
    deployment.save()
    deployment.secret(ALICE).parent.mkdir(parents=True)
    deployment.secret(ALICE).write_text(PASSWORDS[ALICE])
    deployment.client_trust_config.parent.mkdir(exist_ok=True)
    deployment.client_trust_config.write_text(json.dumps(service.trust_config))
    root = tmp_path / "root.json"
    root.write_text(json.dumps(service.trust_config["trustedRoot"]))
    issuers = frozenset({service.url})
    with serving(trust, tmp_path, trusted_root=root, trusted_issuers=issuers) as town:
        path = town.dist(*town.wheel())
        arguments = ("--home", str(home), "attest", str(path), "--account", ALICE)
        done = town.run("sealgate", *arguments)
        assert done.returncode == 0, said(done)
        attestation = Path(f"{path}.publish.attestation")
        assert json.loads(attestation.read_text())["version"] == 1
        done = town.uv_publish()
        assert done.returncode == 0, said(done)
        assert town.registry.view()["author"] == {"issuer": service.url, "subject": ALICE}

        before = attestation.read_bytes()
        done = town.run("sealgate", *arguments)
        assert (done.returncode, attestation.read_bytes()) == (1, before)
        assert "attest.exists" in done.stderr
        done = town.run("sealgate", *arguments, "--overwrite")
        assert done.returncode == 0, said(done)
        assert attestation.read_bytes() != before


# -- download --------------------------------------------------------------------------------


def test_pip_downloads_what_is_published(published: Town) -> None:
    filename, wheel = published.wheel("1.10.0")
    done = published.run(
        "pip",
        *("download", "--disable-pip-version-check", "--no-cache-dir", "-d", "down"),
        *("--index-url", f"{published.url}/simple/", "Example_Plugin", "-vv"),
    )
    assert done.returncode == 0, said(done)
    assert (published.folder / "down" / filename).read_bytes() == wheel
    assert "as application/vnd.pypi.simple.v1+json" in said(done)
    assert f"{filename}.metadata" in said(done)


def test_pip_reads_the_html_page_too(published: Town) -> None:
    filename, wheel = published.wheel("1.0.0")
    done = published.run(
        "pip",
        *("download", "--disable-pip-version-check", "--no-cache-dir", "--no-index", "-d", "html"),
        *("--find-links", f"{published.url}/simple/example-plugin/", "example-plugin==1.0.0"),
    )
    assert done.returncode == 0, said(done)
    assert (published.folder / "html" / filename).read_bytes() == wheel


def test_what_is_not_published_is_not_there_for_pip(published: Town) -> None:
    done = published.run(
        "pip",
        *("download", "--disable-pip-version-check", "--no-cache-dir", "-d", "down"),
        *("--index-url", f"{published.url}/simple/", "example-plugin==2.0.0"),
    )
    assert done.returncode != 0
    assert "(from versions: 1.0.0, 1.10.0)" in said(done)


def test_pip_requires_hashes(published: Town) -> None:
    _, wheel = published.wheel("1.0.0")
    for digest, code in ((hashlib.sha256(wheel).hexdigest(), 0), ("0" * 64, 1)):
        (published.folder / "r.txt").write_text(f"example-plugin==1.0.0 --hash=sha256:{digest}\n")
        done = published.run(
            "pip",
            *("download", "--disable-pip-version-check", "--no-cache-dir", "-d", f"hashed{code}"),
            *("--index-url", f"{published.url}/simple/", "--require-hashes", "-r", "r.txt"),
        )
        assert done.returncode == code, said(done)


def test_uv_installs_what_is_published(published: Town) -> None:
    place = published.folder / "site"
    index = ("--index-url", f"{published.url}/simple/")
    install = ("pip", "install", "-v", "--target", str(place), "--python", str(BIN / "python"))
    done = published.run("uv", *install, *index, "example-plugin>=1")
    assert done.returncode == 0, said(done)
    assert "+ example-plugin==1.10.0" in said(done)
    assert ".whl.metadata" in said(done)
    assert (place / "example_plugin" / "plugin.json").is_file()


def test_uv_leaves_out_what_is_younger_than_it_shall_be(published: Town) -> None:
    """PEP 700's upload time is the time of publication, by which `--exclude-newer` goes."""
    index = ("--index-url", f"{published.url}/simple/", "--exclude-newer", "2020-01-01")
    install = ("pip", "install", "--dry-run", "--target", "none", "--python", str(BIN / "python"))
    done = published.run("uv", *install, *index, "example-plugin")
    assert done.returncode != 0
    at = published.registry.view("example-plugin", "1.10.0")["published_at"]
    assert f"published at {at[:19]}" in said(done)


def test_pypi_attestations_reads_what_is_served(published: Town) -> None:
    filename, wheel = published.wheel("1.0.0")
    address = f"/integrity/example-plugin/1.0.0/{filename}/provenance"
    answer = published.registry.client.get(address)
    (bundle,) = answer.get_json()["attestation_bundles"]
    path = published.dist(filename, wheel, bundle["attestations"][0])
    attestation = f"{path}.publish.attestation"
    done = published.run("pypi-attestations", "inspect", attestation)
    assert done.returncode == 0, said(done)
    assert hashlib.sha256(wheel).hexdigest() in said(done)
    assert filename in said(done)
    path.unlink()
    Path(attestation).unlink()
