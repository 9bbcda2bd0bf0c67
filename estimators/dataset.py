"""A dataset folder as training sees it: the manifest says which recordings there are and whose are for what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .data import RecordingFile, matching, open_recording

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


class DatasetFile(BaseModel):
    """One recording of a dataset; `path` is relative to the dataset folder."""

    model_config = ConfigDict(extra="allow")
    path: str
    subject: str
    task: str = ""
    sha256: str = ""


class Dataset(BaseModel):
    """A dataset folder's manifest: its recordings and which subjects are for what."""

    model_config = ConfigDict(extra="allow")
    files: tuple[DatasetFile, ...] = Field(min_length=1)
    splits: dict[Split, tuple[str, ...]]
    licence: str = ""
    folder: Path = Field(default=Path(), exclude=True)
    sha256: str = Field(default="", exclude=True)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of its recordings, sorted."""
        return tuple(sorted({file.task for file in self.files}))

    def only(self, tasks: Iterable[str] | None = None, subjects: Iterable[str] | None = None) -> Dataset:
        """The part of these tasks and subjects (names or shell patterns, None: all); the splits stay.

        Raises ValueError for a pattern that fits none, with the nearest name.
        """
        files = self.files
        if tasks is not None:
            kept = matching("task", tasks, self.tasks)
            files = tuple(f for f in files if f.task in kept)
        if subjects is not None:
            kept = matching("subject", subjects, sorted({f.subject for f in self.files}))
            files = tuple(f for f in files if f.subject in kept)
        return self.model_copy(update={"files": files})

    def recordings(self, split: Split) -> list[RecordingFile]:
        """The recordings of a split's subjects, opened but not read.

        Raises ValueError for a split without recordings, and what `open_recording` raises.
        """
        subjects = self.splits.get(split, ())
        files = [file for file in self.files if file.subject in subjects]
        if not files:
            raise ValueError(f"{self.folder}: no recordings for the split {split!r} (subjects {list(subjects)})")
        return [open_recording(self.folder / file.path, file.sha256) for file in files]


def open_dataset(folder: str | Path) -> Dataset:
    """Read `manifest.json` of a dataset folder.

    Raises FileNotFoundError; ValueError when it is no manifest or a subject stands in two splits.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a dataset folder has a manifest.json")
    content = path.read_bytes()
    try:
        dataset = Dataset.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: {faults}") from None
    placed = [subject for subjects in dataset.splits.values() for subject in subjects]
    if len(set(placed)) != len(placed):
        raise ValueError(f"{path}: a subject stands in two splits")
    return dataset.model_copy(update={"folder": Path(folder), "sha256": hashlib.sha256(content).hexdigest()})
