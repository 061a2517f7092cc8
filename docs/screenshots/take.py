"""Take the screenshots in this folder anew, from a real registry with a plugin in every state.

Run from the repository's root: `.venv/bin/python -m docs.screenshots.take`. It needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.registry.web import browser, town
from tests.registry.web.stage import Stage
from tests.support.wheels import make_wheel

HERE = Path(__file__).parent
MAX_BYTES = 250_000
REVIEW = "/review/markdown-render/1.1.0"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its file name, the page, and how it is looked at.

    Attributes:
        name: the file's name without `.png`.
        address: the page.
        scheme: light or dark.
        width: of the window, in CSS pixels.
        height: of the picture, in CSS pixels; the page is cut there.
        at: a CSS selector to scroll to before.
    """

    name: str
    address: str
    scheme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 1000
    at: str = ""


SHOTS = (
    Shot("plugins", "/", height=860),
    Shot("plugin", "/plugins/markdown-render", height=1250),
    Shot("version", "/plugins/markdown-render/1.1.0", height=1320),
    Shot("version-published", "/plugins/markdown-render/1.0.0", height=1100),
    Shot("scan-failed", "/plugins/shell-helper/0.1.0", height=1100),
    Shot("queue", "/review", height=620),
    Shot("review", REVIEW, height=1250),
    Shot("review-diff", REVIEW, height=1100, at="#files-head"),
    Shot("review-dark", REVIEW, "dark", height=1100, at="#files-head"),
    Shot("file", f"{REVIEW}/files?path=markdown_render/__init__.py", height=1000),
    Shot("submit", "/submit", height=900),
    Shot("queue-phone", "/review", width=390, height=844),
    Shot("version-phone", "/plugins/markdown-render/1.1.0", width=390, height=1200),
    Shot("not-found", "/plugins/no-such-plugin", height=640),
)


def take(chromium: Browser, base: str, shot: Shot) -> None:
    """Take one picture."""
    size = {"width": shot.width, "height": shot.height}
    with chromium.new_context(viewport=size, color_scheme=shot.scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(base + shot.address)
        if shot.at:
            page.locator(shot.at).evaluate("node => node.scrollIntoView({behavior: 'instant'})")
        save(page, shot.name)


def take_refusal(chromium: Browser, base: str) -> None:
    """Take the picture of a refused submission."""
    with chromium.new_context(viewport={"width": 1280, "height": 1150}) as context:
        page = context.new_page()
        page.goto(f"{base}/submit")
        files = {"example_plugin/fast.so": b"\x7fELF", "start.pth": "import example_plugin\n"}
        name, wheel = make_wheel(files=files)
        for field, filename, data in (("wheel", name, wheel), ("bundle", "b.sigstore.json", b"{}")):
            page.set_input_files(
                f"#{field}", {"name": filename, "mimeType": "application/zip", "buffer": data}
            )
        page.get_by_role("button", name="Submit for scan and review").click()
        page.get_by_role("alert").wait_for()
        save(page, "refused")


def save(page: Page, name: str) -> None:
    """Write the picture.

    Raises:
        ValueError: it is larger than a repository wants.
    """
    data = page.screenshot(path=HERE / f"{name}.png")
    print(f"{name}.png  {len(data) / 1000:.0f} kB")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name}.png has {len(data)} bytes; at most {MAX_BYTES} are wanted")


def main(names: list[str]) -> None:
    """Take the named pictures, or all."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        print("a registry is being filled …")
        town.build(stage)
        with stage.served() as base, browser.chromium() as chromium:
            for shot in SHOTS:
                if not names or shot.name in names:
                    take(chromium, base, shot)
            if not names or "refused" in names:
                take_refusal(chromium, base)
        stage.services.close()


if __name__ == "__main__":
    main(sys.argv[1:])
