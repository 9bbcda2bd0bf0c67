"""The manifest of a dataset folder: what was asked for, which files came of it, who is in which split.

A dataset is ``DIR/task=<task>/subject=<id>/<name>.parquet`` plus ``DIR/manifest.json``. No subject is ever in
two splits, so a score on the test split is a score on people never seen.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ..controllers.interface import closest
from .recording import read_recording

FILE_NAME = "manifest.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DatasetFile(_Part):
    """One recording of the dataset; `path` is relative to the folder, with forward slashes."""

    path: str
    task: str
    subject: str
    sha256: str
    rows: int
    seconds: float
    falls: int


class DatasetSubject(_Part):
    """A person of the dataset: what their recordings say of them, but the id."""

    mass_kg: float
    height_m: float | None = None
    strength: float | None = None
    sex: str | None = None
    age_years: float | None = None
    leg_length_m: float | None = None
    leg_ratio: float | None = None
    thigh_ratio: float | None = None
    foot_ratio: float | None = None
    pelvis_ratio: float | None = None


class Splits(_Part):
    """Subject ids of each split."""

    train: list[str] = []
    validation: list[str] = []
    test: list[str] = []

    def of(self, subject: str) -> str | None:
        """Name of the split that holds a subject, None if none does."""
        return next((name for name, ids in self if subject in ids), None)


class Manifest(_Part):
    """The content of ``manifest.json``; construction fails when a subject is in two splits or in none."""

    created_by: str
    seed: int
    versions: dict[str, str] = {}
    request: dict[str, Any] = {}
    files: list[DatasetFile]
    splits: Splits
    subjects: dict[str, DatasetSubject]
    licence: str = ""

    @model_validator(mode="after")
    def _each_subject_in_one_split(self) -> Manifest:
        seen: dict[str, str] = {}
        for name, ids in self.splits:
            for subject in ids:
                if subject in seen:
                    raise ValueError(f"subject {subject!r} is in {seen[subject]!r} and in {name!r}")
                if subject not in self.subjects:
                    raise ValueError(f"{name!r} names no subject of ours: {subject!r}")
                seen[subject] = name
        for file in self.files:
            if file.subject not in seen:
                raise ValueError(f"{file.path}: subject {file.subject!r} is in no split")
        return self

    def paths(self, split: str) -> list[str]:
        """Relative paths of the files of a split; KeyError names the nearest split."""
        if split not in Splits.model_fields:
            raise KeyError(f"no split {split!r}{closest(split, Splits.model_fields)}")
        return [file.path for file in self.files if file.subject in getattr(self.splits, split)]


def split_subjects(subjects: Iterable[str], seed: int, validation: float = 0.15, test: float = 0.15) -> Splits:
    """Deal subjects into splits: same ids and seed, same splits, in whatever order the ids come.

    validation, test: fractions of the subjects, each rounded but at least one when the fraction is not zero.
    Raises ValueError when no subject would be left to train on.
    """
    ids = sorted(set(subjects))
    if not (0 <= validation < 1 and 0 <= test < 1):
        raise ValueError(f"validation {validation} and test {test} must be fractions of 1")
    n_validation = max(round(validation * len(ids)), 1) if validation else 0
    n_test = max(round(test * len(ids)), 1) if test else 0
    if n_validation + n_test >= len(ids):
        raise ValueError(
            f"{len(ids)} subjects: {n_validation} for validation and {n_test} for test leave none to train"
        )
    order = np.random.default_rng(seed).permutation(len(ids))
    dealt = [ids[i] for i in order]
    return Splits(
        test=sorted(dealt[:n_test]),
        validation=sorted(dealt[n_test : n_test + n_validation]),
        train=sorted(dealt[n_test + n_validation :]),
    )


def build_manifest(
    folder: str | Path,
    *,
    created_by: str,
    seed: int,
    request: dict[str, Any],
    versions: dict[str, str],
    licence: str,
    validation: float = 0.15,
    test: float = 0.15,
) -> Manifest:
    """Make the manifest of the recordings under `folder`, subjects dealt by `split_subjects`.

    Raises ValueError that names a file outside ``task=/subject=``, of another subject than its folder says,
    or of a subject whose mass, height or strength differs between files; or when there are no recordings.
    """
    folder = Path(folder)
    files: list[DatasetFile] = []
    subjects: dict[str, DatasetSubject] = {}
    for path in _recordings(folder):
        relative = path.relative_to(folder)
        task, subject = _partition(relative)
        recording = read_recording(path, columns=[])
        who = dict(recording.meta["subject"])
        if who.pop("id") != subject:
            raise ValueError(f"{path}: holds subject {recording.meta['subject']['id']!r}, not {subject!r}")
        if subjects.setdefault(subject, DatasetSubject(**who)) != DatasetSubject(**who):
            raise ValueError(f"{path}: subject {subject!r} is another person here than in an earlier file")
        files.append(
            DatasetFile(
                path=relative.as_posix(),
                task=task,
                subject=subject,
                sha256=_sha256(path),
                rows=len(recording),
                seconds=recording.meta["duration_s"],
                falls=recording.meta["falls"],
            )
        )
    if not files:
        raise ValueError(f"{folder}: no recordings under task=*/subject=*/")
    return Manifest(
        created_by=created_by,
        seed=seed,
        versions=versions,
        request=request,
        files=files,
        splits=split_subjects(subjects, seed, validation, test),
        subjects=subjects,
        licence=licence,
    )


def write_manifest(manifest: Manifest, folder: str | Path) -> Path:
    """Write ``manifest.json`` atomically; returns its path. The same manifest gives the same bytes."""
    path = Path(folder) / FILE_NAME
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(manifest.model_dump(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_manifest(folder: str | Path) -> Manifest:
    """Read ``manifest.json`` of a dataset. Raises FileNotFoundError; ValueError naming file and key."""
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest: is this a dataset folder?")
    try:
        return Manifest.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: " + "; ".join(problems)) from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None


def validate_manifest(manifest: Manifest, folder: str | Path) -> None:
    """Check the files of a dataset against its manifest.

    Raises ValueError that lists every file that is missing, changed (hash or rows) or not in the manifest.
    """
    folder = Path(folder)
    problems = []
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file():
            problems.append(f"{file.path} is missing")
        elif _sha256(path) != file.sha256:
            problems.append(f"{file.path} has changed (sha256)")
        elif pq.read_metadata(path).num_rows != file.rows:
            problems.append(f"{file.path} does not have {file.rows} rows")
    known = {file.path for file in manifest.files}
    extra = [p.relative_to(folder).as_posix() for p in _recordings(folder)]
    problems += [f"{path} is not in the manifest" for path in extra if path not in known]
    if problems:
        raise ValueError(f"{folder}: " + "; ".join(problems))


def _recordings(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.parquet") if not p.name.startswith("."))


def _partition(relative: Path) -> tuple[str, str]:
    parts = relative.parts
    if len(parts) == 3 and parts[0].startswith("task=") and parts[1].startswith("subject="):
        return parts[0].removeprefix("task="), parts[1].removeprefix("subject=")
    raise ValueError(f"{relative}: not at task=<task>/subject=<id>/<name>.parquet")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
