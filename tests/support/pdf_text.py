"""Reads the text of a PDF as Typst writes it: Flate streams, one font with a ToUnicode map, text shown by TJ.

No general reader of PDF: it knows what our statements are made of, and fails on anything else.
"""

import re
import zlib

_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pdf_pages(data: bytes) -> list[str]:
    """The text of each page in the order it is drawn; runs of text are apart by a newline."""
    streams = [_inflated(data[match.end() :]) for match in re.finditer(rb"stream\r?\n", data)]
    maps = [stream for stream in streams if b"begincmap" in stream]
    assert len(maps) == 1, f"{len(maps)} fonts"
    characters = _characters(maps[0])
    pages = [stream for stream in streams if b" Tf " in stream and b"begincmap" not in stream]
    return ["\n".join(_run(run, characters) for run in re.findall(rb"BT .*?ET\n", page, re.S)) for page in pages]


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return b""  # not compressed: metadata


def _characters(cmap: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.S):
        for code, text in re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>", block):
            found[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    assert b"beginbfrange" not in cmap
    return found


def _run(run: bytes, characters: dict[int, str]) -> str:
    codes = b"".join(_strings(re.sub(rb"<<.*?>>", b"", run, flags=re.S)))  # without marks: ActualText
    return "".join(characters.get(int.from_bytes(codes[at : at + 2]), "\ufffd") for at in range(0, len(codes), 2))


def _strings(run: bytes) -> list[bytes]:
    """What stands in parentheses, where such as are balanced stand unescaped, or as hexadecimal digits
    (ISO 32000-1, 7.3.4)."""
    found: list[bytes] = []
    depth = start = 0
    for token in re.finditer(rb"\\.|[()]|<[0-9A-F]+>", run, re.S):
        if token[0] == b"(":
            start = start if depth else token.end()
            depth += 1
        elif token[0] == b")":
            depth -= 1
            if depth == 0:
                found.append(_unescaped(run[start : token.start()]))
        elif token[0].startswith(b"<") and depth == 0:
            found.append(bytes.fromhex(token[0][1:-1].decode()))
    return found


def _unescaped(text: bytes) -> bytes:
    def character(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        return bytes([int(escape, 8)]) if escape.isdigit() else _ESCAPES.get(escape, escape)

    return re.sub(rb"\\([0-7]{1,3}|.)", character, text, flags=re.S)
