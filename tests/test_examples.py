"""What the README and the docs show works: code blocks run in a short closed loop, commands and links exist."""

import ast
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
from exotwin.scenarios.arm import ArmLoop
from exotwin.scenarios.catalogue import find_device
from exotwin.scenarios.cli import app
from exotwin.scenarios.metrics import estimator_errors
from exotwin.scenarios.scenario import load_scenario

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SHOWN = ("README.md", "CHANGELOG.md", "docs/*.md", "assets/**/*.md")
PAGES = sorted(page for pattern in SHOWN for page in ROOT.glob(pattern))
SECONDS = 3.0


def blocks(page, language):
    """Contents of a page's fenced code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The README's files, each named by the comment on its first line."""
    here = tmp_path_factory.mktemp("readme")
    for block in blocks(README, "python") + blocks(README, "yaml"):
        (here / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
    return here


@pytest.fixture(scope="module")
def loops(folder):
    """The README's scenario, each arm run for a few seconds."""
    full = load_scenario(folder / "my_walk.yaml")
    short = full.model_copy(update={"duration_s": SECONDS, "skip_s": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        loops = {arm.name: ArmLoop(short, arm, find_device(short.device), seed=0) for arm in short.arms}
    for loop in loops.values():
        loop.run()
    return loops


@pytest.mark.parametrize("name", ["my_controller.py", "my_estimator.py"])
def test_examples_are_as_short_as_promised(folder, name):
    source = (folder / name).read_text(encoding="utf-8")
    imports = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    code = [line for line in source.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) - len(imports) <= 15


def test_the_readme_s_arms_run_without_a_fault(loops):
    for loop in loops.values():
        recording = loop.result().recording
        assert loop.finished
        assert not any(recording.columns["fault"])


def test_the_readme_s_controller_helps_the_leg_that_swings_back(loops):
    recording = loops["delayed_feedback"].result().recording
    asked = recording.columns["command/hip_flexion_r"]
    angle = {side: recording.columns[f"encoder/hip_flexion_{side}/angle"] for side in "rl"}
    gap, wait = np.sin(angle["l"]) - np.sin(angle["r"]), round(0.25 * recording.meta["rate_hz"])
    np.testing.assert_allclose(asked[wait:-1], 7.5 * gap[1:-wait], atol=1e-9)
    np.testing.assert_array_equal(asked, -recording.columns["command/hip_flexion_l"])
    assert not recording.columns["command/knee_flexion_r"].any()
    assert np.ptp(recording.columns["delivered/hip_flexion_r"]) > 1.0


def test_the_readme_s_estimator_tells_the_ankle_torque(loops):
    recording = loops["insole_ankle"].result().recording
    assert estimator_errors(recording)["ankle_dorsiflexion"]["r2"] > 0.5
    assert np.abs(recording.columns["command/ankle_dorsiflexion_r"]).max() > 3.0
    assert not recording.columns["command/hip_flexion_r"].any()


def commands(page):
    """Every ``exotwin ...`` command line of a page: those of its shell blocks."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            for part in line.split(" && "):
                if part.startswith("exotwin "):
                    yield part


COMMANDS = [(page, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{p.name}: {line}" for p, line in COMMANDS])
def test_commands_are_ones_that_the_command_line_takes(page, line):
    command, words = typer.main.get_command(app), shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        assert words, "a group needs a command"
        assert words[0] in command.commands
        command, words = command.commands[words[0]], words[1:]
    with command.make_context(line, words, resilient_parsing=False):
        pass


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_files_and_functions_are_there(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    missing = [target for target in links if "://" not in target and not (page.parent / target).exists()]
    folders = "assets|benchmarks|controllers|docs|estimators|scenarios|sim|tests"
    for path, name in re.findall(rf"`((?:{folders})/[\w/]+\.\w+)(?:::(\w+))?`", text):
        file = ROOT / path
        if not file.exists() or (name and f"def {name}(" not in file.read_text(encoding="utf-8")):
            missing.append(f"{path}::{name}")
    assert not missing
