"""64 MiB of zeros, packed by each coding that HTTP names, from a few bytes to a few KiB."""

import base64
import gzip
import struct
import zlib

BROTLI = (
    "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8E"
    "QBwWAOje//H//w/+CYA4LADQvf/j//8f/BMAcVgAoHv/Nw=="
)
MIB = 2**20
SIZE = 64 * MIB


def gzip_bomb() -> bytes:
    """RFC 1952."""
    return gzip.compress(bytes(SIZE), 9, mtime=0)


def deflate_bomb() -> bytes:
    """RFC 1950."""
    return zlib.compress(bytes(SIZE), 9)


def zstd_bomb() -> bytes:
    """RFC 8878 §3.1.1: a frame of blocks that say "128 KiB of this byte"."""
    head = b"\x28\xb5\x2f\xfd" + b"\xa0" + struct.pack("<I", SIZE)
    count = SIZE // (128 * 1024)
    blocks = [
        struct.pack("<I", (128 * 1024) << 3 | 1 << 1 | (n == count - 1))[:3] + b"\0"
        for n in range(count)
    ]
    return head + b"".join(blocks)


def brotli_bomb() -> bytes:
    """RFC 7932; made by the reference encoder."""
    return base64.b64decode(BROTLI)


BOMBS = {"gzip": gzip_bomb, "deflate": deflate_bomb, "zstd": zstd_bomb, "br": brotli_bomb}
