"""Names in a PDF: emoji and other scripts print, what no font has is shown as its number, no character turns a line."""

from pathlib import Path

from gateway.statements.fonts import find_font
from gateway.statements.printing import PrintedText, breakable
from gateway.statements.texts import TEXTS
from redemption.settlement.production import Production
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.pdf_text import pdf_pages
from tests.support.settlement.settlement import Book, at, group_pool
from tests.support.settlement.statements import agree_on_everything, export

PRINTED = (
    "通逸🍜麵館 ❤️ ☕",
    "مطعم النخيل",
    "מסעדה",
    "ร้านอาหาร",
    "रेस्तरां",
    "ភោជនីយដ្ឋាន",
    "Ресторан Ελλάδα",
    "𠮷野家",
)


async def test_names_in_every_script_print_and_nothing_turns_a_line(postgres: PrivatePostgres, tmp_path: Path) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        await agree_on_everything(pool)
        book = Book(pool)
        names = [*PRINTED, "evil\u202e(txt.exe\u2066\u200f", "ᠮᠣᠩ"]
        for number, name in enumerate(names):
            outlet = f"out_mall_{number + 10}"
            await pool.execute("INSERT INTO outlet VALUES ($1, 'mall', $2)", outlet, {"en": name})
            leg = {"kind": "points", "points": 10, "value_minor": 10}
            await book.write(
                "redeem",
                f"rdm_{number}",
                "mall",
                [("points", "202701.hotel", "A", "R", 10)],
                at("2026-11-05T04:00"),
                legs=[leg],
                outlet=outlet,
            )
        await pool.execute("UPDATE business SET name = $1 WHERE business_id = 'mall'", {"en": "مطعم\u202e 🍜"})
        await Production(pool).run()
        data = await export(pool, tmp_path / "s.pdf", "mall", "2026-11", format="pdf", language="en")
    text = "".join(pdf_pages(data)).replace("\u200b", "").replace("\n", "")
    assert "\ufffd" not in text  # a glyph without a character would be an empty box
    for name in ("通逸🍜麵館", "Ресторан", "𠮷野家", "☕"):
        assert name in text, name
    for script in ("CJK", "Arabic", "Hebrew", "Thai", "Devanagari", "Khmer"):
        assert f"+NotoSans{script}".encode() in data, script
    assert b"+NotoEmoji" in data
    assert "evil(txt.exe" in text
    assert "[U+182E][U+1823][U+1829]" in text
    assert TEXTS["en"]["replaced_note"] in text
    assert not set("\u202a\u202b\u202c\u202d\u202e\u200e\u200f\u061c") & set(text)
    # What stands after the Arabic name is drawn after it: the id and the month stay where they are.
    title = next(page for page in pdf_pages(data) if "Settlement statement" in page or "settlement statement" in page)
    assert title.index("2026-11") > title.lower().index("settlement statement")


def test_a_name_of_the_other_direction_is_isolated_and_its_commands_are_taken_out() -> None:
    printed = PrintedText(find_font("en"))
    assert printed.isolated("مطعم") == "\u2068مطعم\u2069"
    assert printed.isolated("\u2069مطعم\u2068\u202e") == "\u2068مطعم\u2069"
    assert printed.isolated("Tong\u202e Hotel\u2067") == "Tong Hotel"
    assert printed.clean("a\u0000b\u2028c\ufeffd\u00ade") == "a b cde"
    assert not printed.replaced
    assert printed.clean("a\ue000\U000f0000\u0378") == "a[U+E000][U+F0000][U+0378]"
    assert printed.replaced


def test_emoji_of_several_parts_stay_whole_and_letters_that_join_are_not_parted() -> None:
    printed = PrintedText(find_font("zh-Hant"))
    family = "👨‍👩‍👧👍🏽1️⃣🇭🇰"
    assert printed.clean(family) == family
    assert not printed.replaced
    assert breakable("ر" * 40) == "ر" * 40
    assert breakable("🇭🇰" * 20) == "🇭🇰" * 20
    assert breakable("x" * 30) == "\u200b".join(("x" * 14, "x" * 14, "xx"))
    assert breakable("通" * 15) == "通" * 14 + "\u200b通"
    assert breakable("") == ""
