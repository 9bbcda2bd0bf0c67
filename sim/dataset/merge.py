"""Puts data sets together: people keep their splits, ids and files that clash get names of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..manifest import (
    DatasetFile,
    DatasetSubject,
    Manifest,
    Splits,
    describe,
    emg_path,
    read_manifest,
    ultrasound_path,
    validate_manifest,
    write_manifest,
)
from ..recording import METADATA_KEY
from .card import CARD, card
from .content import table_bytes
from .request import FILE_NAME as REQUEST
from .request import Generation, parse_request
from .store import Store, sha256

STRICTEST = ("test", "validation", "train")  # who was in a test set anywhere is trained on nowhere


def merge(places: Sequence[str | Path | Store], out: str | Path | Store) -> Manifest:
    """One data set of several, in a new folder.

    The same id with the same body is one person; other people of that id are renamed ``id-2``, ``id-3`` and so on, in
    the order of the sets, also inside their recordings. Recordings of equal content are kept once. People stay in their
    splits; who is in two goes to test before validation before train. Raises ValueError for fewer than two sets, one
    whose files are not its manifest's, or a folder that is not empty; FileNotFoundError.
    """
    if len(places) < 2:
        raise ValueError("merging takes at least two data sets")
    stores, target = [Store.at(place) for place in places], Store.at(out)
    manifests = [read_manifest(store) for store in stores]
    for store, manifest in zip(stores, manifests, strict=True):
        validate_manifest(manifest, store)
    if target.files():
        raise ValueError(f"{target} is not empty")
    subjects: dict[str, DatasetSubject] = {}
    placed: dict[str, str] = {}
    files: dict[str, DatasetFile] = {}
    kept: set[tuple[str, str]] = set()
    for store, manifest in zip(stores, manifests, strict=True):
        names = {one: _name(subjects, one, who) for one, who in manifest.subjects.items()}
        for old, new in names.items():
            split = manifest.splits.of(old) or "train"
            placed[new] = min(placed.get(new, split), split, key=STRICTEST.index)
        for file in manifest.files:
            _copy(store, file, names[file.subject], target, files, kept)
    whole = Manifest(
        created_by="exotwin dataset merge",
        seed=manifests[0].seed,
        versions=_common([manifest.versions for manifest in manifests]),
        request={"merged": [{"seed": m.seed, "versions": m.versions} | m.request for m in manifests]},
        files=[files[path] for path in sorted(files)],
        splits=Splits(**{name: sorted(s for s, own in placed.items() if own == name) for name in Splits.model_fields}),
        subjects=dict(sorted(subjects.items())),
        licence="; ".join(dict.fromkeys(manifest.licence for manifest in manifests if manifest.licence)),
    )
    stem, _, suffix = REQUEST.partition(".")
    for number, text in enumerate(dict.fromkeys(s.read(path) for s in stores for path in _request_files(s)), 1):
        target.write(f"{stem}-{number}.{suffix}", text)
    target.write(CARD, card(whole, requests_of(target)).encode())
    write_manifest(whole, target)
    return whole


def requests_of(store: Store) -> list[Generation]:
    """What a set, merged or not, was made from, as far as its folder says."""
    found = []
    for path in _request_files(store):
        found.append(parse_request(store.read(path).decode(), store.full(path)))
    return found


def _request_files(store: Store) -> list[str]:
    stem = REQUEST.partition(".")[0]
    return [path for path in store.files() if path.startswith(stem) and path.endswith(".yaml")]


def _name(subjects: dict[str, DatasetSubject], wanted: str, who: DatasetSubject) -> str:
    """The person's id in the merged set, where they are added if they are new."""
    name, number = wanted, 1
    while subjects.setdefault(name, who) != who:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _copy(
    store: Store,
    file: DatasetFile,
    subject: str,
    target: Store,
    files: dict[str, DatasetFile],
    kept: set[tuple[str, str]],
) -> None:
    """Put a recording under a free name, unless its folder has one of this content, whatever it is called.

    files, kept: what the merged set holds by path, and as (folder, SHA-256); the recording is added to both.
    """
    content = store.read(file.path)
    emg = store.read(emg_path(file.path)) if file.emg_sha256 else None
    images = store.read(ultrasound_path(file.path)) if file.ultrasound_sha256 else None
    if subject != file.subject:
        content, emg = _renamed(content, subject), _renamed(emg, subject) if emg is not None else None
    folder = f"task={file.task}/subject={subject}"
    path = f"{folder}/{file.path.rpartition('/')[2]}"
    if (folder, sha256(content)) in kept:
        return
    kept.add((folder, sha256(content)))
    number = 0
    while path in files:
        path = f"{folder}/{number:03d}.parquet"
        number += 1
    if emg is not None:
        target.write(emg_path(path), emg)
    if images is not None:
        target.write(ultrasound_path(path), images)
    target.write(path, content)
    files[path] = describe(path, content, emg, images)


def _renamed(content: bytes, subject: str) -> bytes:
    """A recording's file of a person under another id."""
    table = pq.read_table(io.BytesIO(content))
    meta = json.loads(table.schema.metadata[METADATA_KEY])
    meta["subject"]["id"] = subject
    text = json.dumps(meta, sort_keys=True, ensure_ascii=False)
    return table_bytes(table.replace_schema_metadata({METADATA_KEY: text.encode()}))


def _common(versions: Sequence[dict[str, str]]) -> dict[str, str]:
    """What all were made with; where they differ, all of it."""
    found: dict[str, list[Any]] = {}
    for one in versions:
        for name, version in one.items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return {name: " and ".join(values) for name, values in found.items()}
