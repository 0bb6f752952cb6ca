"""What the pages say is true: their Python runs, their tables name every id, every argument and every info."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

import duchenne  # noqa: F401  registers the environments
from duchenne.scenarios import dataset
from duchenne.sim.envs import coexpress, express, person, registry, self_model, variation

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WORLDS: dict[str, Any] = {
    "express": express.ExpressWorld,
    "self_model": self_model.SelfModelWorld,
    "coexpress": coexpress.CoexpressWorld,
    "person": person.PersonWorld,
}
IDS = {"express": "Express", "self_model": "SelfModel", "coexpress": "Coexpress", "person": "Person"}
MADE_BY_SHELL: dict[str, Callable[[], Any]] = {
    "datasets.md": lambda: dataset.record("duchenne/Express-v0", episodes=1, out=Path("out/datasets")),
}
"""What shell commands on a page leave behind for its Python, made smaller."""
NEEDS = {"datasets.md": "minari"}


def blocks(page: Path) -> list[str]:
    """The page's Python, but for blocks after `<!-- not run -->`; each at its own line number."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^(<!-- not run -->\n)?```python\n(.*?)^```", text, re.M | re.S)
    return ["\n" * text[: one.start(2)].count("\n") + one[2] for one in found if not one[1]]


PAGES = [page for page in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))] if blocks(page)]
SLOW = {"README.md", "first_training.md"}


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.name, marks=[pytest.mark.slow] * (p.name in SLOW)) for p in PAGES]
)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # the page sets it; so it is put back
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name])
    MADE_BY_SHELL.get(page.name, lambda: None)()
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        exec(compile(block, page, "exec"), names)
    for one in names.values():
        if isinstance(one, gymnasium.Env | gymnasium.vector.VectorEnv):
            one.close()


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.is_file(), f"{page.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads], anchor


def test_the_index_names_every_id() -> None:
    named = re.findall(r"^\| `(duchenne/\w+-v\d+)` \|", (DOCS / "envs.md").read_text(encoding="utf-8"), re.M)
    assert named == list(registry.ENVIRONMENTS)
    for name in named:
        (page,) = [p for p, family in IDS.items() if re.match(rf"duchenne/{family}[A-Z]|duchenne/{family}-", name)]
        assert name in (DOCS / f"env_{page}.md").read_text(encoding="utf-8")


def test_the_index_has_the_ranges_of_a_variation() -> None:
    text = (DOCS / "envs.md").read_text(encoding="utf-8").replace("−", "-")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| [^|]*\|$", text, re.M))
    nothing = variation.Variation()
    for name, (least, most) in variation._LIMITS.items():
        low, high = registry.WORN[name] if name in registry.WORN else getattr(nothing, name)
        was = "{:g}, {:g}".format(*getattr(nothing, name))
        assert rows[name] == f"{was} | {least:g} … {most:g} | {low:g}, {high:g}"


@pytest.mark.parametrize("name", WORLDS)
def test_a_page_names_every_argument_and_its_default(name: str) -> None:
    rows = _table(name, "## Arguments")
    told: dict[str, str] = {}
    for row in rows:
        names, defaults = row[0].split(", "), re.split(r", (?![^(]*\))", row[1])
        told |= dict(zip((n.strip("`") for n in names), defaults, strict=True))
    expected = {}
    for kind in reversed(WORLDS[name].__mro__[:-1]):
        for one in inspect.signature(kind.__init__).parameters.values():
            if one.kind is one.KEYWORD_ONLY and one.name != "threads":
                expected[one.name] = one.default
    if name == "self_model":
        expected["actions"] = "all"
    assert set(told) == set(expected)
    for argument, default in expected.items():
        assert eval(told[argument].strip("`")) == default, argument


@pytest.mark.parametrize("name", WORLDS)
def test_a_page_names_spaces_infos_and_terms(name: str) -> None:
    env: Any = gymnasium.make(f"duchenne/{IDS[name]}-v0")
    text = (DOCS / f"env_{name}.md").read_text(encoding="utf-8")
    _, info = env.reset(seed=0)
    *_, after = env.step(env.action_space.sample())
    assert set(info) == set(after)
    for word in [*info, *info.get("reward_terms", {}), *env.observation_space]:
        assert f"`{word}`" in text, word
    assert f"`{env.action_space}`" in text
    (spaces,) = re.findall(r"^\| Observation space \| `Dict\((.*?)\)`", text, re.M)
    shapes = {key: part.shape for key, part in env.observation_space.items()}
    found = re.findall(r"'(\w+)': Box\((?:[^()]*, )?\((\d+),\)", spaces)
    assert {key: (int(width),) for key, width in found} == shapes
    assert re.search(rf"^\| Episode \| {env.spec.max_episode_steps} steps", text, re.M)


@pytest.mark.parametrize("name", ["express", "self_model"])
def test_a_page_lists_the_actions(name: str) -> None:
    env: Any = gymnasium.make(f"duchenne/{IDS[name]}-v0")
    observation, _ = env.reset(seed=0)
    names = env.unwrapped.action_names
    felt = observation["observation" if name == "express" else "proprioception"]
    rows = _table(name, "## Action")
    assert [row[1].strip("`") for row in rows] == list(names)
    at_rest = [float(row[4].replace("−", "-")) for row in rows]
    np.testing.assert_allclose(at_rest, felt[2 * len(names) :], atol=1e-6)


@pytest.mark.parametrize("page", sorted(DOCS.glob("env_*.md")), ids=lambda page: page.name)
def test_a_page_of_an_environment_has_a_small_picture(page: Path) -> None:
    (name,) = re.findall(r"!\[[^\]]+\]\((\w+\.jpg)\)", page.read_text(encoding="utf-8"))
    assert (DOCS / name).stat().st_size < 60_000
    with Image.open(DOCS / name) as picture:
        assert np.asarray(picture).std() > 20


def _table(name: str, head: str) -> list[list[str]]:
    """Rows of the first table under a heading."""
    part = (DOCS / f"env_{name}.md").read_text(encoding="utf-8").split(f"\n{head}\n")[1]
    lines = re.split(r"\n(?!\|)", part[part.index("\n|") + 1 :])[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line]
