"""Compression of trace blocks: Zstandard, one frame per block, always with the same settings.

The settings are part of the format's promise that equal runs give equal bytes: a fixed level, one thread, the
content size in the frame, no checksum (blocks carry their own) and a fresh compressor per block, so that no
block depends on what was compressed before it.
"""

from __future__ import annotations

from typing import Final

import zstandard
from retrap.traces.errors import Malformed

LEVEL: Final = 1


def compress(data: bytes | bytearray) -> bytes:
    """One Zstandard frame that holds `data`."""
    compressor = zstandard.ZstdCompressor(
        level=LEVEL, write_checksum=False, write_content_size=True, write_dict_id=False, threads=0
    )
    return compressor.compress(data)


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that `data` holds. Never allocates much more than `size`. Raises `Malformed`."""
    try:
        # The frame's own size is believed only if it is the one that the block header states: a frame that
        # claims more would otherwise decide how much memory is taken.
        parameters = zstandard.get_frame_parameters(data)
        if parameters.content_size != size:
            raise Malformed(f"compressed data states {parameters.content_size} bytes, its block {size}")
        result = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise Malformed(f"compressed data is damaged ({error})") from None
    if len(result) != size:
        raise Malformed(f"compressed data holds {len(result)} bytes instead of {size}")
    return result
