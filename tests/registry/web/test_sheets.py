"""Large plugins stay usable: a page is bounded, and every file can be reached."""

from __future__ import annotations

import random
import re

import pytest
from flask.testing import FlaskClient

from registry.web import sheets
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.slow


def numbered(count: int, seed: int) -> str:
    """Return source text that does not compress like a bomb."""
    numbers = random.Random(seed)
    return "".join(f"x{i} = {numbers.getrandbits(120)}\n" for i in range(count))


def test_two_thousand_files_and_a_long_one(stage: Stage, client: FlaskClient) -> None:
    files: dict[str, bytes | str | None] = {
        f"example_plugin/part{i % 40}/module{i}.py": numbered(10, i) for i in range(2000)
    }
    files["example_plugin/aaa_long.py"] = numbered(1800, 1)
    stage.submit(make_wheel(files=files))
    html = client.get("/review/example-plugin/1.0.0").text
    assert len(html) < 1_200_000
    assert len(re.findall(r'<tr class="context', html)) <= sheets.INLINE_ROWS
    linked: set[str] = set()
    listed = "/review/example-plugin/1.0.0/tree"
    while listed:
        page = client.get(listed.replace("&amp;", "&")).text
        linked |= set(re.findall(r'/files\?path=([^"&#]*)', page))
        onward = re.search(r'rel="next" href="([^"]*)"', page)
        listed = onward[1] if onward else ""
    assert linked >= set(files)
    # Part by part, the review page shows every file that is not too long for it.
    shown: list[str] = []
    part = "/review/example-plugin/1.0.0"
    while part:
        page = client.get(part.replace("&amp;", "&")).text
        assert len(re.findall(r'<tr class="context', page)) <= sheets.INLINE_ROWS
        shown += re.findall(r'<h3 id="file-\d+"><a href="[^"]*path=([^"&#]*)', page)
        onward = re.search(r'rel="next" href="([^"#]*)', page)
        part = onward[1] if onward else ""
        if len(shown) > 120:
            break
    assert len(shown) == len(set(shown)) > 100
    assert "too long for this page" in html
    seen: list[int] = []
    address = "/review/example-plugin/1.0.0/files?path=example_plugin/aaa_long.py"
    while address:
        page = client.get(address.replace("&amp;", "&")).text
        numbers = [int(n) for n in re.findall(r'id="L(\d+)"', page)]
        assert 0 < len(numbers) <= sheets.PART_ROWS
        seen += numbers
        onward = re.search(r'rel="next" href="([^"]*)"', page)
        address = onward[1] if onward else ""
    assert seen == list(range(1, 1801))


def test_a_finding_far_down_links_to_the_part_of_the_file_that_has_it(
    stage: Stage, client: FlaskClient
) -> None:
    source = numbered(1200, 2) + "assert x1\n" + numbered(3, 3)
    stage.submit(make_wheel(files={"example_plugin/long.py": source}))
    stage.work()
    html = client.get("/review/example-plugin/1.0.0").text
    link = re.search(r'href="([^"]*long.py[^"]*)#(L1201)"', html)
    assert link
    page = client.get(link[1].replace("&amp;", "&")).text
    assert f'id="{link[2]}"' in page
    assert "B101" in page
