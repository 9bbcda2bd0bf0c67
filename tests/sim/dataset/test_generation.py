"""Making data sets: the same bytes whatever the interruptions, engines and file systems; whole files only."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest
from exotwin.sim.dataset.engines import Local, Ray, engine_of
from exotwin.sim.dataset.generate import generate
from exotwin.sim.dataset.plan import plan
from exotwin.sim.dataset.store import Store
from exotwin.sim.manifest import read_manifest, validate_manifest
from exotwin.sim.runlog import versions
from fake_set import hashes, is_whole, make, request, with_probe
from pyarrow import fs

WHOLE = 3 * 2 * 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    generate(request(), folder, make=make)
    return folder


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "set"))


def recordings(folder: Path) -> list[Path]:
    return sorted(folder.glob("task=*/subject=*/*.parquet"))


# --- what comes out


def test_the_manifest_tells_the_truth_and_nobody_is_in_two_splits(whole):
    manifest = read_manifest(whole)
    validate_manifest(manifest, whole)
    assert (manifest.created_by, manifest.seed) == ("exotwin generate", 11)
    assert [f.path for f in manifest.files] == sorted(p.relative_to(whole).as_posix() for p in recordings(whole))
    assert len(manifest.files) == WHOLE
    split = [set(ids) for _, ids in manifest.splits]
    assert all(split)
    assert set.union(*split) == {"s11_000", "s11_001", "s11_002"}
    assert sum(map(len, split)) == 3


def test_a_fall_is_counted_and_its_recording_is_as_short_as_it_was(whole):
    fallen = [file for file in read_manifest(whole).files if file.falls]
    assert [(f.task, f.subject, f.seconds, f.rows) for f in fallen] == [("walk", "s11_001", 0.4, 20)]
    assert f"{WHOLE} recordings of 3 people. Ended by a fall: 1." in (whole / "README.md").read_text()


def test_progress_counts_recordings_falls_and_seconds(tmp_path):
    told = []
    generate(request(), tmp_path / "set", make=make, tell=lambda p: told.append((p.done, p.seconds, p.falls)))
    assert [done for done, _, _ in told] == list(range(WHOLE + 1))
    assert told[-1] == (WHOLE, pytest.approx(WHOLE), 1)


def test_too_few_people_to_split_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="leave none to train"):
        generate(request(subjects=2), tmp_path / "set", make=make)
    assert not (tmp_path / "set").exists()


# --- interruptions


def test_every_kind_of_gap_is_filled_with_the_same_bytes(whole, copy):
    made = recordings(copy)
    made[1].unlink()  # never made
    made[3].write_bytes(made[3].read_bytes()[:-100])  # cut by the machine's death
    (copy / "_emg" / made[5].relative_to(copy)).unlink()  # killed between the two files
    (made[1].parent / f".{made[1].name}.0123.part").write_bytes(b"half")  # killed while writing
    (copy / "manifest.json").unlink()
    again = []
    generate(request(), copy, make=lambda store, job: again.append(job.path) or make(store, job), resume=True)
    assert sorted(again) == [made[i].relative_to(copy).as_posix() for i in (1, 3, 5)]
    assert hashes(copy) == hashes(whole)


def test_ultrasound_that_is_missing_or_cut_is_made_again_and_changes_are_found(tmp_path):
    asked = request(device=with_probe())
    manifest = generate(asked, tmp_path, make=make)
    whole = hashes(tmp_path)
    images = sorted((tmp_path / "_ultrasound").rglob("*.npz"))
    assert len(images) == len(manifest.files)
    images[0].unlink()
    with pytest.raises(ValueError, match=r"_ultrasound/task=.*\.npz is missing"):
        validate_manifest(manifest, tmp_path)
    images[4].write_bytes(images[4].read_bytes()[:-50])
    again = []
    generate(asked, tmp_path, make=lambda store, job: again.append(job.path) or make(store, job), resume=True)
    assert sorted(again) == [manifest.files[i].path for i in (0, 4)]
    assert hashes(tmp_path) == whole
    images[0].write_bytes(images[0].read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"_ultrasound/task=.*\.npz has changed"):
        validate_manifest(manifest, tmp_path)


def zeroed(path: Path) -> None:
    """Overwrite the middle of a file; its beginning, its end and its size stay."""
    content = bytearray(path.read_bytes())
    # A page's values lie together: 16 bytes in their midst, the header before them untouched.
    middle = len(content) // 5
    content[middle : middle + 16] = bytes(16)
    path.write_bytes(content)


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("what", ["recording", "raw EMG"])
def test_a_file_damaged_in_its_middle_is_made_again(whole, copy, manifest, what):
    path = recordings(copy)[2]
    zeroed(path if what == "recording" else copy / "_emg" / path.relative_to(copy))
    if not manifest:
        (copy / "manifest.json").unlink()
    assert hashes(copy) != hashes(whole)
    generate(request(), copy, make=make, resume=True)
    assert hashes(copy) == hashes(whole)


def test_a_sound_file_of_other_content_than_the_manifest_says_is_made_again(whole, copy):
    first, second = (copy / f"task=walk/subject=s11_000/00{i}.parquet" for i in (0, 1))
    first.write_bytes(second.read_bytes())
    generate(request(), copy, make=make, resume=True)
    assert hashes(copy) == hashes(whole)


def test_a_damaged_manifest_is_made_again(whole, copy):
    (copy / "manifest.json").write_bytes((whole / "manifest.json").read_bytes()[:200])
    generate(request(), copy, make=make, resume=True)
    assert hashes(copy) == hashes(whole)


@pytest.mark.skipif(os.name == "nt", reason="Windows settles no folders")
def test_a_local_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    settled = []

    def fsync(handle: int) -> None:
        found = os.fstat(handle)
        settled.append(("folder" if stat.S_ISDIR(found.st_mode) else found.st_size, (tmp_path / "a" / "b").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    Store.at(tmp_path).write("a/b", b"12345")
    assert settled == [(5, False), ("folder", True)]


def test_a_whole_set_is_left_as_it_is(whole, copy):
    times = {path: path.stat().st_mtime_ns for path in recordings(copy)}
    generate(request(), copy, make=make, resume=True)
    assert {path: path.stat().st_mtime_ns for path in recordings(copy)} == times
    assert hashes(copy) == hashes(whole)


@dataclass(frozen=True)
class Deadly(Store):
    """A store that dies by SIGKILL at its `at`-th step, counted in a file that outlives it.

    Steps are what a process can die between: before a file's half is written, when it is, when it has its name.
    """

    counter: str = ""
    at: int = 0

    def _step(self) -> None:
        with open(self.counter, "ab") as file:
            file.write(b".")
            steps = file.tell()
        if steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, path: str, content: bytes) -> None:
        self._step()
        # What a death in the middle of the disk's write leaves.
        half = Path(self.full(path)).parent / f".{Path(path).name}.dead.part"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content[: len(content) // 2])
        self._step()
        half.unlink()
        super().write(path, content)
        self._step()

    def delete(self, path: str) -> None:
        super().delete(path)
        self._step()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_step_it_completes_with_the_same_bytes(whole, tmp_path):
    small = {"gaits": "walk", "minutes_per_gait": 1 / 60}
    reference = tmp_path / "reference"
    generate(request(**small), reference, make=make)
    expected, died, at = hashes(reference), True, 0
    while died:
        at += 1
        folder = tmp_path / f"killed{at}"
        child = os.fork()
        if child == 0:
            generate(
                request(**small),
                Deadly(fs.LocalFileSystem(), str(folder), counter=str(tmp_path / f"{at}.steps"), at=at),
                make=make,
            )
            os._exit(0)
        _, status = os.waitpid(child, 0)
        died = os.WIFSIGNALED(status)
        left = hashes(folder) if folder.exists() else {}
        named = {path: digest for path, digest in left.items() if not path.endswith(".part")}
        assert named.items() <= expected.items()
        assert all(is_whole((folder / path).read_bytes()) for path in named if path.endswith(".parquet"))
        generate(request(**small), folder, make=make, resume=True)
        assert hashes(folder) == expected, f"killed at step {at}"
    # Three files of a set, and two for each of three recordings, three steps each.
    assert at > 3 * (3 + 2 * 3)


def test_a_full_disk_leaves_whole_files_and_says_so_and_resumes(whole, tmp_path):
    resource = pytest.importorskip("resource")
    folder = tmp_path / "set"
    largest = max(path.stat().st_size for path in whole.rglob("*.parquet"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel refuses what does not fit, in the middle of a file, as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 500, before[1]))
    try:
        with pytest.raises(OSError, match=r"."):
            generate(request(), folder, make=make)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    left = hashes(folder)
    assert left.items() < hashes(whole).items()
    generate(request(), folder, make=make, resume=True)
    assert hashes(folder) == hashes(whole)


def test_ctrl_c_leaves_whole_recordings_and_no_manifest(whole, tmp_path):
    def press_ctrl_c(progress) -> None:
        if progress.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(request(), tmp_path / "set", make=make, tell=press_ctrl_c)
    assert len(recordings(tmp_path / "set")) == 4
    assert hashes(tmp_path / "set").items() <= hashes(whole).items()
    generate(request(), tmp_path / "set", make=make, resume=True)
    assert hashes(tmp_path / "set") == hashes(whole)


# --- other requests


def test_without_resume_a_data_set_is_not_touched(whole, copy):
    before = hashes(copy)
    with pytest.raises(ValueError, match="holds a data set: --resume goes on"):
        generate(request(), copy, make=make)
    assert hashes(copy) == before


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 12}, "seed is 12, was 11"),
        ({"recording_s": 0.5}, "recording_s is 0.5, was 1.0"),
        ({"gaits": [{"gait": "walk", "speed_mps": [1, 1.1]}, "stand"]}, "gaits.walk.speed_mps"),
        ({"assistance": {"probability": 0.1}}, "assistance.probability is 0.1, was 0.6"),
        ({"subjects": {"count": 3, "age_years": [60, 75]}}, "subjects.age_years"),
        ({"subjects": 2 + 2, "minutes_per_gait": 1 / 60}, r"001\.parquet is of another request"),
        ({"gaits": "walk"}, r"task=stand/.*000\.parquet is of another request"),
    ],
)
def test_a_folder_of_another_request_is_named_with_what_differs(copy, other, said):
    before = hashes(copy)
    with pytest.raises(ValueError, match=said):
        generate(request(**other), copy, make=make, resume=True)
    assert hashes(copy) == before


def test_a_set_grows_by_people_gaits_and_minutes_and_keeps_what_is_there(copy, tmp_path):
    more = {"subjects": 4, "gaits": "walk,stand,squat", "minutes_per_gait": 3 / 60}
    before = {p: h for p, h in hashes(copy).items() if p.endswith(".parquet")}
    generate(request(**more), copy, make=make, resume=True)
    assert before.items() <= hashes(copy).items()
    generate(request(**more), tmp_path / "at_once", make=make)
    assert hashes(copy) == hashes(tmp_path / "at_once")


def test_who_is_in_a_split_stays_there_when_people_are_added(copy):
    before = read_manifest(copy).splits
    for people in (4, 9, 25):
        after = generate(request(subjects=people), copy, make=make, resume=True).splits
        assert all(set(ids) <= set(getattr(after, name)) for name, ids in before)
        before = after
    assert [len(ids) for _, ids in before] == pytest.approx([0.7 * 25, 0.15 * 25, 0.15 * 25], abs=3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gaits: walk\n", r"generation\.yaml: device: Field required"),
        ("gaits: wlk\n", r"generation\.yaml: .*no gait 'wlk'; did you mean 'walk'"),
        ("sede: 3\n", r"generation\.yaml: no key 'sede'; did you mean 'seed'"),
    ],
)
def test_a_generation_file_by_hand_that_says_too_little_is_named(copy, text, said):
    (copy / "generation.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        generate(request(), copy, make=make, resume=True)


def test_what_another_policy_made_is_not_mixed_in(copy, monkeypatch):
    retrained = versions() | {"policies/walk": "0123456789ab"}
    assert retrained != versions()
    monkeypatch.setattr("exotwin.sim.dataset.generate.versions", lambda: retrained)
    with pytest.raises(ValueError, match=r"was made with policies/walk \w{12}, here is 0123456789ab"):
        generate(request(), copy, make=make, resume=True)


def test_what_other_versions_made_is_not_mixed_in(copy, monkeypatch):
    monkeypatch.setattr("exotwin.sim.dataset.generate.versions", lambda: {"mujoco": "9.9"})
    with pytest.raises(ValueError, match=r"was made with mujoco \S+, here is 9\.9"):
        generate(request(), copy, make=make, resume=True)


# --- engines and file systems


@pytest.mark.parametrize("kind", ["mock", "subtree"])
def test_any_pyarrow_file_system_holds_the_same_bytes(kind, whole, tmp_path):
    if kind == "subtree":
        (tmp_path / "bucket").mkdir()
        store = Store(fs.SubTreeFileSystem(str(tmp_path / "bucket"), fs.LocalFileSystem()), "sets/one")
    else:
        store = Store(fs._MockFileSystem(), "bucket/sets/one")
    manifest = generate(request(), store, make=make)
    validate_manifest(manifest, store)
    assert {path: store.read(path) for path in store.files()} == {
        path: (whole / path).read_bytes() for path in hashes(whole)
    }
    store.delete(recordings(whole)[3].relative_to(whole).as_posix())
    assert generate(request(), store, make=make, resume=True) == manifest


def test_places_are_paths_or_uris(tmp_path):
    assert Store.at("s3://bucket/sets/one?region=eu-west-1").root == "bucket/sets/one"
    assert Store.at(tmp_path.as_uri()).root == str(tmp_path)
    assert Store.at("sets/one").root == str(Path.cwd() / "sets/one")
    with pytest.raises(ValueError, match="ftpx://host/set"):
        Store.at("ftpx://host/set")


def test_an_address_needs_the_ray_engine():
    with pytest.raises(ValueError, match="is for the engine 'ray'"):
        engine_of("local", 2, "ray://head:10001")


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "exotwin\[ray\]"'):
        engine_of("ray", 2)


def breaking(store, job):
    raise OSError(28, "No space left on device")


def dying(store, job):
    if job.index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return make(store, job)


@pytest.mark.slow
def test_several_processes_make_the_same_bytes_as_one(whole, tmp_path):
    generate(request(), tmp_path / "set", Local(2), make=make)
    assert hashes(tmp_path / "set") == hashes(whole)
    with pytest.raises(OSError, match="No space left"):
        generate(request(), tmp_path / "other", Local(2), make=breaking)


@pytest.mark.slow
def test_a_killed_worker_is_said_and_leaves_whole_files_only(whole, tmp_path):
    with pytest.raises(ChildProcessError, match="a worker was killed"):
        generate(request(), tmp_path / "set", Local(2), make=dying)
    left = hashes(tmp_path / "set")
    assert "manifest.json" not in left
    assert left.items() < hashes(whole).items()
    generate(request(), tmp_path / "set", resume=True, make=make)
    assert hashes(tmp_path / "set") == hashes(whole)


def beating(store, job):
    """Work for a minute and say so, in a file of its own, all the time."""
    for beat in range(1200):
        with Path(store.full(f"{job.subject.id}_{job.gait.name}_{job.index}")).open("a") as file:
            file.write(f"{beat}\n")
        time.sleep(0.05)


def run_beating(folder: Path) -> None:
    list(Local(2).run(beating, Store.at(folder), plan(request())))


@pytest.mark.slow
def test_workers_end_when_only_their_parent_is_killed(tmp_path):
    def beats() -> list[int]:
        return sorted(path.stat().st_size for path in tmp_path.iterdir())

    parent = get_context("spawn").Process(target=run_beating, args=(tmp_path,))
    parent.start()
    deadline = time.monotonic() + 300
    while len(beats()) < 2:
        assert time.monotonic() < deadline
        assert parent.is_alive()
        time.sleep(0.1)
    parent.kill()
    parent.join()
    time.sleep(2.0)
    last = beats()
    time.sleep(1.0)
    assert beats() == last


@pytest.fixture
def bucket(monkeypatch):
    """A URI of an empty bucket of an S3 service on this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server.start()
    host, port = server.get_host_and_port()
    service = {"endpoint_override": f"{host}:{port}", "scheme": "http", "region": "us-east-1"}
    fs.S3FileSystem(**service, allow_bucket_creation=True).create_dir("bucket")
    yield "s3://bucket/sets/one?" + "&".join(f"{key}={value}" for key, value in service.items())
    server.stop()


@pytest.mark.slow
def test_an_s3_service_holds_the_same_bytes_and_gaps_are_filled(bucket, whole):
    store = Store.at(bucket)
    manifest = generate(request(), bucket, make=make)
    lost, cut = (recordings(whole)[i].relative_to(whole).as_posix() for i in (3, 5))
    store.delete(lost)
    store.write(cut, store.read(cut)[:-100])
    store.write(f"{lost.rpartition('/')[0]}/.000.parquet.0123.part", b"half")
    with pytest.raises(ValueError, match=r"is missing.*has changed"):
        validate_manifest(manifest, bucket)
    assert generate(request(), bucket, make=make, resume=True) == manifest
    validate_manifest(read_manifest(bucket), bucket)
    assert {path: store.read(path) for path in store.files()} == {
        path: (whole / path).read_bytes() for path in hashes(whole)
    }


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray cluster of two nodes with one processor each; here both are on this machine."""
    pytest.importorskip("ray")
    import fake_set
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    # The workers have no test folder on their path.
    cloudpickle.register_pickle_by_value(fake_set)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()


@pytest.mark.slow
def test_ray_makes_the_same_bytes(whole, tmp_path, cluster):
    generate(request(), tmp_path / "set", Ray(cluster), make=make)
    assert hashes(tmp_path / "set") == hashes(whole)
    assert not sys.modules["ray"].is_initialized()
    with pytest.raises(OSError, match="No space left"):
        generate(request(), tmp_path / "other", Ray(cluster, workers=2), make=breaking)


def test_a_cluster_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(ConnectionError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        generate(request(), tmp_path / "set", Ray("127.0.0.1:1"), make=make)


@pytest.mark.slow
def test_a_job_of_a_dead_ray_worker_is_run_again(whole, tmp_path, cluster):
    marks = tmp_path / "marks"
    marks.mkdir()

    def dying_once(store, job):
        mark = marks / job.path.replace("/", "_")
        if job.index == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return make(store, job)

    generate(request(gaits="walk"), tmp_path / "set", Ray(cluster), make=dying_once)
    assert len(list(marks.iterdir())) == 3
    expected = {p: h for p, h in hashes(whole).items() if "task=walk" in p}
    assert expected.items() <= hashes(tmp_path / "set").items()


def test_a_recording_depends_on_nothing_but_its_own_place_in_the_plan():
    by_path = {job.path: job for job in plan(request())}
    for job in plan(request(subjects=5, gaits="squat,stand,walk", minutes_per_gait=4 / 60)):
        if job.path in by_path:
            assert job == by_path[job.path]
    assert len({job.seed for job in by_path.values()}) == len(by_path) == WHOLE
