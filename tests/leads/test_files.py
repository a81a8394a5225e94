"""Files of every kind are read as they are, and what is wrong with one is said in a sentence."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from xml.sax.saxutils import escape

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from leadgate.errors import BadFileError
from leadgate.leads.csv_text import parse_csv
from leadgate.leads.files import read_table

BANK = Path(__file__).parents[2].parent / "shared" / "data" / "bank_marketing.csv"
ROWS = [["L-1", "web", "3"], ["L-2", "fair", ""], ["L-3", "call", "7.5"]]
HEADER = ["lead_id", "source", "visits"]
PLAIN = "\n".join(",".join(row) for row in [HEADER, *ROWS]) + "\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with that content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(BadFileError) as caught:
        read_table(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def workbook(rows: Sequence[Sequence[object]], *, first_row: int = 1) -> bytes:
    """A minimal Excel file: strings, numbers, booleans, and datetimes as ISO cells, as Office Open XML has them."""

    def cell(value: object) -> str:
        match value:
            case None:
                return "<c/>"
            case bool():
                return f'<c t="b"><v>{int(value)}</v></c>'
            case int() | float():
                return f"<c><v>{value!r}</v></c>"
            case datetime():
                return f'<c t="d"><v>{value.isoformat()}</v></c>'
            case _:
                return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'

    lines = "".join(
        f'<row r="{number}">{"".join(map(cell, row))}</row>' for number, row in enumerate(rows, start=first_row)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{kind}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets><sheet name="s" sheetId="1" '
        'r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
        f'Type="{kind}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return buffer.getvalue()


@pytest.mark.parametrize("delimiter", (",", ";", "\t", "|"))
@pytest.mark.parametrize("line_end", ("\n", "\r\n", "\r"))
def test_any_common_delimiter_and_line_end_is_found(tmp_path: Path, delimiter: str, line_end: str) -> None:
    """The records are the same, whatever separates them; empty fields are null, numbers stay text."""
    table = read_table(write(tmp_path, "a.csv", PLAIN.replace(",", delimiter).replace("\n", line_end)))
    assert table.frame.columns == HEADER
    assert table.frame.rows() == [tuple(value or None for value in row) for row in ROWS]
    assert (table.delimiter, table.first_row, table.format) == (delimiter, 2, "csv")


def test_decimal_commas_do_not_pass_for_a_delimiter(tmp_path: Path) -> None:
    """Semicolons separate what a European spreadsheet exports, however many commas its numbers hold."""
    table = read_table(write(tmp_path, "a.csv", "id;x;y;z\n1;1,5;2,5;3,5\n2;1,5;2,5;3,5\n"))
    assert table.frame.row(0) == ("1", "1,5", "2,5", "3,5")


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    (
        ("id,city\n1,Łódź\n2,東京\n", "utf-8", "utf-8"),
        ("id,city\n1,Łódź\n2,東京\n", "utf-8-sig", "utf-8-sig"),
        ("id,city\n1,Łódź\n2,東京\n", "utf-16", "utf-16"),
        ("id,city\n1,Kraków\n2,Lyon\n", "utf-16-le", "utf-16-le"),
        ("id,city\n1,Kraków\n2,Lyon\n", "utf-16-be", "utf-16-be"),
        ("id;price\n1;50 €\n2;São Paulo » centro\n3;Größe\n", "cp1252", "cp1252"),
        ("id,city\n1,Orléans\n" + "2,Lyon\n" * 50_000, "latin-1", "cp1252"),
        ("id,city\n1,Wrocław\n2,Łódź\n3,Gdańsk\n4,Częstochowa\n5,Białystok\n", "cp1250", "cp1250"),
        ("id,city\n1,Москва\n2,Казань\n3,Новосибирск\n4,Санкт-Петербург\n", "cp1251", "cp1251"),
    ),
)
def test_letters_come_out_right_whatever_the_encoding(tmp_path: Path, text: str, encoding: str, found: str) -> None:
    """Python's codecs wrote the bytes; the same letters are read."""
    table = read_table(write(tmp_path, "a.csv", text.encode(encoding)))
    delimiter = ";" if ";" in text else ","
    expected = [tuple(line.split(delimiter)) for line in text.splitlines()]
    assert [tuple(table.frame.columns), *table.frame.rows()] == expected
    assert table.encoding == found


CELL = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(["\n", ",", '"', ";", "|", "'", " ", "#"]),
    max_size=8,
)


@given(rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_what_python_writes_as_csv_is_read_back(rows: list[tuple[str, str, str]]) -> None:
    """Quoted delimiters, quotes and line ends survive; the oracle is the standard library's writer."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("lead id", "b, c", "d"), *rows])
    found = parse_csv(buffer.getvalue().encode(), "a.csv")
    assert found.frame.columns == ["lead id", "b, c", "d"]
    assert found.frame.rows() == rows


def test_header_names_lose_blanks_and_marks(tmp_path: Path) -> None:
    """A name is what a person sees, not the blanks around it."""
    table = read_table(write(tmp_path, "a.csv", "\ufeff lead_id , source\nL-1,web\n"))
    assert table.frame.columns == ["lead_id", "source"]


def test_rows_are_numbered_as_a_person_sees_them(tmp_path: Path) -> None:
    """Blank lines and Excel's hint above the header count; empty lines at the end are no leads."""
    table = read_table(write(tmp_path, "a.csv", "sep=;\n\nlead_id;n\nL-1;2\nL-2;3\n;\n\n\n"))
    assert (table.first_row, table.frame.rows()) == (4, [("L-1", "2"), ("L-2", "3")])


def test_a_delimiter_at_the_end_of_each_line_is_no_column(tmp_path: Path) -> None:
    """Some systems end lines so; a nameless column with values is another matter."""
    assert read_table(write(tmp_path, "a.csv", "lead_id,n,\nL-1,2,\n")).frame.columns == ["lead_id", "n"]
    assert "column 3" in refusal(write(tmp_path, "b.csv", "lead_id,n,\nL-1,2,x\n"))


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    """As ``sha256sum`` prints it."""
    assert read_table(write(tmp_path, "a.csv", PLAIN)).digest == hashlib.sha256(PLAIN.encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    (
        ("empty.csv", "", ["empty.csv", "empty"]),
        ("blank.csv", "\ufeff \n\n", ["blank.csv", "empty"]),
        ("header.csv", "lead_id,source\n", ["header.csv", "no rows"]),
        ("data.csv", "L-1,2026-01-02,web,3\nL-2,2026-01-03,web,4\n", ["row 1", "header", "'2026-01-02'"]),
        ("people.csv", "ann@example.com,web\nbob@example.com,fair\n", ["row 1", "header", "'ann@example.com'"]),
        ("numbers.csv", "L-1,No,No,0,web,fair,x\nL-2,No,Yes,5,web,fair,y\n", ["row 1", "header", "'0'"]),
        ("one.csv", "lead_id~source\nL-1~web\n", ["row 1", "single column", "delimiter"]),
        ("nameless.csv", ",lead_id\n0,L-1\n", ["column 1", "no name", "index=False"]),
        ("twice.csv", "lead_id,n,n\nL-1,1,2\n", ["'n'", "more than once", "columns 2, 3"]),
        ("extra.csv", 'lead_id,n\n"L\n1",1\nL-2,2,3\n', ["row 3", "3 fields", "'3'"]),
        ("short.csv", "lead_id,n,m\nL-1,1,\nL-2,2\n", ["row 3", "2 fields", "'m'"]),
        ("quote.csv", 'lead_id,n\nL-1,1\nL-2,"2\nL-3,3\n', ["row 3", "quotation mark"]),
        ("behind.csv", 'lead_id,n\nL-1,"1" x\n', ["row 2", "quotation mark"]),
        ("bytes.csv", "lead_id,n\nL-1,é\nL-2,ö\n".encode() + b"L-3,\xff\n", ["line 4", "UTF-8"]),
        ("binary.csv", b"a,b\n" + bytes(range(256)) * 8, ["binary.csv"]),
        ("leads.docx", "x", ["leads.docx", ".docx", "CSV"]),
        ("leads", "x", ["without an ending"]),
        ("cut.parquet", b"PAR1garbagePAR1", ["cut.parquet", "Parquet"]),
        ("cut.xlsx", b"PK\x03\x04nothing", ["cut.xlsx", "workbook"]),
        ("bad.jsonl", '{"lead_id": "L-1"}\n{"lead_id": \n', ["bad.jsonl", "line 2"]),
        ("array.jsonl", "[1, 2]\n", ["array.jsonl", "line 1", "object"]),
    ),
)
def test_broken_files_are_refused_in_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, words: list[str]
) -> None:
    """File, place, and what to do."""
    said = refusal(write(tmp_path, name, content))
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize(
    "header",
    (
        "lead_id,2024,2025,source,won,region,city",
        "lead id,Q1,1st visit,e-mail,% open",
        "no,yes,maybe",
        "A1,B2,C3",
        "id,What is your current occupation,Total Time Spent (s)",
    ),
)
def test_odd_headers_are_headers(tmp_path: Path, header: str) -> None:
    """A false alarm would lock a team out of its own data."""
    row = ",".join("x" * len(header.split(",")))
    assert read_table(write(tmp_path, "a.csv", f"{header}\n{row}\n")).frame.columns == header.split(",")


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    """Most missing files are misspelt ones."""
    write(tmp_path, "leads_2026.csv", PLAIN)
    assert "'leads_2026.csv'" in refusal(tmp_path / "lead_2026.csv")
    assert "no folder" in refusal(tmp_path / "absent" / "leads.csv")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    """And counts its rows from 1; a file that was cut off is refused."""
    frame = pl.DataFrame({"lead_id": ["a", "b"], "n": [1, None], "at": [datetime(2026, 1, 1, tzinfo=UTC)] * 2})
    frame.write_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.frame.equals(frame)
    assert table.first_row == 1
    assert "Parquet" in refusal(write(tmp_path, "b.parquet", (tmp_path / "a.parquet").read_bytes()[:-20]))


@pytest.mark.parametrize("as_array", (False, True))
def test_json_keeps_its_types(tmp_path: Path, as_array: bool) -> None:
    """One object a line, or an array of them; a key that is not there is null."""
    rows = [{"lead_id": "a", "n": 1.5}, {"lead_id": "b", "won": True}]
    text = json.dumps(rows) if as_array else "\n".join(map(json.dumps, rows))
    frame = read_table(write(tmp_path, "a.json", text)).frame
    assert frame.to_dicts() == [{"lead_id": "a", "n": 1.5, "won": None}, {"lead_id": "b", "n": None, "won": True}]


def test_excel_reads_as_the_csv_that_it_would_export(tmp_path: Path) -> None:
    """Whole numbers without a point, times in ISO form, and rows numbered as the sheet numbers them."""
    moment = datetime(2026, 2, 1, 9, 30)  # noqa: DTZ001  # cells have no zone
    rows = (
        ["lead_id", "n", "share", "won", "at"],
        [7, 3.0, 0.25, True, moment],
        ["b", None, None, None, None],
        [None, None, None, None, None],
    )
    table = read_table(write(tmp_path, "a.xlsx", workbook(rows)))
    assert table.frame.rows() == [("7", "3", "0.25", "True", "2026-02-01T09:30:00"), ("b", None, None, None, None)]
    assert (table.first_row, table.format) == (2, "excel")


def test_excel_mistakes_are_named(tmp_path: Path) -> None:
    """An empty sheet, a header alone, a doubled name."""
    assert "empty" in refusal(write(tmp_path, "a.xlsx", workbook([])))
    assert "no rows" in refusal(write(tmp_path, "b.xlsx", workbook([["lead_id", "n"]])))
    assert "'n'" in refusal(write(tmp_path, "c.xlsx", workbook([["lead_id", "n", "n"], ["a", 1, 2]])))


def test_excel_rows_above_the_header_count(tmp_path: Path) -> None:
    """A table that starts in row 3 has its first record in row 4."""
    assert read_table(write(tmp_path, "a.xlsx", workbook([["lead_id", "n"], ["a", 1]], first_row=3))).first_row == 4


def test_a_delta_table_is_read_by_its_folder(tmp_path: Path) -> None:
    """Its digest changes with its version; another folder is no table."""
    frame = pl.DataFrame({"lead_id": ["a", "b"], "n": [1, 2]})
    write_deltalake(tmp_path / "t", frame)
    first = read_table(tmp_path / "t")
    assert first.frame.sort("lead_id").equals(frame)
    write_deltalake(tmp_path / "t", frame, mode="append")
    second = read_table(tmp_path / "t")
    assert (second.frame.height, second.first_row) == (4, 1)
    assert second.digest != first.digest
    (tmp_path / "folder").mkdir()
    assert "no Delta table" in refusal(tmp_path / "folder")


@pytest.mark.skipif(not BANK.exists(), reason="bank_marketing.csv is not beside the repository")
def test_real_leads_are_read_whole_and_fast() -> None:
    """Every cell as the standard library reads it; 41,188 rows in well under a second."""
    start = perf_counter()
    table = read_table(BANK)
    took = perf_counter() - start
    with BANK.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert table.frame.columns == header
    assert table.frame.rows() == [tuple(value or None for value in row) for row in rows]
    assert took < 1
