"""The authority's private files: modes, atomic creation, accounts, idempotent set-up."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives import serialization

from authority import files
from authority.accounts import Accounts
from authority.core import utc_now
from authority.errors import RequestRefused, StateRefused, TooManyAttempts, Unauthenticated
from authority.keys import AuthorityKeys
from authority.keystore import KeyStore
from authority.setup import State, initialise, open_authority
from trust.log import NoteRefused

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:8600"
ALICE = "alice@example.com"
PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def public_parts(keys: AuthorityKeys) -> list[object]:
    return [
        keys.ca_chain,
        keys.tsa_chain,
        *(getattr(keys, name).public_key() for name in ("ca", "ct", "tsa", "oidc", "log")),
    ]


def test_keys_are_kept_and_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = KeyStore(tmp_path / "state" / "keys").load_or_create(utc_now())
    finally:
        os.umask(old)
    again = KeyStore(tmp_path / "state" / "keys").load_or_create(utc_now())
    assert public_parts(made) == public_parts(again)
    for directory in (tmp_path / "state", tmp_path / "state" / "keys"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    written = sorted((tmp_path / "state" / "keys").iterdir())
    assert len(written) == len(fields(AuthorityKeys))
    for file in written:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["keys"], "no temporary is left"


def test_the_roots_private_keys_are_not_stored(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys").load_or_create(utc_now())
    roots = [chain[1].public_key() for chain in (keys.ca_chain, keys.tsa_chain)]
    for file in (tmp_path / "keys").glob("*.pem"):
        if b"PRIVATE KEY" in file.read_bytes():
            key = serialization.load_pem_private_key(file.read_bytes(), None)
            assert key.public_key() not in roots


@pytest.mark.parametrize(
    ("name", "mode"), [("", 0o755), ("", 0o710), ("ca.pem", 0o644), ("log.pem", 0o640)]
)
def test_looser_modes_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    store = KeyStore(tmp_path / "keys")
    store.load_or_create(utc_now())
    (tmp_path / "keys" / name).chmod(mode)
    with pytest.raises(StateRefused, match="open to others"):
        store.load()


def test_links_are_refused(tmp_path: Path) -> None:
    KeyStore(tmp_path / "real").load_or_create(utc_now())
    (tmp_path / "keys").symlink_to(tmp_path / "real")
    with pytest.raises(StateRefused):
        KeyStore(tmp_path / "keys").load_or_create(utc_now())
    (tmp_path / "real" / "ca.pem").rename(tmp_path / "ca.pem")
    (tmp_path / "real" / "ca.pem").symlink_to(tmp_path / "ca.pem")
    with pytest.raises(StateRefused):
        KeyStore(tmp_path / "real").load()


def test_damaged_or_mixed_keys_are_refused_and_not_replaced(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    store.load_or_create(utc_now())
    KeyStore(tmp_path / "other").load_or_create(utc_now())
    for name in ("ca.pem", "ca_chain.pem", "tsa_chain.pem"):
        mine = (tmp_path / "keys" / name).read_bytes()
        files.write_private(tmp_path / "keys" / name, (tmp_path / "other" / name).read_bytes())
        with pytest.raises(StateRefused, match="does not belong"):
            store.load_or_create(utc_now())
        files.write_private(tmp_path / "keys" / name, mine)
    store.load()
    for name, data in (("oidc.pem", b"junk"), ("log.pem", b""), ("ca_chain.pem", b"")):
        mine = (tmp_path / "keys" / name).read_bytes()
        files.write_private(tmp_path / "keys" / name, data)
        with pytest.raises(StateRefused, match="cannot be read"):
            store.load_or_create(utc_now())
        files.write_private(tmp_path / "keys" / name, mine)
    (tmp_path / "keys" / "ct.pem").unlink()
    with pytest.raises(StateRefused, match="cannot be read"):
        store.load_or_create(utc_now())


def test_two_makers_end_up_with_the_same_keys(tmp_path: Path) -> None:
    found: list[AuthorityKeys] = []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        found.append(KeyStore(tmp_path / "keys").load_or_create(utc_now()))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(public_parts(keys) == public_parts(found[0]) for keys in found)
    assert [p.name for p in tmp_path.iterdir()] == ["keys"]


def test_a_kill_in_mid_creation_leaves_all_or_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from authority.core import utc_now\n"
        "from authority.keystore import KeyStore\nprint('go', flush=True)\n"
        "for i in range(10**6): KeyStore(Path(sys.argv[1]) / str(i)).load_or_create(utc_now())"
    )
    maker = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert maker.stdout is not None
    maker.stdout.readline()
    time.sleep(0.3)
    maker.kill()
    maker.wait(timeout=10)
    maker.stdout.close()
    made = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert made
    for path in made:
        KeyStore(path).load()


def test_setting_up_twice_changes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = initialise(state, URL, {ALICE: PASSWORD})
    stored = {p: p.read_bytes() for p in state.rglob("*") if p.suffix in (".pem", ".json")}
    assert initialise(state, f"{URL}/", {ALICE: PASSWORD}) == first
    assert {p: p.read_bytes() for p in stored} == stored
    for path in state.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    initialise(state, URL, {"bob@example.com": PASSWORD})
    authority, accounts = open_authority(state)
    assert accounts.names == [ALICE, "bob@example.com"]
    assert authority.client_trust_config() == first
    with pytest.raises(StateRefused, match="another address"):
        initialise(state, "http://127.0.0.1:9999", {})


def test_no_password_is_stored(tmp_path: Path) -> None:
    initialise(tmp_path / "state", URL, {ALICE: PASSWORD})
    text = State(tmp_path / "state").accounts.read_text()
    assert PASSWORD not in text
    assert "$argon2id$" in text
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_state_with_another_s_log_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        initialise(tmp_path / name, URL, {})
    authority, _ = open_authority(tmp_path / "two")
    authority.log_service.log.append(b"an entry")
    authority.close()
    State(tmp_path / "two").log.rename(State(tmp_path / "one").log)
    with pytest.raises(NoteRefused):
        open_authority(tmp_path / "one")


def test_opening_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StateRefused):
        open_authority(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


class TestAccounts:
    @pytest.fixture
    def accounts(self, tmp_path: Path) -> Accounts:
        made = Accounts(tmp_path / "accounts.json", utc_now, CHEAP)
        made.ensure({ALICE: PASSWORD})
        return made

    @pytest.mark.parametrize(
        ("name", "password"),
        [
            (ALICE, "short"),
            (ALICE, "x" * 1025),
            ("alice", PASSWORD),
            ("", PASSWORD),
            ("alice@exämple.com", PASSWORD),
        ],
    )
    def test_unacceptable_accounts(self, accounts: Accounts, name: str, password: str) -> None:
        with pytest.raises(RequestRefused):
            accounts.ensure({"bob@example.com": PASSWORD, name: password})
        assert accounts.names == [ALICE]

    def test_a_new_password_replaces_the_old(self, accounts: Accounts, tmp_path: Path) -> None:
        accounts.ensure({ALICE: "another long password"})
        again = Accounts(tmp_path / "accounts.json", utc_now, CHEAP)
        assert again.authenticate(ALICE, "another long password") == ALICE
        with pytest.raises(Unauthenticated):
            again.authenticate(ALICE, PASSWORD)

    @pytest.mark.parametrize("data", [b"[]", b"{", b'{"a": 1}', b'{"a": "b", "a": "c"}'])
    def test_a_damaged_file(self, tmp_path: Path, data: bytes) -> None:
        files.write_private(tmp_path / "bad.json", data)
        with pytest.raises(StateRefused, match="cannot be read"):
            Accounts(tmp_path / "bad.json", utc_now, CHEAP)

    def test_a_readable_file(self, accounts: Accounts, tmp_path: Path) -> None:
        (tmp_path / "accounts.json").chmod(0o644)
        with pytest.raises(StateRefused, match="cannot be read"):
            Accounts(tmp_path / "accounts.json", utc_now, CHEAP)

    def test_a_damaged_hash_is_no_password(self, tmp_path: Path) -> None:
        files.write_private(tmp_path / "a.json", b'{"alice@example.com": "plain text"}')
        accounts = Accounts(tmp_path / "a.json", utc_now, CHEAP)
        with pytest.raises(Unauthenticated):
            accounts.authenticate(ALICE, "plain text")

    def test_an_unknown_account_costs_the_same_work(self, tmp_path: Path) -> None:
        """Counted, not timed: one hash of the same cost either way."""
        work: list[str] = []

        class Counting(PasswordHasher):
            def verify(self, hash: str | bytes, password: str | bytes) -> bool:
                work.append(str(hash).rsplit("$", 2)[0])
                return super().verify(hash, password)

        accounts = Accounts(tmp_path / "a.json", utc_now, Counting(1, 8, 1))
        accounts.ensure({ALICE: PASSWORD})
        messages = set()
        for name in (ALICE, "mallory@example.com"):
            work.clear()
            with pytest.raises(Unauthenticated) as refused:
                accounts.authenticate(name, "wrong password")
            messages.add(str(refused.value))
            assert work == ["$argon2id$v=19$m=8,t=1,p=1"]
        assert len(messages) == 1

    def test_a_password_is_compared_to_its_end(self, accounts: Accounts) -> None:
        longest = "x" * 1024
        accounts.ensure({ALICE: longest})
        assert accounts.authenticate(ALICE, longest) == ALICE
        with pytest.raises(Unauthenticated):
            accounts.authenticate(ALICE, longest + "y")

    def test_parallel_guesses_count(self, accounts: Accounts) -> None:
        outcomes: list[type] = []

        def guess() -> None:
            try:
                accounts.authenticate(ALICE, "wrong password")
            except (Unauthenticated, TooManyAttempts) as error:
                outcomes.append(type(error))

        threads = [threading.Thread(target=guess) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes.count(Unauthenticated) == 5
        assert outcomes.count(TooManyAttempts) == 15

    def test_remembered_failures_are_bounded(
        self, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("authority.attempts.MAX_TRACKED", 10)
        for i in range(30):
            with pytest.raises(Unauthenticated):
                accounts.authenticate(f"guess{i}@example.com", "wrong password")
        assert len(accounts._attempts._failures) == 10
