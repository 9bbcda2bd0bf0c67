"""The manifest of a dataset folder: what was asked for, which files came of it, who is in which split.

A dataset is ``DIR/task=<task>/subject=<id>/<name>.parquet`` plus ``DIR/manifest.json``; the raw EMG of a recording lies
at the same path below ``DIR/_emg/``, its ultrasound images (.npz) below ``DIR/_ultrasound/``. No subject is ever in two
splits, so a score on the test split is a score on people never seen.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ..controllers.interface import closest
from .dataset.store import Store, sha256
from .recording import METADATA_KEY

FILE_NAME = "manifest.json"
DEAL = 20  # people among whom the fractions of the splits hold; chosen: 3, 3 and 14 are whole numbers
# Readers of Parquet folders pass over what begins with _, so a set reads as one table.
EMG_FOLDER = "_emg"
ULTRASOUND_FOLDER = "_ultrasound"


def emg_path(path: str) -> str:
    """Where the raw EMG of the recording at `path` lies."""
    return f"{EMG_FOLDER}/{path}"


def ultrasound_path(path: str) -> str:
    """Where the ultrasound images of the recording at `path` lie."""
    return f"{ULTRASOUND_FOLDER}/{path.removesuffix('.parquet')}.npz"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DatasetFile(_Part):
    """One recording of the dataset; `path` is relative to the folder, with forward slashes.

    falls: 1 where a fall ended it. emg_sha256, ultrasound_sha256: of its raw EMG at `emg_path` and its images at
    `ultrasound_path`, None where there are none.
    """

    path: str
    task: str
    subject: str
    sha256: str
    rows: int
    seconds: float
    falls: int
    emg_sha256: str | None = None
    ultrasound_sha256: str | None = None

    def beside(self) -> dict[str, str]:
        """SHA-256 of the files beside the recording, by path."""
        digests = {emg_path(self.path): self.emg_sha256, ultrasound_path(self.path): self.ultrasound_sha256}
        return {path: digest for path, digest in digests.items() if digest}


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
    """Deal subjects into splits in the order in which they come: who is added at the end changes nobody's split.

    They are dealt in blocks, at random within each: the first block has one of each split; after the second there are
    `DEAL` subjects, after each further one as many more, divided by the fractions.

    validation, test: fractions of the subjects, together at most 0.9; at least one each when the fraction is not zero.
    Raises ValueError when no subject would be left to train on.
    """
    ids = list(dict.fromkeys(subjects))
    if min(validation, test) < 0 or validation + test > 0.9:
        raise ValueError(f"validation {validation} and test {test} must be fractions of 1 and leave a tenth to train")
    wanted = {"train": 1, "validation": int(validation > 0), "test": int(test > 0)}
    if len(ids) < sum(wanted.values()):
        raise ValueError(
            f"{len(ids)} subjects: {wanted['validation']} for validation and {wanted['test']} for test"
            " leave none to train"
        )
    rng = np.random.default_rng(seed)
    order: list[str] = []
    before, total = dict.fromkeys(wanted, 0), 0
    while len(order) < len(ids):
        order += rng.permutation([name for name in wanted for _ in range(wanted[name] - before[name])]).tolist()
        before, total = wanted, total + DEAL
        wanted = {"validation": round(validation * total), "test": round(test * total)}
        wanted = {name: max(count, before[name]) for name, count in wanted.items()}
        wanted["train"] = total - sum(wanted.values())
    dealt = list(zip(ids, order, strict=False))
    return Splits(**{name: sorted(who for who, split in dealt if split == name) for name in before})


def recording_meta(content: bytes, path: str) -> tuple[dict[str, Any], int]:
    """Metadata and rows of a recording's file content, columns unread.

    Raises ValueError that names `path`: truncated, not Parquet, not a recording.
    """
    try:
        found = pq.read_metadata(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: truncated, or not a Parquet file ({str(error).splitlines()[0]})") from None
    text = (found.metadata or {}).get(METADATA_KEY)
    if text is None:
        raise ValueError(f"{path}: Parquet, but not a recording: no 'exotwin' metadata in it")
    meta: dict[str, Any] = json.loads(text)
    return meta, found.num_rows


def describe(path: str, content: bytes, emg: bytes | None = None, ultrasound: bytes | None = None) -> DatasetFile:
    """The manifest's entry of a recording's file content and that of its raw EMG and its ultrasound images.

    Raises ValueError that names a path outside ``task=/subject=`` or a file of another subject than its folder says.
    """
    task, subject = _partition(path)
    meta, rows = recording_meta(content, path)
    if meta["subject"]["id"] != subject:
        raise ValueError(f"{path}: holds subject {meta['subject']['id']!r}, not {subject!r}")
    return DatasetFile(
        path=path,
        task=task,
        subject=subject,
        sha256=sha256(content),
        rows=rows,
        seconds=meta["duration_s"],
        falls=meta["falls"],
        emg_sha256=None if emg is None else sha256(emg),
        ultrasound_sha256=None if ultrasound is None else sha256(ultrasound),
    )


def build_manifest(
    place: str | Path | Store,
    *,
    created_by: str,
    seed: int,
    request: dict[str, Any],
    versions: dict[str, str],
    licence: str,
    validation: float = 0.15,
    test: float = 0.15,
) -> Manifest:
    """Make the manifest of the recordings in a folder, subjects dealt by `split_subjects` in the order of their ids.

    Raises ValueError that names a file outside ``task=/subject=``, of another subject than its folder says,
    or of a subject whose mass, height or strength differs between files; or when there are no recordings.
    """
    store = Store.at(place)
    present = set(store.files())
    files: list[DatasetFile] = []
    subjects: dict[str, DatasetSubject] = {}
    for path in recordings_among(sorted(present)):
        content = store.read(path)
        beside = (store.read(p) if p in present else None for p in (emg_path(path), ultrasound_path(path)))
        files.append(describe(path, content, *beside))
        meta = recording_meta(content, path)[0]
        who = {key: value for key, value in meta["subject"].items() if key != "id"}
        subject = files[-1].subject
        if subjects.setdefault(subject, DatasetSubject(**who)) != DatasetSubject(**who):
            raise ValueError(f"{path}: subject {subject!r} is another person here than in an earlier file")
    if not files:
        raise ValueError(f"{store}: no recordings under task=*/subject=*/")
    return Manifest(
        created_by=created_by,
        seed=seed,
        versions=versions,
        request=request,
        files=files,
        splits=split_subjects(sorted(subjects), seed, validation, test),
        subjects=subjects,
        licence=licence,
    )


def write_manifest(manifest: Manifest, place: str | Path | Store) -> None:
    """Write ``manifest.json`` atomically. The same manifest gives the same bytes."""
    text = json.dumps(manifest.model_dump(), indent=1, ensure_ascii=False) + "\n"
    Store.at(place).write(FILE_NAME, text.encode())


def read_manifest(place: str | Path | Store) -> Manifest:
    """Read ``manifest.json`` of a dataset. Raises FileNotFoundError; ValueError naming file and key."""
    store = Store.at(place)
    path = store.full(FILE_NAME)
    try:
        content = store.read(FILE_NAME)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such manifest: is this a dataset folder?") from None
    try:
        return Manifest.model_validate(json.loads(content))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: " + "; ".join(problems)) from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None


def validate_manifest(manifest: Manifest, place: str | Path | Store) -> None:
    """Check the files of a dataset against its manifest, and against what they say of themselves.

    Raises ValueError that lists every file that is missing, changed (hash, rows, seconds, falls) or not in it.
    """
    store = Store.at(place)
    present = set(store.files())
    problems, known = [], set()
    for file in manifest.files:
        known.add(file.path)
        problems += _problems(store, file, present)
    problems += [f"{path} is not in the manifest" for path in recordings_among(sorted(present)) if path not in known]
    if problems:
        raise ValueError(f"{store}: " + "; ".join(problems))


def _problems(store: Store, file: DatasetFile, present: set[str]) -> list[str]:
    beside = file.beside()
    if missing := [path for path in (file.path, *beside) if path not in present]:
        return [f"{path} is missing" for path in missing]
    content = store.read(file.path)
    if sha256(content) != file.sha256:
        return [f"{file.path} has changed (sha256)"]
    if changed := [path for path, digest in beside.items() if sha256(store.read(path)) != digest]:
        return [f"{path} has changed (sha256)" for path in changed]
    try:
        found = describe(file.path, content)
    except ValueError as error:
        return [str(error)]
    return [
        f"{file.path} does not have {getattr(file, key)} {key}"
        for key in ("rows", "seconds", "falls")
        if getattr(found, key) != getattr(file, key)
    ]


def recordings_among(paths: Iterable[str]) -> list[str]:
    """The recordings among a dataset's files: Parquet, neither hidden nor raw EMG."""
    return [
        path
        for path in paths
        if path.endswith(".parquet") and not path.startswith(f"{EMG_FOLDER}/") and "/." not in f"/{path}"
    ]


def _partition(path: str) -> tuple[str, str]:
    parts = path.split("/")
    if len(parts) == 3 and parts[0].startswith("task=") and parts[1].startswith("subject="):
        return parts[0].removeprefix("task="), parts[1].removeprefix("subject=")
    raise ValueError(f"{path}: not at task=<task>/subject=<id>/<name>.parquet")
