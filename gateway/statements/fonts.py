"""Fonts of the PDF: the setting TONG_FONT_PATH, the package noto-cjk-sans-otc, or the system's.

What that font does not have, emoji and scripts other than Latin, Cyrillic, Greek and those of East Asia, comes from the
package manimgx-fonts (Noto Emoji and Noto Sans of 18 scripts, OFL-1.1).

Guarantees: only fonts of the folder that was found and of that package are used, so a statement looks the same wherever
they are. Nothing is read at import.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typst

from gateway.problems.kinds import Language
from redemption.domain.errors import ConfigurationError

FONT_PACKAGE: Final = "noto_cjk_sans_otc"
OTHER_SCRIPTS_PACKAGE: Final = "manimgx_fonts"
FIRST_FALLBACKS: Final = ("Noto Emoji", "Noto Sans", "Noto Sans Symbols")
SYSTEM_FOLDERS: Final = (Path("/usr/share/fonts/opentype/noto"), Path("/usr/share/fonts/google-noto-cjk"))
REGIONS: Final[dict[Language, str]] = {"zh-Hant": "TC", "zh-Hans": "SC", "en": "TC"}
ADVICE: Final = (
    "install the Python package noto-cjk-sans-otc or the Debian package fonts-noto-cjk, or set TONG_FONT_PATH to a"
    " folder that holds a Chinese OpenType font"
)


class FontMissing(ConfigurationError):
    """There is no Chinese font; the text says what to install."""


@dataclass(frozen=True, slots=True)
class FoundFont:
    """The families to print in, the Chinese one first, and the fonts they are among."""

    families: tuple[str, ...]
    fonts: typst.Fonts

    def characters(self) -> frozenset[int]:
        """Read which characters these families have."""
        # Only a text with an unusual character pays for this import and for reading the fonts.
        from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # noqa: PLC0415

        files = {
            info.family: (info.path, info.index)
            for info in self.fonts.fonts()
            if info.family in self.families and info.path is not None
        }
        found: set[int] = set()
        for path, index in files.values():
            with TTFont(path, fontNumber=index, lazy=True) as font:
                found |= set(font.getBestCmap())
        return frozenset(found)


def find_font(language: Language, font_path: Path | None = None) -> FoundFont:
    """Find the font for a language; `font_path` is a folder or a file in it, None searches. Raises `FontMissing`."""
    others = _package_folders(OTHER_SCRIPTS_PACKAGE)
    fallbacks = _fonts_of(others).families() if others else []
    rest = sorted(set(fallbacks) - set(FIRST_FALLBACKS))
    for folder in _folders(font_path):
        families = _fonts_of([folder]).families()
        chosen = _choose(families, REGIONS[language], any_family=font_path is not None)
        if chosen is not None:
            order = [chosen, *(name for name in FIRST_FALLBACKS if name in fallbacks), *rest]
            return FoundFont(tuple(dict.fromkeys(order)), _fonts_of([folder, *others]))
    if font_path is not None:
        raise FontMissing(f"TONG_FONT_PATH: there is no font in {font_path}; {ADVICE}")
    raise FontMissing(f"there is no Chinese font for a PDF: {ADVICE}")


def _fonts_of(folders: Sequence[Path]) -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder) for folder in folders]
    )


def _package_folders(name: str) -> list[Path]:
    package = find_spec(name)
    return [Path(place) for place in (package.submodule_search_locations or ())] if package is not None else []


def _folders(font_path: Path | None) -> list[Path]:
    if font_path is not None:
        candidates = [font_path if font_path.is_dir() else font_path.parent]
    else:
        candidates = [*_package_folders(FONT_PACKAGE), *SYSTEM_FOLDERS]
    return [folder for folder in candidates if folder.is_dir()]


def _choose(families: list[str], region: str, *, any_family: bool) -> str | None:
    """Choose sans before serif, the language's region before others, proportional before fixed width."""
    noto = [name for name in families if name.startswith(("Noto", "Source Han")) and "Mono" not in name]
    ours = sorted(name for name in noto if name.endswith(f" {region}"))
    sans = [name for name in ours if "Sans" in name]
    return next(iter(sans + ours + (noto + families if any_family else [])), None)
