"""Where the fonts of the PDF come from: the setting TONG_FONT_PATH, the package noto-cjk-sans-otc, or the system's.

Guarantees: only fonts of the folder that was found are used, so a statement looks the same wherever that font is.
Nothing is read at import.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typst

from gateway.statements.texts import Language

FONT_PACKAGE: Final = "noto_cjk_sans_otc"
SYSTEM_FOLDERS: Final = (Path("/usr/share/fonts/opentype/noto"), Path("/usr/share/fonts/google-noto-cjk"))
REGIONS: Final[dict[Language, str]] = {"zh-Hant": "TC", "zh-Hans": "SC", "en": "TC"}
ADVICE: Final = (
    "install the Python package noto-cjk-sans-otc or the Debian package fonts-noto-cjk, or set TONG_FONT_PATH to a"
    " folder that holds a Chinese OpenType font"
)


class FontMissing(Exception):
    """There is no Chinese font; the text says what to install."""


@dataclass(frozen=True, slots=True)
class FoundFont:
    """A family, and the fonts it is one of."""

    family: str
    fonts: typst.Fonts


def find_font(language: Language, font_path: Path | None = None) -> FoundFont:
    """The font for a language; `font_path` is a folder or a file in it, None: found by itself. Raises `FontMissing`."""
    for folder in _folders(font_path):
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder)])
        families = fonts.families()
        chosen = _choose(families, REGIONS[language], any_family=font_path is not None)
        if chosen is not None:
            return FoundFont(chosen, fonts)
    if font_path is not None:
        raise FontMissing(f"TONG_FONT_PATH: there is no font in {font_path}; {ADVICE}")
    raise FontMissing(f"there is no Chinese font for a PDF: {ADVICE}")


def _folders(font_path: Path | None) -> list[Path]:
    if font_path is not None:
        candidates = [font_path if font_path.is_dir() else font_path.parent]
    else:
        package = find_spec(FONT_PACKAGE)
        locations = list(package.submodule_search_locations or ()) if package is not None else []
        candidates = [*map(Path, locations), *SYSTEM_FOLDERS]
    return [folder for folder in candidates if folder.is_dir()]


def _choose(families: list[str], region: str, *, any_family: bool) -> str | None:
    """Sans before serif, the language's region before others, proportional before fixed width."""
    noto = [name for name in families if name.startswith(("Noto", "Source Han")) and "Mono" not in name]
    ours = sorted(name for name in noto if name.endswith(f" {region}"))
    sans = [name for name in ours if "Sans" in name]
    return next(iter(sans + ours + (noto + families if any_family else [])), None)
