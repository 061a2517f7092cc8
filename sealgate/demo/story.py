"""The story that the demonstration tells: what must work, then what must fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from sealgate import processes
from sealgate.commands.up import SERVICES
from sealgate.demo import hostile, revoking
from sealgate.demo.stage import Ran, Stage
from sealgate.deployment import Addresses, Deployment
from sealgate.registry_client import RegistryClient

ROOT = Path(__file__).parents[2]
AUTHOR = "alice@example.com"
REVIEWERS = ("bob@example.com", "carol@example.com")
PLUGIN = "markdown-render"


def build(
    example: str, into: Path, version: str | None = None, wall_seconds: int | None = None
) -> Path:
    """Build an example from source with `python -m build`; return the wheel's path."""
    source = into / "src" / f"{example}-{version or 'as-is'}"
    shutil.copytree(ROOT / "examples" / example, source)
    if version is not None:
        project = source / "pyproject.toml"
        text = project.read_text(encoding="utf-8")
        project.write_text(text.replace('version = "1.0.0"', f'version = "{version}"'))
    if wall_seconds is not None:
        (manifest,) = source.glob("src/*/plugin.json")
        content = json.loads(manifest.read_text(encoding="utf-8"))
        content["limits"]["wall_seconds"] = wall_seconds
        manifest.write_text(json.dumps(content, indent=2), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", into, source],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = into.glob(f"{example.replace('-', '_')}-{version or '*'}-*.whl")
    return wheel


class Story:
    """One telling; `stage` keeps the score."""

    def __init__(self, stage: Stage, deployment: Deployment) -> None:
        self.stage = stage
        self.deployment = deployment
        self.work = deployment.home / "work"
        self.work.mkdir()

    def call(
        self, plugin: str, method: str, arguments: object, *, runner: str | None = None
    ) -> dict[str, object]:
        """Call a plugin through `sealgate run`; return the reply."""
        options = ["--runner", runner] if runner else []
        ran = self.stage.sealgate(
            "run", plugin, method, "--json", json.dumps(arguments), "--caller", "demo",
            "--reply", *options, quiet=True,
        )  # fmt: skip
        try:
            reply = ran.json
        except ValueError:
            reply = {"status": "no reply", "error": {"message": (ran.out + ran.err)[-300:]}}
        return dict(reply)

    def publish(self, wheel: Path, release: str) -> bool:
        """Take a wheel through submission, scan and two approvals."""
        submitted = self.stage.sealgate("submit", wheel, "--account", AUTHOR, "--wait", quiet=True)
        done = submitted.code == 0
        for reviewer in REVIEWERS:
            approved = self.approve(release, reviewer, quiet=True)
            done = done and approved.code == 0
        status = self.stage.sealgate("status", release, "--wait", quiet=True)
        return done and "published" in status.out

    def approve(self, release: str, reviewer: str, *, quiet: bool = False) -> Ran:
        """Approve as `reviewer`."""
        return self.stage.sealgate(
            "review", "approve", release, "--account", reviewer,
            "--comment", "read every line", "--yes", *self.acknowledged(release), quiet=quiet,
        )  # fmt: skip

    def acknowledged(self, release: str) -> list[str]:
        """Return the options that acknowledge every Medium finding of a release."""
        name, _, version = release.partition("==")
        path = f"/api/v1/plugins/{name}/{version}/review-materials"
        asked = RegistryClient(self.deployment.addresses.registry).json(path)["acknowledge"]
        return [f"--acknowledge={each['fingerprint']}=it probes the sandbox" for each in asked]

    # -- what must work --------------------------------------------------------------------

    def main_road(self) -> None:
        """Submit, scan, review, publish, run, receipt."""
        stage = self.stage
        stage.title("An author submits a plugin, built from source")
        self.wheel = build(PLUGIN, self.work)
        stage.say(f"built {self.wheel.name}, {self.wheel.stat().st_size} bytes")
        submitted = stage.sealgate("submit", self.wheel, "--account", AUTHOR, "--wait")
        stage.expect(
            "a signed plugin is accepted and scanned",
            "in review",
            _last(submitted.out),
            held=submitted.code == 0 and "in_review" in submitted.out,
        )
        stage.title("What the scanner says of it, here as in the registry")
        scanned = stage.sealgate("scan", self.wheel)
        stage.expect(
            "the scan passes", "exit code 0", f"exit code {scanned.code}", held=scanned.code == 0
        )
        before = self.call(PLUGIN, "render", {"text": "# early"})
        stage.expect(
            "nothing runs before it is approved",
            "refused or unavailable",
            _said(before),
            held=before["status"] in ("refused", "unavailable"),
        )

        stage.title("Two reviewers approve those exact bytes")
        release = f"{PLUGIN}==1.0.0"
        for reviewer in REVIEWERS:
            self.approve(release, reviewer)
        status = stage.sealgate("status", release, "--wait")
        stage.expect(
            "two approvals publish it", "published", _last(status.out),
            held=status.code == 0 and "published" in status.out,
        )  # fmt: skip

        stage.title("A service calls it, and gets the result with a receipt")
        reply = self.call(PLUGIN, "render", {"text": "# Sealgate\n\n*it runs*"})
        stage.say(f"    result   {json.dumps(reply.get('result'))[:120]}")
        stage.say(f"    sandbox  {json.dumps(reply.get('sandbox'))[:120]}")
        stage.expect(
            "an admitted plugin runs",
            "ok, rendered",
            _said(reply),
            held=reply["status"] == "ok" and "<em>it runs</em>" in json.dumps(reply.get("result")),
        )
        receipt = self.work / "reply.json"
        receipt.write_text(json.dumps(reply), encoding="utf-8")
        checked = stage.sealgate("audit", "receipt", receipt)
        stage.expect(
            "its receipt verifies with the pinned key alone",
            "exit code 0",
            _last(checked.out),
            held=checked.code == 0,
        )

        stage.title("Anybody can verify a folder, offline")
        self.folder = self.work / "fetched"
        stage.sealgate("fetch", release, "--into", self.folder, quiet=True)
        verified = stage.sealgate("verify", self.folder)
        stage.expect(
            "the folder is Admitted",
            "Admitted",
            _first(verified.out),
            held=verified.code == 0 and "Admitted" in verified.out,
        )

    # -- what must fail --------------------------------------------------------------------

    def altered_bytes(self) -> None:
        """One flipped byte, on disk and from a registry that was taken over."""
        stage = self.stage
        stage.title("One flipped byte in the wheel")
        altered = self.work / "altered"
        shutil.copytree(self.folder, altered)
        (wheel,) = altered.glob("*.whl")
        wheel.write_bytes(hostile.flipped(wheel.read_bytes()))
        verified = stage.sealgate("verify", altered)
        stage.expect(
            "a folder with a flipped byte is refused",
            "exit code 1 and the step",
            _first(verified.out + verified.err),
            held=verified.code == 1 and "Refused" in verified.out + verified.err,
        )

    def unsigned(self) -> None:
        """A wheel without its author's signature."""
        stage = self.stage
        stage.title("An unsigned wheel")
        bare = self.work / "unsigned"
        bare.mkdir()
        wheel = build(PLUGIN, bare, "1.0.9")
        submitted = stage.sealgate("submit", wheel, "--unsigned")
        stage.expect(
            "the registry takes no unsigned wheel",
            "refused",
            _first(submitted.err),
            held=submitted.code == 1 and "bundle" in submitted.err,
        )

    def taken_over_registry(self) -> None:
        """A second runner, whose registry lies to it."""
        stage = self.stage
        stage.title("A registry that was taken over whole, and a runner that relies on it")
        self.one_approval_missing()
        liar = hostile.HostileRegistry(self.deployment.addresses.registry)
        try:
            self._against(liar)
        finally:
            liar.close()

    def one_approval_missing(self) -> None:
        """Version 1.1.0 gets one reviewer's approval and its author's."""
        stage = self.stage
        wheel = build(PLUGIN, self.work, "1.1.0")
        release = f"{PLUGIN}==1.1.0"
        stage.sealgate("submit", wheel, "--account", AUTHOR, "--wait", quiet=True)
        self.approve(release, REVIEWERS[0], quiet=True)
        own = self.approve(release, AUTHOR)
        stage.expect(
            "an author cannot approve their own plugin",
            "refused",
            _first(own.err),
            held=own.code == 1 and "author" in own.err,
        )
        status = stage.sealgate("status", release)
        stage.expect(
            "one approval of two publishes nothing",
            "in_review",
            _first(status.out),
            held="in_review" in status.out and "published" not in status.out,
        )

    def _against(self, liar: hostile.HostileRegistry) -> None:
        stage = self.stage
        wheel = next(self.folder.glob("*.whl")).read_bytes()
        second = second_runner(self.deployment, liar.url)
        processes.start(second, ("runner",), stage.say)
        address = second.addresses.runner
        try:
            for promise, release, alter, mark in (
                ("a runner refuses a flipped byte", "1.0.0", hostile.other_bytes(wheel), ""),
                (
                    "a runner refuses a wheel without its author's signature",
                    "1.0.0",
                    hostile.without_evidence(lambda entry: entry.get("step") == "submit"),
                    "submit",
                ),
                (
                    "a runner refuses a version with one approval of two",
                    "1.1.0",
                    hostile.as_published,
                    "review",
                ),
            ):
                liar.alter = alter
                reply = self.call(f"{PLUGIN}=={release}", "render", {"text": "x"}, runner=address)
                text = json.dumps(reply.get("error"))
                stage.expect(
                    promise, f"refused {mark}".strip(), _said(reply),
                    held=reply["status"] == "refused" and mark in text,
                )  # fmt: skip
            liar.alter = lambda _path, body: body
            reply = self.call(f"{PLUGIN}==1.0.0", "render", {"text": "x"}, runner=address)
            stage.expect(
                "the same runner runs what the registry gives unaltered",
                "ok",
                _said(reply),
                held=reply["status"] == "ok",
            )
        finally:
            processes.stop(second, ("runner",), stage.say)

    def hostile_plugins(self) -> None:
        """Plugins whose reviewers were fooled: the sandbox has to hold them."""
        stage = self.stage
        stage.title("A plugin that misbehaves although it was approved")
        wheel = build("limit-probe", self.work)
        published = self.publish(wheel, "limit-probe==1.0.0")
        stage.expect("the probe is published", "published", str(published), held=published)
        for promise, method, arguments, status in PROBES:
            reply = self.call("limit-probe", method, arguments)
            held = reply["status"] == status
            if status == "ok":
                # the probe lived to tell: it must have been refused
                result = reply.get("result")
                held = held and isinstance(result, dict) and result.get("outcome") == "refused"
            stage.expect(promise, status, _said(reply), held=held)
        after = self.call(PLUGIN, "render", {"text": "still *here*"})
        stage.expect("the next call is unharmed", "ok", _said(after), held=after["status"] == "ok")

    def audit(self) -> None:
        """The log has everything, and verifies."""
        stage = self.stage
        stage.title("The audit log")
        stage.sealgate("audit", "show")
        verified = stage.sealgate("audit", "verify")
        stage.expect(
            "the audit log verifies", "exit code 0", _last(verified.out), held=verified.code == 0
        )


PROBES = (
    ("a plugin that writes to disk is stopped", "write", {"path": "/", "kibibytes": 1}, "ok"),
    ("a plugin that opens a socket is stopped", "network", {"port": 80}, "ok"),
    ("a plugin that eats memory is stopped", "memory", {"mebibytes": 1024}, "resource_limit"),
    ("a plugin that floods its output is stopped", "output", {"kibibytes": 4096}, "resource_limit"),
    ("a plugin that never ends is stopped", "wall", {"seconds": 3600}, "timeout"),
)
"""(promise, method, arguments, status). A probe that is only refused says so and returns."""


def second_runner(deployment: Deployment, registry: str) -> Deployment:
    """Make a second runner's folder: the same trust, another registry, an audit log of its own."""
    from runner import setup

    home = deployment.home / "second"
    port = int(deployment.addresses.runner.rpartition(":")[2]) + 1
    second = Deployment(home, replace(deployment.addresses, runner=f"http://127.0.0.1:{port}"))
    second.keys.mkdir(parents=True)
    second.var.mkdir(mode=0o700)
    for path in (deployment.trusted_root, deployment.layout, deployment.layout_owners):
        shutil.copy(path, second.keys)
    policy = json.loads(deployment.runner_policy.read_text(encoding="utf-8"))
    policy["registry"] = registry
    policy.pop("distribution", None)  # it asks the plain API: the gate alone stands in the way
    second.runner_policy.write_text(json.dumps(policy), encoding="utf-8")
    setup.initialise(second.state("runner"), second.keys)
    second.save()
    return second


def tell(stage: Stage, addresses: Addresses, image: str) -> bool:
    """Tell the story in `stage.home`; return whether every promise held."""
    from runner.sandbox.choice import choose_driver
    from sealgate.setup import Plan, initialise

    stage.title("A deployment: authority, registry, scan worker, runner")
    # the author is a reviewer as well, to show that this does not help with their own plugin
    chosen = choose_driver(image)
    plan = Plan(
        image=image, driver=chosen.driver, reviewers=(*REVIEWERS, "dave@example.com", AUTHOR)
    )
    deployment = initialise(stage.home, addresses, plan)
    stage.say(f"keys in {deployment.keys}, private state in {deployment.var}")
    stage.say(f"containers by {chosen.driver}: {chosen.why}")
    try:
        processes.start(deployment, SERVICES, stage.say)
        story = Story(stage, deployment)
        story.main_road()
        story.altered_bytes()
        story.unsigned()
        story.taken_over_registry()
        story.hostile_plugins()
        revoking.revoke(story, build("limit-probe", story.work, "1.0.1", wall_seconds=60))
        story.audit()
    finally:
        processes.stop(deployment, tuple(reversed(SERVICES)))
    return stage.summary()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()] or [""]


def _first(text: str) -> str:
    return _lines(text)[0]


def _last(text: str) -> str:
    return _lines(text)[-1]


def _said(reply: dict[str, object]) -> str:
    detail = reply.get("error") or reply.get("result") or ""
    if isinstance(detail, dict):
        detail = detail.get("message") or detail.get("what") or detail.get("error") or ""
    return f"{reply['status']}: {detail}" if detail else str(reply["status"])
