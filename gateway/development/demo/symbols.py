"""Pictures of codes: drawn into PNG files and read back by a decoder that knows nothing of the content."""

from pathlib import Path
from typing import Final, Literal

import zxingcpp
from PIL import Image

Symbol = Literal["QR", "Code 128"]

_FORMATS: Final = {"QR": zxingcpp.BarcodeFormat.QRCode, "Code 128": zxingcpp.BarcodeFormat.Code128}
_PIXELS_PER_MODULE: Final = {"QR": 8, "Code 128": 3}


def draw(symbol: Symbol, text: str, path: Path) -> None:
    """Write the picture, with its quiet zone, as a PNG file."""
    barcode = zxingcpp.create_barcode(text, _FORMATS[symbol])
    Image.fromarray(barcode.to_image(scale=_PIXELS_PER_MODULE[symbol])).save(path)


def read(path: Path) -> list[tuple[str, str]]:
    """Return every symbol in a picture of any kind: the name of its format and its text."""
    with Image.open(path) as picture:
        found = zxingcpp.read_barcodes(picture.convert("L"))
    return [(_name(each.format), each.text) for each in found]


def _name(found: zxingcpp.BarcodeFormat) -> str:
    return next((name for name, wanted in _FORMATS.items() if wanted == found), str(found))
