"""What a file is that is no UTF-8 text: packed by something, or written in another encoding."""

from __future__ import annotations

import codecs

WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
GZIP = b"\x1f\x8b"
PACKED = {b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


def why_no_text(start: bytes) -> str:
    """What to do with a file that begins so, where gzip was unpacked already; "" where it may be text."""
    packed = next((name for begins, name in PACKED.items() if start.startswith(begins)), "")
    if packed:
        return f"this file is packed by {packed}: unpack it, or pack it by gzip"
    if start.startswith(GZIP):
        return "this file is packed by gzip twice: unpack it once"
    return why_no_line(start)


def why_no_line(line: bytes) -> str:
    """The same of any of its lines."""
    if line.startswith(WIDE) or (b"\0" in line[:4] and line[:2] != b"\0\0"):
        return "this is UTF-16 or UTF-32 text: save it as UTF-8"
    return "this line holds NUL bytes, as files do that a crash has cut off" if b"\0" in line else ""
