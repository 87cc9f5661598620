"""The documentation: links resolve, commands parse, the quickstart runs, and the site holds what it promises."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import deadpan
from deadpan.cli.main import LATE, main
from deadpan.methods import METHODS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings on which GitHub and the site agree."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    github = [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]
    return {anchor for anchor in github if "--" not in anchor}


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_every_relative_link_resolves(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{named(page)} links to {link}"
        assert page.parent == ROOT or target.is_relative_to(DOCS), f"{named(page)}: {link} is not part of the site"
        assert not anchor or anchor in anchors(target), f"{named(page)} links to {link}"


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r'= "([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8"))
    assert sorted(listed) == [path.relative_to(DOCS).as_posix() for path in PAGES]


def test_the_reference_holds_every_public_name() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: deadpan\.(\w+)$", page, re.MULTILINE)) == sorted(deadpan.__all__)


@pytest.mark.parametrize("name", ["derl", "dgcn", "degan", "errnet"])
def test_the_differences_from_a_paper_stand_once(name: str) -> None:
    page = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## Differences from the paper")
    assert f"::: deadpan.methods.{name}\n" in section
    assert not re.search(r"^\d+\. ", section, re.MULTILINE)
    docstring = sys.modules[METHODS[name].__module__].__doc__ or ""
    numbers = re.findall(r"^(\d+)\. ", docstring.partition("Differences from the paper")[2], re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)] and len(numbers) > 5


def test_the_picture_of_the_layers_is_current(tmp_path: Path) -> None:
    made = tmp_path / "layers.svg"
    subprocess.run([sys.executable, "-m", "scripts.draw_layers", str(made)], cwd=ROOT, check=True)
    drawn = (DOCS / "layers.svg").read_text(encoding="utf-8")
    assert drawn == made.read_text(encoding="utf-8"), "run python -m scripts.draw_layers docs/layers.svg"


def blocks(page: Path) -> list[str]:
    """The code blocks of a page, fenced or indented."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return fenced + re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Every `deadpan ...` line of a page's code blocks, in tokens; lines that describe a usage are left out."""
    lines = "\n".join(blocks(page)).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.strip(), comments=True) for line in lines if line.strip().startswith("deadpan ")]
    return [tokens[1:] for tokens in found if "..." not in tokens]


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_every_command_parses(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deadpan.cli.app import app

    monkeypatch.chdir(tmp_path)
    for tokens in commands(page):
        LATE.get(tokens[0], lambda: None)()
        app.parse_args(tokens, exit_on_error=False, print_error=False)


def test_commands_are_found() -> None:
    assert len(commands(ROOT / "README.md")) > 12
    assert commands(DOCS / "methods" / "derl.md")[0][:3] == ["train", "derl", "--data"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the example photographs, as a reader of the quickstart has it."""
    shutil.copytree(ROOT / "examples" / "photos", tmp_path / "examples" / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_quickstart_reads_photographs(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading = [tokens for tokens in commands(DOCS / "quickstart.md") if tokens[0] == "predict"]
    light = [tokens for tokens in reading if "runs" not in " ".join(tokens)]
    assert len(light) >= 3
    for tokens in light:
        expanded = [path for token in tokens for path in sorted(map(str, Path().glob(token))) or [token]]
        assert main(expanded) == 0, capsys.readouterr().err
    assert (workplace / "panels" / "girl_happiness.panel.png").is_file()
    assert (workplace / "faces.csv").read_text().startswith("path,")


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "quickstart.md"], ids=named)
def test_the_first_python_runs(page: Path, workplace: Path, girl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(girl, workplace / "photo.jpg")
    code = next(block for block in blocks(page) if "import deadpan" in block)
    exec(compile(code, named(page), "exec"), {})
    assert "happiness" in capsys.readouterr().out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("zensical", reason="the documentation tools are not installed (pip install '.[docs]')")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    for name in ("docs", "scripts", "deadpan"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.onnx", "*.npz", "__pycache__"))
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out" / "site"


def test_the_site_holds_every_page_and_public_name(site: Path) -> None:
    for page in PAGES:
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file()
    reference = (site / "api.html").read_text(encoding="utf-8")
    for name in deadpan.__all__:
        assert f'id="deadpan.{name}"' in reference
    derl = (site / "methods" / "derl.html").read_text(encoding="utf-8")
    assert "dropout of the generator are pix2pix" in derl and "Huiyuan Yang, Umur Ciftci, Lijun Yin. CVPR" not in derl


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(https?://[^\s\">]+)", page.read_text())
        assert loaded == [], page.name


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")
def test_the_site_opens_and_searches_without_a_network(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    requests: list[str] = []
    troubles: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page: Any = browser.new_page(viewport={"width": 390, "height": 900})
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        for name in ("index.html", "architecture.html", "methods/derl.html"):
            page.goto((site / name).as_uri())
            assert page.evaluate("[...document.images].filter(each => !each.naturalWidth).length") == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.keyboard.press("Control+k")
        page.keyboard.type("permutation")
        page.get_by_text("Uncertainty").first.wait_for(timeout=10_000)  # a section of compare.md
        browser.close()
    assert troubles == []
    assert requests and all(url.startswith(("file:", "data:", "blob:")) for url in requests)
