"""What a plugin writes, seen by its caller while the call is under way: bounded and resumed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from runner import follow
from runner.client import NoReply, RunnerClient, Wrote
from runner.openapi import document
from runner.output import Output, Outputs
from runner.quota import OverQuota
from runner.sandbox import Execution, Job
from runner.setup import make_caller_token
from runner.sse import MAX_EVENT_BYTES, Event, EventReader, NotEvents
from tests.runner.kit import NAME, Calls, HandClock, Site, executed
from tests.runner.underway import BODY, LATER, assert_accepted, ended
from tests.support.servers import application


def texts(output: Output, position: int = 0) -> list[tuple[str, str, int]]:
    return [(p.stream, p.text, p.left_out) for p in output.read(position).pieces]


def test_streams_are_kept_in_the_order_in_which_they_came() -> None:
    output = Output("demo")
    for stream, data in ((0, b"one"), (0, b" two"), (1, b"err"), (0, b"three")):
        output.write(stream, 0, data)
    assert texts(output) == [("stdout", "one two", 0), ("stderr", "err", 0), ("stdout", "three", 0)]
    first = output.read(0).pieces[0]
    assert texts(output, first.position) == [("stderr", "err", 0), ("stdout", "three", 0)]
    assert texts(output, 4) == [("stdout", "two", 0), ("stderr", "err", 0), ("stdout", "three", 0)]
    assert texts(output, 10**9) == []


def test_a_character_in_two_parts_is_one_and_no_utf8_is_replaced() -> None:
    output = Output("demo")
    output.write(0, 0, "ü".encode()[:1])
    assert texts(output) == []
    output.write(1, 0, b"\xff")
    output.write(0, 0, "ü".encode()[1:] + b"\xc3")
    output.end()
    assert texts(output) == [("stderr", "\ufffd", 0), ("stdout", "ü\ufffd", 0)]


def test_what_was_left_out_is_said_once() -> None:
    output = Output("demo")
    output.write(0, 0, b"a\xc3")
    output.write(0, 70, b"\xbcb")
    output.write(0, 0, b"c")
    assert texts(output) == [("stdout", "a\ufffd", 0), ("stdout", "\ufffdbc", 70)]


def test_the_newest_is_kept_and_a_reader_is_told_what_it_missed() -> None:
    output = Output("demo", most=40_000)
    for number in range(10):
        output.write(number % 2, 0, bytes([65 + number]) * 10_000)
    assert output.kept_bytes <= 40_000
    pieces = output.read(5_000).pieces
    assert [p.text[0] for p in pieces] == list("GHIJ")
    assert [p.left_out for p in pieces] == [55_000, 0, 0, 0]


def test_a_reader_waits_for_what_comes_and_for_the_end() -> None:
    output = Output("demo")
    threading.Timer(0.05, output.write, (0, 0, b"late")).start()
    reading = output.read(0, 20)
    assert [p.text for p in reading.pieces] == ["late"]
    assert not reading.ended
    threading.Timer(0.05, output.end).start()
    assert output.read(reading.position, 20).ended


def test_outputs_are_bounded_by_age_count_and_bytes() -> None:
    clock = HandClock()
    outputs = Outputs(clock.steady, most=3, most_bytes=100)

    def end(request_id: str, caller: str, size: int) -> None:
        outputs.begin(request_id, caller).write(0, 0, b"x" * size)
        outputs.end(request_id)

    def held() -> str:
        return "".join(i for i in "abcdef" for who in ("A", "B") if outputs.find(i, who))

    end("a", "A", 10)
    end("b", "B", 1)
    end("c", "A", 10)
    end("d", "A", 10)
    assert held() == "bcd", "who has most gives way"
    end("e", "A", 90)
    assert held() == "be"
    clock.pass_time(600)
    assert held() == ""
    outputs.end("never begun")


def test_so_many_may_follow_at_one_time() -> None:
    outputs = Outputs(followers=3, followers_of_caller=2)
    with outputs.following("A"), outputs.following("A"):
        with pytest.raises(OverQuota) as own, outputs.following("A"):
            raise AssertionError
        with outputs.following("B"), pytest.raises(OverQuota) as every, outputs.following("B"):
            raise AssertionError
    assert (own.value.code, every.value.code) == (429, 503)
    with outputs.following("A"):
        pass


class Writes:
    """Executions that write, and go on until they are let."""

    def __init__(self) -> None:
        self.wrote = threading.Event()
        self.go_on = threading.Event()

    def behave(self, job: Job) -> Execution:
        assert job.control.live is not None
        job.control.live(0, 0, b"out\n")
        job.control.live(1, 5, b"err: \xe2\x80\xa8 end\n")
        self.wrote.set()
        assert self.go_on.wait(20)
        job.control.live(0, 0, b"last")
        return executed(job, stdout="out\nlast", stderr="12345err")


@pytest.fixture
def writes(site: Site) -> Iterator[Writes]:
    made = Writes()
    site.sandbox.behave = made.behave
    yield made
    made.go_on.set()


def ask(calls: Calls, path: str, token: str | None, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {token}"} if token else {}
    with calls.service.app.test_client() as client:
        return client.get(path, headers=given | headers)


def test_by_polling(site: Site, writes: Writes) -> None:
    token = site.token.token
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert writes.wrote.wait(20)
        first = ask(calls, f"{location}/output", token)
        page = first.get_json()
        schema = {"$ref": "#/components/schemas/Output", "components": document()["components"]}
        Draft202012Validator(schema).validate(page)
        assert [(p["stream"], p["text"], p["left_out"]) for p in page["pieces"]] == [
            ("stdout", "out\n", 0),
            ("stderr", "err: \u2028 end\n", 5),
        ]
        assert not page["ended"]
        writes.go_on.set()
        reply = ended(calls, location, token).get_json()
        rest = ask(calls, f"{location}/output?after={page['position']}", token).get_json()
        assert [p["text"] for p in rest["pieces"]] == ["last"]
        assert rest["ended"]
        assert reply["stdout"] == "out\nlast", "the reply is as it always is"


def test_as_events_that_can_be_resumed(site: Site, writes: Writes) -> None:
    token = site.token.token
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert writes.wrote.wait(20)
        threading.Timer(0.1, writes.go_on.set).start()
        answer = ask(calls, f"{location}/output", token, Accept="text/event-stream")
        assert answer.content_type.split(";")[0] == "text/event-stream"
        assert b"its claim" in answer.data.splitlines()[0]
        events = list(EventReader().feed(answer.data))
        assert [e.name for e in events] == ["stdout", "stderr", "stdout", "end"]
        assert json.loads(events[1].data) == {"text": "err: \u2028 end\n", "left_out": 5}
        assert json.loads(events[3].data) == {"request_id": location.rsplit("/", 1)[1]}
        again = {"Accept": "text/event-stream", "Last-Event-ID": events[1].id}
        rest = ask(calls, f"{location}/output?after=0", token, **again)
        assert list(EventReader().feed(rest.data)) == events[2:]
        for _ in range(10):  # each connection gives its place back
            assert ask(calls, f"{location}/output", token, **again).status_code == 200


def test_only_its_caller_sees_it_and_only_where_there_is_some(site: Site, writes: Writes) -> None:
    other = make_caller_token()
    site.policy["callers"].append({"name": "other", "token_sha256": other.sha256, "allow": []})
    with site.runner() as calls:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        assert writes.wrote.wait(20)
        path = f"{location}/output"
        assert ask(calls, path, other.token).status_code == 404
        assert ask(calls, path, "wrong").status_code == 401
        assert ask(calls, path, None, Accept="text/event-stream").status_code == 401
        assert ask(calls, f"{path}?after=x", site.token.token).status_code == 400
        missing = "/v1/invocations/00000000-0000-4000-8000-000000000000/output"
        assert ask(calls, missing, site.token.token).status_code == 404
        writes.go_on.set()
        ended(calls, location, site.token.token)


def test_a_silent_call_shows_that_it_is_there_and_a_stream_ends_in_time() -> None:
    output = Output("demo")
    seen = list(follow.events("one", output, 0, heartbeat=0.01, seconds=0.05))
    assert b": still under way\n\n" in seen
    assert not any(b"event: end" in each for each in seen)


def test_the_client_follows(site: Site, writes: Writes) -> None:
    with (
        site.runner() as calls,
        application(calls.service.app) as url,
        RunnerClient(url, site.token.token) as client,
    ):
        request_id = client.submit(NAME, "greet", {"name": "Ada"})
        seen: list[tuple[Wrote, bool]] = []
        for wrote in client.follow(request_id):
            seen.append((wrote, writes.go_on.is_set()))
            if len(seen) == 2:
                writes.go_on.set()
        assert [(w.stream, w.text, w.left_out) for w, _ in seen] == [
            ("stdout", "out\n", 0),
            ("stderr", "err: \u2028 end\n", 5),
            ("stdout", "last", 0),
        ]
        assert [late for _, late in seen] == [False, False, True], "before the call's end"
        reply = client.result(request_id)
        assert reply is not None
        assert reply.result == {"greeting": "Hello, Ada!"}
        with pytest.raises(NoReply, match="kept"):
            list(client.follow("00000000-0000-4000-8000-000000000000"))


def test_a_reader_that_does_not_read_holds_up_nobody(site: Site) -> None:
    """Neither the call nor its outcome wait for an event stream that nobody takes from."""
    followed = threading.Event()

    def flood(job: Job) -> Execution:
        assert job.control.live is not None
        assert followed.wait(20)
        for _ in range(1024):
            job.control.live(0, 0, b"x" * (1 << 16))
        return executed(job)

    site.sandbox.behave = flood
    with site.runner() as calls, application(calls.service.app) as url:
        location = assert_accepted(calls.post(BODY, headers=LATER))
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 0)) as slow:
            slow.sendall(
                f"GET {location}/output HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                f"Authorization: Bearer {site.token.token}\r\n\r\n".encode()
            )
            assert b"200 OK" in slow.recv(100)
            followed.set()
            began = time.monotonic()
            assert ended(calls, location, site.token.token).get_json()["status"] == "ok"
            assert time.monotonic() - began < 10


def test_events_are_read_in_any_parts_and_bounded() -> None:
    data = b": hi\nretry: 1\n\nid: 1\nevent: stdout\r\ndata: a\ndata: b\n\ndata:c\n\nid: 9\n\n"
    for step in (1, 3, len(data)):
        reader = EventReader()
        parts = [data[i : i + step] for i in range(0, len(data), step)]
        assert [e for part in parts for e in reader.feed(part)] == [
            Event("stdout", "1", "a\nb"),
            Event("message", "1", "c"),
        ]
    for endless in (
        b"x" * (MAX_EVENT_BYTES + 1),
        (b"data: " + b"x" * 999 + b"\n") * (MAX_EVENT_BYTES // 999 + 1),
    ):
        with pytest.raises(NotEvents):
            list(EventReader().feed(endless))
    with pytest.raises(NotEvents):
        list(EventReader().feed(b"\xff\n"))
