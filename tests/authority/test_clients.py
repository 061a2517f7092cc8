"""Real clients against the served authority: sigstore-python, its CLI, and sigstore-js."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from sigstore.dsse import DigestSet, StatementBuilder, Subject
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken, Issuer
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy

from tests.authority.conftest import ALICE, PASSWORDS, ROOT, SCANNER, Service
from trust.log import (
    Checkpoint,
    NoteVerifier,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from trust.log.tiles import TileName, unpack_bundle

JS = Path(__file__).with_name("js")
STATEMENT = StatementBuilder(
    [Subject(name="plugin-1.0.0-py3-none-any.whl", digest=DigestSet({"sha256": "ab" * 32}))],
    "https://example.com/predicate/v1",
    {"answer": 42},
).build()


def sign(service: Service, account: str, artifact: bytes | None = None) -> Bundle:
    config = ClientTrustConfig.from_json(json.dumps(service.trust_config))
    context = SigningContext.from_trust_config(config)
    with context.signer(IdentityToken(service.token(account))) as signer:
        return signer.sign_dsse(STATEMENT) if artifact is None else signer.sign_artifact(artifact)


def verifier(service: Service) -> Verifier:
    config = ClientTrustConfig.from_json(json.dumps(service.trust_config))
    return Verifier(trusted_root=config.trusted_root)


@pytest.mark.parametrize("account", [ALICE, SCANNER])
def test_the_library_signs_and_verifies(service: Service, account: str) -> None:
    bundle = Bundle.from_json(sign(service, account).to_json())
    found = verifier(service).verify_dsse(
        bundle, policy.Identity(identity=account, issuer=service.url)
    )
    assert found == ("application/vnd.in-toto+json", STATEMENT._contents)


def test_the_library_signs_an_artifact(service: Service) -> None:
    bundle = sign(service, ALICE, b"artifact")
    identity = policy.Identity(identity=ALICE, issuer=service.url)
    verifier(service).verify_artifact(b"artifact", bundle, identity)
    with pytest.raises(Exception, match="digest mismatch"):
        verifier(service).verify_artifact(b"Artifact", bundle, identity)


def test_the_library_accepts_the_issuer(service: Service) -> None:
    issuer = Issuer(service.url)
    assert issuer.oidc_config.token_endpoint == f"{service.url}/token"


def offline(command: list[str]) -> list[str]:
    """Run a command where there is no network, not even loopback."""
    return ["unshare", "--net", "--map-root-user", *command]


def has_namespaces() -> bool:
    return subprocess.run(offline(["true"]), capture_output=True).returncode == 0


@pytest.mark.slow
def test_the_cli_signs_and_verifies_offline(service: Service, tmp_path: Path) -> None:
    assert has_namespaces(), "network namespaces are needed to show that nothing is fetched"
    config, artifact = tmp_path / "trust.json", tmp_path / "artifact.txt"
    config.write_text(json.dumps(service.trust_config))
    artifact.write_bytes(b"some bytes")
    sigstore = [sys.executable, "-m", "sigstore", "--trust-config", str(config)]
    token = service.token(ALICE)
    environment = {**os.environ, "HOME": str(tmp_path)}
    signed = subprocess.run(
        [*sigstore, "sign", "--identity-token", token, str(artifact)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert signed.returncode == 0, signed.stderr
    verify = [
        *(*sigstore, "verify", "identity", "--cert-identity", ALICE),
        *("--cert-oidc-issuer", service.url, str(artifact)),
    ]
    verified = subprocess.run(
        offline(verify), capture_output=True, text=True, timeout=60, env=environment
    )
    assert verified.returncode == 0, verified.stderr
    assert "OK: " in verified.stderr
    artifact.write_bytes(b"other bytes")
    refused = subprocess.run(
        offline(verify), capture_output=True, text=True, timeout=60, env=environment
    )
    assert refused.returncode != 0


def node(tmp_path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Run verify.js; its packages are installed once, under var/, from the committed lock."""
    lock = (JS / "package-lock.json").read_bytes()
    assert b"http" not in lock, "the lock file must name no registry"
    home = ROOT / "var" / "tests-js" / hashlib.sha256(lock).hexdigest()[:16]
    if not (home / "node_modules" / ".complete").exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(JS / name, home / name)
        subprocess.run(
            ["npm", "ci", "--engine-strict=false", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=home,
            check=True,
            capture_output=True,
            timeout=120,
        )
        (home / "node_modules" / ".complete").touch()
    shutil.copyfile(JS / "verify.js", home / "verify.js")
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps(document))
    done = subprocess.run(
        ["node", "verify.js", str(cases)], cwd=home, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results


@pytest.mark.slow
def test_sigstore_js_accepts_ours_and_refuses_tampered(service: Service, tmp_path: Path) -> None:
    good = json.loads(sign(service, ALICE).to_json())
    workload = json.loads(sign(service, SCANNER).to_json())
    artifact = json.loads(sign(service, ALICE, b"artifact").to_json())

    def changed(edit: Any) -> dict[str, Any]:
        copy: dict[str, Any] = json.loads(json.dumps(good))
        edit(copy["dsseEnvelope"], copy["verificationMaterial"])
        return copy

    def payload(envelope: dict[str, Any], material: dict[str, Any]) -> None:
        text = base64.b64decode(envelope["payload"]).replace(b"42", b"43")
        envelope["payload"] = base64.b64encode(text).decode()

    def proof(envelope: dict[str, Any], material: dict[str, Any]) -> None:
        material["tlogEntries"][0]["inclusionProof"]["hashes"] = [
            base64.b64encode(bytes(32)).decode()
        ]

    def checkpoint(envelope: dict[str, Any], material: dict[str, Any]) -> None:
        note = material["tlogEntries"][0]["inclusionProof"]["checkpoint"]
        origin, size, rest = note["envelope"].split("\n", 2)
        note["envelope"] = f"{origin}\n{int(size) + 1}\n{rest}"

    def timestamp(envelope: dict[str, Any], material: dict[str, Any]) -> None:
        material["timestampVerificationData"] = artifact["verificationMaterial"][
            "timestampVerificationData"
        ]

    def certificate(envelope: dict[str, Any], material: dict[str, Any]) -> None:
        material["certificate"] = workload["verificationMaterial"]["certificate"]

    cases = {
        "person": {"bundle": good, "identity": ALICE},
        "workload": {"bundle": workload, "identity": SCANNER},
        "artifact": {
            "bundle": artifact,
            "identity": ALICE,
            "artifact": base64.b64encode(b"artifact").decode(),
        },
        "other identity": {"bundle": good, "identity": "mallory@example.com"},
        "other artifact": {
            "bundle": artifact,
            "identity": ALICE,
            "artifact": base64.b64encode(b"Artifact").decode(),
        },
    }
    for edit in (payload, proof, checkpoint, timestamp, certificate):
        cases[edit.__name__] = {"bundle": changed(edit), "identity": ALICE}
    results = node(
        tmp_path,
        {
            "trustedRoot": service.trust_config["trustedRoot"],
            "issuer": service.url,
            "cases": cases,
        },
    )
    accepted = {name for name, result in results.items() if result["ok"]}
    assert accepted == {"person", "workload", "artifact"}, results


def test_the_log_can_be_read_and_audited_from_outside(service: Service) -> None:
    """What a monitor does with tiles: nothing but hashes and the log's public key."""
    sign(service, ALICE)
    root = service.trust_config["trustedRoot"]["tlogs"][0]
    raw = base64.b64decode(root["publicKey"]["rawBytes"])[-32:]
    key = NoteVerifier(root["baseUrl"].removeprefix("https://"), raw)
    api = f"{service.url}/api/v2"

    def checkpoint() -> Checkpoint:
        return Checkpoint.verify(requests.get(f"{api}/checkpoint", timeout=5).text, key)

    def tile(path: str) -> bytes:
        reply = requests.get(f"{api}/tile/{path}", timeout=5)
        reply.raise_for_status()
        return reply.content

    old = checkpoint()
    sign(service, SCANNER)
    new = checkpoint()
    assert new.size == old.size + 1 < 256
    name = TileName(0, new.size).path
    leaves = [tile(f"0/{name}")[i * 32 : i * 32 + 32] for i in range(new.size)]
    entries = unpack_bundle(tile(f"entries/{name}"))
    assert [leaf_hash(entry) for entry in entries] == leaves
    assert json.loads(entries[-1])["kind"] == "hashedrekord"
    from trust.log import MerkleLog

    mirror = MerkleLog(None, None)
    mirror.append_many(entries)
    assert mirror.root() == new.root
    proof = mirror.consistency_proof(old.size)
    verify_consistency(old.size, old.root, new.size, new.root, proof)
    last = new.size - 1
    verify_inclusion(leaves[last], last, new.size, mirror.inclusion_proof(last), new.root)
    last = "entries/x999/x999/x999/x999/x999/999"
    for bad in (
        "0/000",
        last,
        last.replace("entries", "0"),
        f"0/{TileName(0, new.size + 1).path}",
        "9/000.p/1",
        "entries/0",
        "0/x",
    ):
        reply = requests.get(f"{api}/tile/{bad}", timeout=5)
        assert (reply.status_code, reply.json()["code"]) == (404, 5)


def test_a_killed_authority_keeps_every_entry(service: Service) -> None:
    before = [sign(service, ALICE) for _ in range(3)]
    service.kill()
    service.start()
    after = sign(service, ALICE)
    indexes = [int(b.log_entry._inner.log_index) for b in [*before, after]]
    assert indexes == list(range(indexes[0], indexes[0] + 4))
    for bundle in [*before, after]:
        verifier(service).verify_dsse(bundle, policy.Identity(identity=ALICE, issuer=service.url))


def test_the_token_command(service: Service, tmp_path: Path) -> None:
    from sealgate.deployment import Addresses, Deployment

    deployment = Deployment(tmp_path, Addresses(authority=service.url))
    deployment.save()
    deployment.secret(ALICE).parent.mkdir(parents=True)
    deployment.secret(ALICE).write_text(PASSWORDS[ALICE] + "\n")
    deployment.secret("scanner").write_text(PASSWORDS[SCANNER])
    deployment.secret("bob@example.com").write_text("not an account's password")
    command = [sys.executable, "-m", "sealgate", "--home", str(tmp_path), "token"]
    command[1:3] = ["-c", "from sealgate.cli import main; main()"]

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=ROOT,
            env={**os.environ, **environment},
        )

    assert IdentityToken(run(ALICE).stdout.strip()).identity == ALICE
    assert IdentityToken(run("scanner").stdout.strip()).identity == SCANNER
    given = run(ALICE, "--audience", "sigstore", SEALGATE_PASSWORD=PASSWORDS[ALICE])
    assert IdentityToken(given.stdout.strip()).issuer == service.url
    other = run(ALICE, "--audience", "somebody-else")
    assert other.returncode == 0
    with pytest.raises(Exception, match="malformed"):
        IdentityToken(other.stdout.strip())
    refused = run("bob@example.com")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "token.refused" in refused.stderr
    assert "Traceback" not in refused.stderr
