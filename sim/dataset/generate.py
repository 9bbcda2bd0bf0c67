"""Makes a whole data set, or what is missing of one: recordings first, then its card, its manifest last.

The recordings are those of `plan`; whoever makes them, in whatever order and after whatever interruptions, the folder
ends up with the same bytes. Only a complete set has a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..manifest import (
    FILE_NAME,
    DatasetFile,
    DatasetSubject,
    Manifest,
    describe,
    read_manifest,
    recording_meta,
    recordings_among,
    split_subjects,
    write_manifest,
)
from ..runlog import LICENCE, versions
from .card import CARD, card
from .content import check_npz, check_pages
from .engines import Engine, Local, Maker
from .make import make
from .plan import Job, plan
from .request import FILE_NAME as REQUEST
from .request import Generation, changes, parse_request
from .store import Store


@dataclass
class Progress:
    """How far a generation is: recordings, seconds of data and falls; `done` and `seconds` include what was there."""

    recordings: int
    total_seconds: float
    done: int = 0
    seconds: float = 0.0
    falls: int = 0

    def count(self, job_seconds: float, file: DatasetFile) -> None:
        """One more recording; a fall has ended it before its time, but its job is done."""
        self.done += 1
        self.seconds += job_seconds
        self.falls += file.falls


def generate(
    request: Generation,
    out: str | Path | Store,
    engine: Engine | None = None,
    *,
    resume: bool = False,
    tell: Callable[[Progress], None] | None = None,
    make: Maker = make,
) -> Manifest:
    """Make a data set in a folder that is local or of any pyarrow file system.

    resume: go on with what an interrupted run of this request left there; more people, gaits or minutes than it asked
    for are made as well. tell: called at the beginning and after each recording. make: who makes a recording.

    An interruption of whatever kind leaves whole recordings only. Raises ValueError for too few people to split, a
    folder that holds a data set already, or one of another request; OSError when nothing more can be written;
    ChildProcessError for a worker that was killed.
    """
    store = Store.at(out)
    jobs = plan(request)
    # In the order in which people are drawn, so that a set that grows leaves everybody in their split; already here, so
    # that too few people are named before anything is made.
    splits = split_subjects([job.subject.id for job in jobs], request.seed)
    there = store.files()
    if resume:
        _same_request(store, there, request)
    elif recordings_among(there) or REQUEST in there:
        raise ValueError(f"{store} holds a data set: --resume goes on with it; else choose another folder")
    store.sweep()
    files, missing = _sort(store, jobs, there)
    progress = Progress(len(jobs), sum(job.seconds for job in jobs))
    seconds = {job.path: job.seconds for job in jobs}
    for path, file in files.items():
        progress.count(seconds[path], file)
    if missing:
        store.delete(FILE_NAME)  # it is of a whole set
    store.write(REQUEST, request.text().encode())
    if tell:
        tell(progress)
    try:
        for file in (engine or Local()).run(make, store, missing):
            files[file.path] = file
            progress.count(seconds[file.path], file)
            if tell:
                tell(progress)
    except ChildProcessError:
        store.sweep()
        raise
    summary = {
        "gaits": [gait.name for gait in request.gaits],
        "subjects": request.subjects.count,
        "minutes_per_gait": request.minutes_per_gait,
        "recording_s": request.recording_s,
        "recordings": len(jobs),
        "seconds": progress.total_seconds,
        "device": request.device.name,
        "preset": request.device.sensors.preset,
    }
    manifest = Manifest(
        created_by="exotwin generate",
        seed=request.seed,
        versions=versions(),
        request=summary,
        files=[files[path] for path in sorted(files)],
        splits=splits,
        subjects={job.subject.id: _person(job) for job in jobs},
        licence=LICENCE,
    )
    store.write(CARD, card(manifest, [request]).encode())
    write_manifest(manifest, store)
    return manifest


def _person(job: Job) -> DatasetSubject:
    return DatasetSubject(**{key: value for key, value in job.subject.as_dict().items() if key != "id"})


def _same_request(store: Store, there: Sequence[str], request: Generation) -> None:
    """Raises ValueError when what is there was asked for otherwise."""
    if REQUEST not in there:
        if recordings := recordings_among(there):
            raise ValueError(f"{store.full(recordings[0])}: there is no {REQUEST} that says what it was made from")
        return
    where = store.full(REQUEST)
    theirs = parse_request(store.read(REQUEST).decode(), where)
    if differ := changes(request.plain(), theirs.plain()):
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise ValueError(f"{where} is of another request: {'; '.join(differ[:3])}{more}")


def _sort(store: Store, jobs: Sequence[Job], there: Sequence[str]) -> tuple[dict[str, DatasetFile], list[Job]]:
    """What is made already, by path, and the jobs still to do; damaged recordings are to be made again.

    Damaged is what is not what a manifest says or, where there is none of it, what cannot be decoded to its end.
    Raises ValueError that names a recording that these jobs do not make.
    """
    present = set(there)
    planned = {job.path: job for job in jobs}
    for path in recordings_among(there):
        if path not in planned:
            raise ValueError(f"{store.full(path)} is of another request: choose another folder, or delete it")
    said = _said(store, present)
    made, missing = {}, []
    for job in jobs:
        if any(path and path not in present for path in (job.path, job.emg_path, job.ultrasound_path)):
            missing.append(job)
            continue
        content = store.read(job.path)
        try:
            meta, _ = recording_meta(content, job.path)
            emg = store.read(job.emg_path) if job.emg_path else None
            images = store.read(job.ultrasound_path) if job.ultrasound_path else None
            found = describe(job.path, content, emg, images)
            if job.path not in said:
                check_pages(content, job.path)
                if emg is not None:
                    check_pages(emg, str(job.emg_path))
                if images is not None:
                    check_npz(images, str(job.ultrasound_path))
        except ValueError:
            missing.append(job)
            continue
        if said.get(job.path, found) != found:
            missing.append(job)
            continue
        _same_versions(store.full(job.path), meta["versions"])
        if meta["falls"] or abs(meta["duration_s"] - job.seconds) < 1.0 / meta["rate_hz"]:
            made[job.path] = found
        else:  # of fewer minutes
            missing.append(job)
    return made, missing


def _said(store: Store, present: set[str]) -> dict[str, DatasetFile]:
    """What the manifest says of each file, by path; nothing where there is none, or none that can be read."""
    try:
        return {file.path: file for file in read_manifest(store).files} if FILE_NAME in present else {}
    except ValueError:
        return {}


def _same_versions(where: str, theirs: dict[str, str]) -> None:
    for name, version in versions().items():
        if theirs.get(name) != version:
            raise ValueError(f"{where} was made with {name} {theirs.get(name)}, here is {version}: bytes would differ")
