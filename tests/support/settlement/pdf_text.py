"""Reads the text of a PDF as Typst writes it: Flate streams, fonts with ToUnicode maps, text shown by TJ.

No general reader of PDF: it knows what our statements are made of, and fails on anything else.
"""

import re
import zlib
from collections.abc import Iterator

_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pdf_pages(data: bytes) -> list[str]:
    """The text of each page in the order it is drawn; runs of text are apart by a newline."""
    objects = {int(match[1]): match[2] for match in re.finditer(rb"(\d+) 0 obj\s(.*?)endobj", data, re.S)}
    pages = [body for body in objects.values() if re.search(rb"/Type/Page\b(?!s)", body)]
    assert pages, "there is no page"
    return ["\n".join(_page_runs(page, objects)) for page in pages]


def _page_runs(page: bytes, objects: dict[int, bytes]) -> list[str]:
    """The runs of text of a page, each with the characters of its font."""
    resources = re.search(rb"/Resources (\d+) 0 R", page)
    fonts = re.search(rb"/Font<<(.*?)>>", objects[int(resources[1])] if resources else page, re.S)
    maps: dict[bytes, dict[int, str]] = {}
    for name, number in re.findall(rb"/(\w+) (\d+) 0 R", fonts[1] if fonts else b""):
        to_unicode = re.search(rb"/ToUnicode (\d+) 0 R", objects[int(number)])
        assert to_unicode is not None, name
        maps[name] = _characters(_stream(objects[int(to_unicode[1])]))
    contents = re.search(rb"/Contents (\d+) 0 R", page)
    assert contents is not None
    runs = re.findall(rb"BT .*?ET\n", _stream(objects[int(contents[1])]), re.S)
    return ["".join(_parts(run, maps)) for run in runs]


def _parts(run: bytes, maps: dict[bytes, dict[int, str]]) -> Iterator[str]:
    """The text of a run, font by font."""
    _, *parts = re.split(rb"/(\w+) [0-9.]+ Tf ", run)
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        yield _run(part, maps[name])


def _stream(body: bytes) -> bytes:
    match = re.search(rb"stream\r?\n", body)
    assert match is not None
    return _inflated(body[match.end() :])


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
    glyphs = (int.from_bytes(codes[at : at + 2]) for at in range(0, len(codes), 2))
    # Glyph 0 is the box of a character that the font has not; one without a character is a part of the one before.
    return "".join(characters.get(glyph, "") if glyph else "\ufffd" for glyph in glyphs)


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
