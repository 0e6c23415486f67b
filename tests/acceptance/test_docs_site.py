"""The documentation as a site: every page is there, and its search finds what a page says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hang import HANG_S

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does; skips where the builder cannot be had."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    folder = tmp_path_factory.mktemp("site")
    tool = (uv, "tool", "run", "--from", "mkdocs", "--with", "mkdocs-material", "mkdocs")
    there = subprocess.run([*tool, "--version"], capture_output=True, text=True, timeout=HANG_S)
    if there.returncode:
        pytest.skip(f"no mkdocs-material: {there.stderr.strip()[-200:]}")
    command = [*tool, "build", "--strict", "--quiet", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_in_the_site_and_its_search(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} == {*pages, "404"}
    index = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    assert {entry["location"].partition("#")[0] for entry in index} == {f"{p}.html" for p in pages}
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert all(f": {page}.md" in navigation for page in pages)


def test_it_fetches_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=\"?(https?://[^\"> ]+)")
    found = {link for page in site.glob("*.html") for link in loads.findall(page.read_text())}
    assert found == set()
