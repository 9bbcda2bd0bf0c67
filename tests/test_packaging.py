"""The wheel: built from a clean copy, unpacked elsewhere, imported there; all data inside and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("assets", "controllers", "estimators", "scenarios", "sim")
# Beside what a working tree gathers: bytecode, a training's checkpoint and log, a recording.
LITTER = (
    "assets/__pycache__/shipped.cpython-311.pyc",
    "assets/policies/checkpoint.zip",
    "assets/estimators/checkpoint.pt",
    "assets/recordings/run.parquet",
    "sim/__pycache__/nervous.nbi",
    "scenarios/suite/old.yaml.bak",
)

pytestmark = pytest.mark.slow


def sources():
    """What belongs to the project, as paths from its root: git's list, so that runs and caches stay out."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the wheel was installed without its dependencies."""
    copy, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "target"))
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    for name in LITTER:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"litter")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(copy)], check=True)
    (wheel,) = wheels.glob("exotwin-*.whl")
    options = ["--no-deps", "--no-index", "--no-compile", "--target", str(target)]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True)
    return target


def test_the_wheel_holds_the_code_and_the_data_and_nothing_else(installed):
    found = {p.relative_to(installed).as_posix() for p in (installed / "exotwin").rglob("*") if p.is_file()}
    # Scripts beside the data made it once; who installs the wheel has no use for them.
    tools = {n for n in sources() if n.startswith("assets/") and n.endswith(".py") and n != "assets/__init__.py"}
    expected = {f"exotwin/{n}" for n in sources() if PurePosixPath(n).parts[0] in PACKAGES and n not in tools}
    assert found == expected


def test_the_wheel_brings_licence_and_command(installed):
    (info,) = installed.glob("exotwin-*.dist-info")
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
    assert "exotwin = exotwin.scenarios.cli:main" in (info / "entry_points.txt").read_text(encoding="utf-8")


def test_every_package_is_imported_from_the_wheel_and_finds_its_data(installed, tmp_path):
    code = f"""
import importlib, sys
from pathlib import Path
sys.path.insert(0, {str(installed)!r})
for name in {PACKAGES!r}:
    where = Path(importlib.import_module("exotwin." + name).__file__)
    assert where.is_relative_to({str(installed)!r}), where
from exotwin.scenarios import catalogue, report, runner
from exotwin.scenarios.scenario import list_scenarios, load_scenario
from exotwin.estimators.bundle import read_manifest
from exotwin.sim.policy import load_policy
assert Path(runner.__file__).is_relative_to({str(installed)!r})
for name in list_scenarios():
    found = load_scenario(name)
    catalogue.find_device(found.device)
for name in catalogue.list_bundles():
    read_manifest(catalogue.find_bundle(name))
load_policy("walk")
assert catalogue.assets().is_relative_to({str(installed)!r})
print(len(list_scenarios()), len(catalogue.list_devices()), len(catalogue.list_bundles()))
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert all(int(count) > 0 for count in ran.stdout.split())
