"""The bytes of a data set's files: recordings in single precision, which halves them and is finer than any sensor."""

from __future__ import annotations

import io
import zlib
from zipfile import BadZipFile, ZipFile

import pyarrow as pa
import pyarrow.parquet as pq

from ..recording import STRING_COLUMNS, Recording

FEW_VALUES = "emg/"  # raw EMG has as many values as its converter has steps


def parquet(recording: Recording) -> bytes:
    """A recording's file. The same recording gives the same bytes; time stays in double precision.

    Raises ValueError as `Recording.table`.
    """
    return table_bytes(recording.table())


def table_bytes(table: pa.Table) -> bytes:
    """The file of a recording's table, numbers but the time in single precision."""
    single = [
        field.with_type(pa.float32()) if pa.types.is_float64(field.type) and field.name != "time" else field
        for field in table.schema
    ]
    table = table.cast(pa.schema(single, table.schema.metadata))
    repeated = [name for name in table.column_names if name in STRING_COLUMNS or name.startswith(FEW_VALUES)]
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        # The bytes of each place together: signs and exponents repeat, the last bits do not.
        use_byte_stream_split=[name for name in table.column_names if name not in repeated],
        write_statistics=False,
        write_page_checksum=True,
    )
    return sink.getvalue()


def check_npz(content: bytes, path: str) -> None:
    """Raises ValueError that names `path` for a file of images that is truncated or damaged, or none."""
    try:
        with ZipFile(io.BytesIO(content)) as file:
            damaged = file.testzip()
    except (BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: truncated, or not an .npz file ({error})") from None
    if damaged:
        raise ValueError(f"{path}: {damaged} in it is damaged")


def check_pages(content: bytes, path: str) -> None:
    """Decode a whole file. Raises ValueError that names `path` where a page is not what was written."""
    try:
        pq.read_table(io.BytesIO(content), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: damaged ({str(error).splitlines()[0]})") from None
