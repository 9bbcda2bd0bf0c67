"""What there is by name: devices, estimators, classifiers and profiles that come with exotwin, or paths to others."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from ..controllers.config import require_known
from ..controllers.device import DeviceDescription, load_device


def assets() -> Path:
    """The folder of shipped data."""
    return Path(str(files("exotwin.assets")))


def _names(folder: Path, belongs: Callable[[Path], bool]) -> list[str]:
    return sorted(p.stem for p in folder.iterdir() if belongs(p)) if folder.is_dir() else []


def list_devices() -> list[str]:
    """Names of the shipped devices."""
    return _names(assets() / "devices", lambda p: p.suffix == ".yaml")


def find_device(name_or_path: str) -> DeviceDescription:
    """A device by name or YAML path. Raises ValueError that names the nearest one, FileNotFoundError."""
    if name_or_path.endswith((".yaml", ".yml")):
        return load_device(name_or_path)
    require_known("device", [name_or_path], list_devices())
    return load_device(assets() / "devices" / f"{name_or_path}.yaml")


def list_bundles() -> list[str]:
    """Names of the shipped bundles (estimators and classifiers)."""
    return _names(assets() / "estimators", lambda p: (p / "manifest.json").is_file())


def find_bundle(name_or_path: str) -> Path:
    """Folder of a bundle by name or path.

    Raises ValueError that names the nearest shipped one, FileNotFoundError for a path without a bundle.
    """
    path = Path(name_or_path)
    if (path / "manifest.json").is_file():
        return path
    if len(path.parts) > 1:
        raise FileNotFoundError(f"{path}: no bundle there (a bundle is a folder with manifest.json)")
    require_known("estimator", [name_or_path], list_bundles())
    return assets() / "estimators" / name_or_path


def profile_path() -> Path:
    """The shipped mean torque profile."""
    return assets() / "estimators" / "mean_profile.json"
