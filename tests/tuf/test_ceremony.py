"""`sealgate keys`: the ceremonies as their people do them, one folder carried between machines."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tuf.api.metadata import Root

from registry.tuf.keys import OnlineKeys
from registry.tuf.repository import Repository
from registry.tuf.store import Store
from runner.clock import SystemClock
from runner.distribution.follower import Follower
from runner.http_get import Bounds
from sealgate.ceremony import drafting, signing
from sealgate.ceremony.folder import Folder
from sealgate.commands.keys import command
from tests.support.evidence import TrustFixture
from tests.tuf.simulator import failed
from tests.tuf.town import trust_files
from trust.errors import SealgateError
from trust.tuf import names
from trust.tuf.checks import read

pytestmark = pytest.mark.disable_socket

HOLDERS = ("alice", "bob", "carol")


@dataclass
class Hall:
    """Where ceremonies are held: a folder for each machine.

    Attributes:
        path: everything.
        folder: the ceremony's folder that is carried around.
    """

    path: Path
    folder: Path

    @property
    def repository(self) -> Path:
        """The registry's."""
        return self.path / "tuf"

    @property
    def pinned(self) -> Path:
        """What runners begin with."""
        return self.path / "tuf-root.json"

    def key(self, role: str, name: str) -> Path:
        """Return a holder's private key."""
        return self.path / name / f"{role}.pem"

    def keys(self, *arguments: object, ok: bool = True) -> str:
        """Run `sealgate keys`; return what it says, or the codes of its refusal."""
        done: Result = CliRunner().invoke(command, [str(a) for a in arguments])
        if ok:
            assert done.exit_code == 0, (done.output, done.exception)
            return done.output
        assert isinstance(done.exception, SealgateError), (done.output, done.exception)
        return " ".join(p.code for p in done.exception.problems)

    def sign(self, role: str, name: str, **options: bool) -> str:
        """Let a holder sign."""
        return self.keys("sign", self.folder, "--key", self.key(role, name), "--yes", **options)

    def again(self, name: str) -> None:
        """Begin a later ceremony in another folder, with the same public keys at hand."""
        old, self.folder = self.folder, self.path / name
        (self.folder / "keys").mkdir(parents=True)
        for path in (old / "keys").iterdir():
            (self.folder / "keys" / path.name).write_bytes(path.read_bytes())
        self.keys("open", self.folder, "--repository", self.repository)

    def publish(self) -> str:
        """Publish what is finished, and let the worker and a runner take it up."""
        said = self.keys("publish", self.folder, "--repository", self.repository)
        self.work()
        assert self.follow() is None
        return said

    def worker(self) -> Repository:
        """Return the worker's repository."""
        keys = OnlineKeys(self.path / "online")
        root = self.pinned.read_bytes()
        return Repository(Store(self.repository), root, keys, lambda: datetime.now(UTC))

    def work(self) -> None:
        """Let the worker look once."""
        self.worker().renew()

    def follow(self) -> str | None:
        """Let a runner refresh; it has been there from the first root on."""

        def fetch(url: str, bounds: Bounds) -> bytes:
            path = self.repository / url.removeprefix("http://x/")
            if not path.is_file():
                raise failed("not the status that was expected", 404)
            return path.read_bytes()

        follower = Follower(
            "http://x", self.pinned.read_bytes(), self.path / "runner", SystemClock(),
            max_age_seconds=60, fetch=fetch,
        )  # fmt: skip
        problem = follower.refresh()
        return problem.code if problem else None


@pytest.fixture(scope="module")
def trust() -> TrustFixture:
    """A layout, owners and a trusted root."""
    return TrustFixture()


@pytest.fixture
def hall(tmp_path: Path, trust: TrustFixture) -> Hall:
    """The first ceremony up to its drafts: three holders of root, three of targets."""
    made = Hall(tmp_path, tmp_path / "first")
    for role in names.OFFLINE:
        for name in HOLDERS:
            made.keys("new", made.folder, role, name, "--private", made.key(role, name))
    made.keys("online", made.folder, "--keys", tmp_path / "online")
    for path, data in trust_files(trust).items():
        (tmp_path / Path(path).name).write_bytes(data)
    made.keys(
        "init", made.folder, "--layout", tmp_path / "layout.json",
        "--owners", tmp_path / "layout_owners.json",
        "--trusted-root", tmp_path / "trusted_root.json",
    )  # fmt: skip
    return made


@pytest.fixture
def held(hall: Hall) -> Hall:
    """The first ceremony, published."""
    for role in names.OFFLINE:
        for name in HOLDERS[:2]:
            hall.sign(role, name)
    hall.keys("publish", hall.folder, "--repository", hall.repository, "--pin", hall.pinned)
    hall.work()
    assert hall.follow() is None
    return hall


def test_private_keys_are_for_their_holders_alone(hall: Hall) -> None:
    for path in (*hall.path.glob("*/*.pem"), *(hall.path / "online").iterdir()):
        if path.parent.name == "keys":
            continue
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not [p for p in hall.folder.rglob("*") if p.is_file() and b"PRIVATE" in p.read_bytes()]


def test_a_key_that_others_may_read_signs_nothing(hall: Hall) -> None:
    hall.key("root", "alice").chmod(0o640)
    assert hall.sign("root", "alice", ok=False) == "keys.mode"


def test_who_signs_sees_in_words_what_it_is(hall: Hall) -> None:
    said = hall.sign("root", "alice")
    assert "ROOT version 1" in said
    assert "root: 2 of 3 keys" in said
    assert "alice (root)" in said
    assert "1 of 2 signatures (1 missing)" in said
    assert "carry the folder to a holder who could sign" in said
    assert "TARGETS version 1" in hall.sign("targets", "bob")


def test_too_few_signatures_publish_nothing(hall: Hall) -> None:
    hall.sign("root", "alice")
    hall.sign("targets", "alice")
    publish = ("publish", hall.folder, "--repository", hall.repository)
    assert hall.keys(*publish, ok=False) == "tuf.signatures"
    assert not hall.repository.exists()


def test_nobody_signs_twice(hall: Hall) -> None:
    hall.sign("root", "alice")
    assert hall.sign("root", "alice", ok=False) == "keys.nothing-to-sign"


def test_a_dry_run_writes_nothing(hall: Hall) -> None:
    before = {p: p.read_bytes() for p in hall.path.rglob("*") if p.is_file()}
    assert "dry run" in hall.keys(
        "sign", hall.folder, "--key", hall.key("root", "alice"), "--dry-run"
    )
    hall.keys("new", hall.folder, "root", "dave", "--private", hall.path / "d.pem", "--dry-run")
    assert before == {p: p.read_bytes() for p in hall.path.rglob("*") if p.is_file()}


def test_nothing_is_overwritten(hall: Hall) -> None:
    private = hall.key("root", "alice")
    before = private.read_bytes()
    again = ("new", hall.folder, "root", "zoe", "--private", private)
    assert hall.keys(*again, ok=False) == "keys.exists"
    again = ("new", hall.folder, "root", "alice", "--private", hall.path / "other.pem")
    assert hall.keys(*again, ok=False) == "keys.exists"
    assert hall.keys("init", hall.folder, ok=False) == "keys.begun"
    assert private.read_bytes() == before


def test_a_signed_draft_is_not_changed(held: Hall) -> None:
    held.again("second")
    held.keys("threshold", held.folder, "root", 3)
    held.sign("root", "alice")
    assert held.keys("threshold", held.folder, "root", 2, ok=False) == "keys.signed"


def test_the_first_ceremony_makes_a_repository_that_a_runner_follows(held: Hall) -> None:
    assert held.follow() is None
    said = held.keys("status", "--repository", held.repository)
    assert "root version 1" in said
    assert "trust/layout.json" in said


def test_a_root_key_is_rotated(held: Hall) -> None:
    held.again("second")
    held.keys("new", held.folder, "root", "dave", "--private", held.key("root", "dave"))
    said = held.keys("rotate", held.folder, "root", "--remove", "bob", "--add", "dave")
    assert "NO LONGER" in said
    assert "NEW" in said
    held.sign("root", "dave")
    held.sign("root", "alice")
    publish = ("publish", held.folder, "--repository", held.repository)
    # two of the new root's own keys, but only one of the old root's: alice
    assert held.keys(*publish, ok=False) == "tuf.signatures"
    held.sign("root", "bob")
    assert "published 2.root.json" in held.publish()
    root = read(Root, (held.repository / "metadata/2.root.json").read_bytes()).signed
    assert len(root.roles["root"].keyids) == 3


@pytest.mark.parametrize("role", names.ONLINE)
def test_an_online_key_is_rotated(held: Hall, role: str) -> None:
    before = set((held.path / "online").glob(f"{role}-*.pem"))
    held.again("second")
    held.keys(
        "online", held.folder, "--keys", held.path / "online", "--role", role, "--name", "fresh"
    )
    held.keys("rotate", held.folder, role, "--remove", "worker", "--add", "fresh")
    for name in HOLDERS[:2]:
        held.sign("targets" if role == names.PUBLISHED else "root", name)
    for path in before:
        path.unlink()  # the stolen key is gone: only the new one may be needed
    held.publish()


def test_a_targets_key_is_rotated_together_with_the_targets(held: Hall) -> None:
    held.again("second")
    for name in ("dave", "erin"):
        held.keys("new", held.folder, "targets", name, "--private", held.key("targets", name))
    rotate = ("rotate", held.folder, "targets", "--remove", "alice", "--remove", "bob")
    held.keys(*rotate, "--add", "dave", "--add", "erin")
    for name in HOLDERS[:2]:
        held.sign("root", name)
    publish = ("publish", held.folder, "--repository", held.repository)
    assert held.keys(*publish, ok=False) == "keys.targets-lost"
    held.keys("renew", held.folder, "targets")
    for name in ("dave", "erin"):
        held.sign("targets", name)
    held.publish()


def test_a_threshold_is_raised(held: Hall) -> None:
    held.again("second")
    held.keys("threshold", held.folder, "root", 3)
    for name in HOLDERS[:2]:
        held.sign("root", name)
    publish = ("publish", held.folder, "--repository", held.repository)
    assert held.keys(*publish, ok=False) == "tuf.signatures"
    held.sign("root", "carol")
    held.publish()
    assert held.keys("threshold", held.folder, "root", 4, ok=False) in (
        "tuf.threshold", "keys.signed",
    )  # fmt: skip


def test_a_ceremony_that_was_overtaken_publishes_nothing(held: Hall) -> None:
    held.again("second")
    held.keys("renew", held.folder, "root")
    second = held.folder
    for name in HOLDERS[:2]:
        held.sign("root", name)
    held.again("third")
    held.keys("threshold", held.folder, "root", 1)
    for name in HOLDERS[:2]:
        held.sign("root", name)
    held.publish()
    publish = ("publish", second, "--repository", held.repository)
    assert held.keys(*publish, ok=False) == "keys.moved-on"


def test_a_draft_that_was_changed_on_the_way_is_not_signed(held: Hall, trust: TrustFixture) -> None:
    held.again("second")
    held.keys("files", held.folder, "--layout", held.path / "layout.json")
    layout = held.folder / "files" / names.LAYOUT
    layout.write_bytes(layout.read_bytes() + b" ")
    assert held.sign("targets", "alice", ok=False) == "keys.other-file"
    held.again("third")
    held.keys("renew", held.folder, "root")
    draft = held.folder / "new" / "root.json"
    draft.write_bytes(draft.read_bytes().replace(b'"version":2', b'"version":5'))
    assert held.sign("root", "alice", ok=False) == "keys.version"


def test_a_layout_that_its_owners_have_not_signed_is_not_put_before_anybody(
    held: Hall, trust: TrustFixture
) -> None:
    from trust.layout import sign_layout

    held.again("second")
    (held.path / "unsigned.json").write_bytes(sign_layout(trust.model, []))
    files = ("files", held.folder, "--layout", held.path / "unsigned.json")
    owners = ("--owners", held.path / "layout_owners.json")
    assert held.keys(*files, *owners, ok=False) == "layout.signatures"


def test_one_key_is_not_two_people(hall: Hall) -> None:
    one = hall.folder / "keys" / "root-alice.pem"
    (hall.folder / "keys" / "root-mallory.pem").write_bytes(one.read_bytes())
    assert hall.keys("status", hall.folder, ok=False) == "keys.twice"


def test_a_passphrase(hall: Hall) -> None:
    secret = hall.path / "passphrase"
    secret.write_text("correct horse battery staple\n")
    private = hall.path / "dave.pem"
    hall.keys("new", hall.folder, "root", "dave", "--private", private, "--passphrase-file", secret)
    assert private.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    wrong = hall.path / "wrong"
    wrong.write_text("guess")
    sign = ("sign", hall.folder, "--key", private, "--yes", "--passphrase-file")
    assert hall.keys(*sign, wrong, ok=False) == "tuf.private-key"
    assert hall.keys(*sign, secret, ok=False) == "keys.nothing-to-sign"


def test_a_finished_draft_that_has_ended_is_not_published(hall: Hall) -> None:
    for role in names.OFFLINE:
        for name in HOLDERS[:2]:
            hall.sign(role, name)
    late = datetime.now(UTC) + timedelta(days=drafting.ROOT_DAYS + 1)
    with pytest.raises(SealgateError) as caught:
        signing.publish(Folder(hall.folder), hall.repository, late)
    assert caught.value.problem.code == "tuf.expired"
