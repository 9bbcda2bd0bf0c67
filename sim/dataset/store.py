"""Where a data set lies: a folder on any file system that pyarrow knows, in which only whole files have their names."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pyarrow import fs

PARTIAL = ".part"


@dataclass(frozen=True)
class Store:
    """A folder; paths in it are relative, with forward slashes.

    `file_system` and `root` are pyarrow's. Stores travel to other processes and machines, which then must see the same
    file system.
    """

    file_system: fs.FileSystem
    root: str

    @classmethod
    def at(cls, place: str | Path | Store) -> Store:
        """The folder at a local path or a URI such as ``s3://bucket/set?endpoint_override=...``.

        Raises ValueError for a URI that pyarrow does not know.
        """
        if isinstance(place, Store):
            return place
        if isinstance(place, Path) or "://" not in place:
            return cls(fs.LocalFileSystem(), Path(place).absolute().as_posix())
        try:
            return cls(*fs.FileSystem.from_uri(place))
        except (ValueError, OSError) as error:
            raise ValueError(f"{place}: {str(error).splitlines()[0]}") from None

    def __str__(self) -> str:
        return self.root

    def full(self, path: str) -> str:
        """A file's path as the file system knows it."""
        return f"{self.root}/{path}" if self.root else path

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError."""
        with self.file_system.open_input_stream(self.full(path)) as stream:
            return stream.read()

    def write(self, path: str, content: bytes) -> None:
        """Write a file; under its name there is the whole of it or what was there before.

        On a local disk that holds for a power cut too: the content is there before it gets its name. Raises OSError,
        as for a full disk, and then leaves nothing behind.
        """
        target = self.full(path)
        folder, _, name = target.rpartition("/")
        # A name of its own: a second process may be making the same file.
        partial = f"{folder}/.{name}.{uuid4().hex}{PARTIAL}"
        self.file_system.create_dir(folder, recursive=True)
        try:
            with self.file_system.open_output_stream(partial) as stream:
                stream.write(content)
            self._settle(partial)
            self.file_system.move(partial, target)
            self._settle(folder)
        except BaseException:
            self._forget(partial)
            raise

    def delete(self, path: str) -> None:
        """Delete a file, if there is one."""
        self._forget(self.full(path))

    def files(self) -> list[str]:
        """Every file below the folder, sorted; none where there is no folder."""
        found = self.file_system.get_file_info(fs.FileSelector(self.root, allow_not_found=True, recursive=True))
        return sorted(info.path.removeprefix(self.root).lstrip("/") for info in found if info.type is fs.FileType.File)

    def sweep(self) -> None:
        """Remove what killed processes were writing."""
        for path in self.files():
            name = path.rpartition("/")[2]
            if name.startswith(".") and name.endswith(PARTIAL):
                self.delete(path)

    def _settle(self, full_path: str) -> None:
        """Wait until a local file, or the names in a local folder, are on the disk."""
        # Other file systems have what is closed; Windows does not do this for folders.
        if not isinstance(self.file_system, fs.LocalFileSystem) or os.name == "nt":
            return
        handle = os.open(full_path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _forget(self, full_path: str) -> None:
        if self.file_system.get_file_info(full_path).type is fs.FileType.File:
            self.file_system.delete_file(full_path)


def sha256(content: bytes) -> str:
    """A file's checksum, hexadecimal."""
    return hashlib.sha256(content).hexdigest()
