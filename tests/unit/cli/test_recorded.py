"""Recordings: what is read, what is recognised, and what is said about what can't be read."""

import datetime
import io
import json
import sys
from decimal import Decimal

import numpy as np
import pytest

from bartizan.cli.recorded.cells import numbers, truth
from bartizan.cli.recorded.convert import Converter
from bartizan.cli.recorded.problems import RecordingError, Tally, UnreadableError
from bartizan.cli.recorded.recording import Recording, joined, whole
from bartizan.cli.recorded.roles import Options
from bartizan.cli.recorded.source import MAX_LINE_BYTES, Lines
from bartizan.cli.recorded.survey import Kind, survey

HEAD = "time,user,amount,country,prob_a,prob_b\n"


def learnt(recording, options=None):
    return survey(recording.blocks(Tally()), options or Options(), file=recording.name)


def events(source, *, calibration=None, options=None, block=8192, **how):
    """Read a file as events, by the schema of its calibration, or its own."""
    options, skip = options or Options(), how.get("skip", False)
    schema, _ = learnt(Recording(str(calibration or source), skip), options)
    tally = Tally()
    converter = Converter(schema, options, file="it", tally=tally, **how)
    return whole(Recording(str(source), skip).blocks(tally, block), converter, "it"), tally, converter


def write(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(count=40, start=0):
    return "".join(
        f"{start + i},u{i % 3},{i * 7 % 31}.5,{'DE' if i % 2 else 'FR'},0.25,0.75\n" for i in range(count)
    )


def test_csv_becomes_events(tmp_path):
    got, tally, _ = events(write(tmp_path, HEAD + rows()))
    assert len(got) == tally.events == 40
    assert got.times.tolist() == list(range(40))
    assert got.principals[:4] == ("u0", "u1", "u2", "u0")
    assert list(got.columns) == ["amount", "country"]
    assert got.columns["amount"][:3].tolist() == [0.5, 7.5, 14.5]
    assert got.columns["country"][:2].tolist() == ["FR", "DE"]
    assert got.outputs.shape == (40, 2)
    assert got.outputs[0].tolist() == [0.25, 0.75]
    assert got.trusted is None
    assert got.ids == ()
    assert tally.report() == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_and_line_ends(tmp_path, delimiter, end):
    text = (HEAD + rows()).replace(",", delimiter).replace("\n", end)
    plain, _, _ = events(write(tmp_path, HEAD + rows(), "plain.csv"))
    got, _, _ = events(write(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert got.principals == plain.principals
    assert (got.columns["country"] == plain.columns["country"]).all()


def test_json_lines_and_csv_agree(tmp_path):
    plain, _, _ = events(write(tmp_path, HEAD + rows()))
    lines = [
        {
            "time": i,
            "user": f"u{i % 3}",
            "amount": i * 7 % 31 + 0.5,
            "country": "DE" if i % 2 else "FR",
            "prob": {"a": 1},
        }
        for i in range(40)
    ]
    for line in lines:
        line |= {"outputs": [0.25, 0.75]}
        del line["prob"]
    got, _, _ = events(write(tmp_path, "\n".join(map(json.dumps, lines)), "a.jsonl"))
    assert got.times.tolist() == plain.times.tolist()
    assert got.outputs.tolist() == plain.outputs.tolist()
    assert got.principals == plain.principals
    assert {n: c.tolist() for n, c in got.columns.items()} == {
        n: c.tolist() for n, c in plain.columns.items()
    }


def test_standard_input_is_json_lines_and_comes_as_it_arrives(monkeypatch):
    class Pipe(io.RawIOBase):
        parts = [b'{"time": 1, "x": 2}\n{"time": 2,', b' "x": 3}\n{"time": 3, "x": 4}']

        def read1(self, size):
            return self.parts.pop(0) if self.parts else b""

    monkeypatch.setattr(sys, "stdin", type("In", (), {"buffer": Pipe()}))
    blocks = [list(b.cells["x"]) for b in Recording("-").blocks(Tally())]
    assert blocks == [[2], [3], [4]]


def test_a_growing_file_is_waited_for(tmp_path):
    path = write(tmp_path, HEAD + rows(2))
    waits = []

    def wait():
        waits.append(1)
        if len(waits) > 1:
            raise KeyboardInterrupt
        with path.open("a") as handle:
            handle.write(rows(1, start=2))

    seen = []
    blocks = Recording(str(path), wait=wait).blocks(Tally())
    with pytest.raises(KeyboardInterrupt):
        seen.extend(list(block.cells["time"]) for block in blocks)
    assert seen == [["0", "1"], ["2"]]


@pytest.mark.parametrize("block", [1, 3, 8192])
def test_blocks_of_any_size_give_the_same_events(tmp_path, block):
    path = write(tmp_path, HEAD + rows())
    one, _, _ = events(path)
    got, _, _ = events(path, block=block)
    assert got.times.tolist() == one.times.tolist()
    assert got.principals == one.principals
    assert got.outputs.tolist() == one.outputs.tolist()


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1.5", 1.5), (" 2 ", 2.0), ("-3e2", -300.0), ("True", 1.0), ("false", 0.0), (True, 1.0), (7, 7.0), (Decimal("1.5"), 1.5),
        ("", np.nan), ("NaN", np.nan), ("NA", np.nan), ("null", np.nan), (None, np.nan), (float("nan"), np.nan),
        ("abc", np.inf), ("1_000", np.inf), ("inf", np.inf), ("-inf", np.inf), ("1e999", np.inf), (10**400, np.inf),
        ("9" * 5000, np.inf), ([1], np.inf), (datetime.date(2026, 1, 1), np.inf),
    ],
)  # fmt: skip
def test_numbers_missing_and_not_numbers(cell, number):
    for among in ([], ["1", "2"], [1.0, 2.0], ["x"]):
        assert numbers([cell, *among])[0] == pytest.approx(number, nan_ok=True)


def test_a_value_that_is_no_number_is_neither_missing_nor_lost(tmp_path):
    benign = write(tmp_path, "time,x\n" + "".join(f"{i},{i * 7 % 31}\n" for i in range(40)), "benign.csv")
    got, tally, _ = events(write(tmp_path, "time,x\n0,1\n1,\n2,abc\n"), calibration=benign)
    assert got.columns["x"].tolist() == pytest.approx([1.0, np.nan, np.inf], nan_ok=True)
    assert tally.report() == ["1 values of 'x' are not numbers: counted as schema violations"]


def test_a_few_strays_leave_a_numeric_column_numeric_but_codes_are_categories(tmp_path):
    text = "time,x,code\n" + "".join(f"{i},{i * 7 % 997},{i % 5}\n" for i in range(500)) + "500,n.a.,A\n"
    schema, notes = learnt(Recording(str(write(tmp_path, text))))
    assert dict(zip(schema.inputs, schema.kinds, strict=True)) == {"x": Kind.NUMBER, "code": Kind.CATEGORY}
    assert "x is read as numbers; 1 of its values are none" in notes


def test_what_is_nothing_to_watch_is_left_out_and_said(tmp_path):
    text = "time,order,note,empty,x\n" + "".join(
        f"{i},{100 + i},note {i},,{i * 7 % 31}\n" for i in range(200)
    )
    path = Recording(str(write(tmp_path, text)))
    schema, notes = learnt(path)
    assert schema.inputs == ("x",)
    assert [n for n in notes if n.startswith("left out")] == [
        "left out: order, it only ever rises, as counters and clocks do",
        "left out: note, nearly every text in it is another one",
        "left out: empty, it is empty",
    ]
    assert set(learnt(path, Options(categorical=("note", "order")))[0].inputs) == {"x", "note", "order"}


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ("1700000000", "1700000001.5", 1700000000.0),
        ("1700000000000", "1700000001500", 1700000000.0),
        ("1700000000000000", "1700000001500000", 1700000000.0),
        ("2023-11-14T22:13:20Z", "2023-11-14T23:13:21.500+01:00", 1700000000.0),
        ("2023-11-14 22:13:20", "2023-11-14 22:13:21.5", 1700000000.0),
    ],
)
def test_times(tmp_path, first, second, seconds):
    got, _, converter = events(write(tmp_path, f"ts,x\n{first},1\n{second},2\n{second},1\n{second},1\n"))
    assert got.times[:2].tolist() == [seconds, seconds + 1.5]
    assert ("ts of it is in milliseconds since the epoch" in converter.notes) == (first == "1700000000000")


def test_one_odd_time_does_not_change_how_the_others_are_read(tmp_path):
    text = "time,x\nsoon,1\n,1\n0,1\n1700000000000,2\n2023-11-14T22:13:21Z,1\n1700000002,4\n"
    for block in (1, 8192):
        got, tally, _ = events(write(tmp_path, text), skip=True, block=block)
        assert got.times.tolist() == [0.0, 1_700_000_000.0, 1_700_000_001.0, 1_700_000_002.0]
        assert tally.skipped == 2


def test_without_times_events_are_numbered(tmp_path):
    got, _, converter = events(write(tmp_path, "x\n3\n1\n2\n"), block=2)
    assert got.times.tolist() == [0.0, 1.0, 2.0]
    assert "no column of times" in converter.notes[0]


def test_out_of_order_times_are_refused_or_taken_as_they_arrive(tmp_path):
    path = write(tmp_path, "time,x\n0,1\n5,2\n4,3\n6,1\n")
    with pytest.raises(RecordingError, match="line 4 is earlier") as caught:
        events(path)
    assert "--arrival-order" in caught.value.hint
    with pytest.raises(RecordingError, match="line 4 is earlier"):
        events(path, block=2)
    for block in (1, 8192):
        got, tally, _ = events(path, arrival_order=True, block=block)
        assert got.times.tolist() == [0.0, 5.0, 5.0, 6.0]
        assert tally.late == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"2,u1,x\n", "line 4 has 3 values for 6 columns"),
        (b"2,u1,1,DE,.5,.5,9\n", "line 4 has 7 values for 6 columns"),
        (b"2,u\xff,1,DE,.5,.5\n", "line 4 is not valid UTF-8 at byte 4"),
        (b'2,u1,1,"DE"x,.5,.5\n', "line 4 is not CSV"),
        (b"soon,u1,1,DE,.5,.5\n", "line 4 has a 'time' that is not a time"),
        (b",u1,1,DE,.5,.5\n", "line 4 has a 'time' that is missing"),
        (b"2," + b"u" * (MAX_LINE_BYTES + 1) + b",1,DE,.5,.5\n", "line 4 is longer than 16,777,216 bytes"),
        (b"2,u1,1," + b"D" * 200_000 + b",.5,.5\n", "line 4 is not CSV: field larger"),
    ],
)
def test_an_unreadable_line_is_named_or_left_out_and_counted(tmp_path, bad, said):
    benign = write(tmp_path, HEAD + rows(), "benign.csv")
    path = write(tmp_path, (HEAD + rows(2)).encode() + bad + rows(3, start=3).encode())
    with pytest.raises(UnreadableError) as caught:
        events(path, calibration=benign)
    assert caught.value.message.startswith(said)
    assert "--skip-unreadable" in caught.value.hint
    got, tally, _ = events(path, calibration=benign, skip=True)
    assert got.times.tolist() == [0, 1, 3, 4, 5]
    assert got.principals == ("u0", "u1", "u0", "u1", "u2")
    assert tally.skipped == 1
    assert tally.report() == [f"1 events left out as unreadable, first: {tally.first_skipped[0]}"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("[1]", "is not a JSON object"),
        ("{", "is not valid JSON"),
        ('{"x": NaN}', "is not valid JSON"),
        ('{"x": 1, "x": 2}', "has the same key twice|is ambiguous|same key"),
        ('{"a.b": 1, "a": {"b": 2}}', "has 'a.b' twice, once nested"),
        ('{"x": ' + "[" * 50 + "]" * 50 + "}", "nests too deeply"),
        ('{"x": [' + ",".join("0" * 5000) + "]}", "has more than 4,096 values"),
    ],
)
def test_unreadable_json_lines(tmp_path, bad, said):
    path = write(tmp_path, f'{{"time": 0, "x": 1}}\n{bad}\n\n{{"time": 2, "x": 3}}\n', "a.jsonl")
    with pytest.raises(UnreadableError, match=said) as caught:
        list(Recording(str(path)).blocks(Tally()))
    assert "line 2 " in caught.value.message
    tally = Tally()
    (block,) = Recording(str(path), skip=True).blocks(tally)
    assert (list(block.cells["x"]), block.numbers, tally.skipped) == ([1, 3], [1, 4], 1)


def test_different_keys_on_every_line_do_not_fill_the_memory(tmp_path):
    lines = "\n".join(json.dumps({f"k{i}.{j}": 1 for j in range(100)}) for i in range(100))
    with pytest.raises(UnreadableError, match="brings the number of different columns over 4,096"):
        list(Recording(str(write(tmp_path, lines, "a.jsonl"))).blocks(Tally()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        (HEAD, "a.csv holds no events"),
        ("1,2,3\n4,5,6\n", "holds numbers where column names should be"),
        ("a,b,a\n1,2,3\n", "names 'a' twice"),
        (b"\x1f\x8b\x08\x00", "is not UTF-8 text"),
        (b"\xff\xfea\x00", "is not UTF-8 text"),
        ('a,"b\n1,2\n', "the heading, can't be read"),
        (",".join(f"c{i}" for i in range(5000)) + "\n", "more than 4,096 columns"),
    ],
)
def test_files_that_are_no_recordings(tmp_path, text, said):
    with pytest.raises(RecordingError, match=said):
        events(write(tmp_path, text))


def test_missing_and_unknown_formats(tmp_path):
    with pytest.raises(RecordingError, match="can't read"):
        events(tmp_path / "none.csv")
    with pytest.raises(RecordingError, match="no known format"):
        events(write(tmp_path, "x", "a.xlsx"))


def test_a_missing_column_is_an_error_and_a_new_one_is_counted(tmp_path):
    benign = write(tmp_path, HEAD + rows(), "benign.csv")
    with pytest.raises(RecordingError, match="lacks 'amount'"):
        events(write(tmp_path, "time,user,country,prob_a,prob_b\n0,u,DE,.5,.5\n"), calibration=benign)
    path = write(tmp_path, HEAD.replace("time", "time,new") + "0,9,u,1,DE,.5,.5\n1,,u,1,DE,.5,.5\n")
    got, tally, _ = events(path, calibration=benign)
    assert "new" not in got.columns
    assert tally.report() == ["1 values of 'new' not looked at: the calibration has no such column"]


def test_a_key_that_json_lines_leave_out_is_a_missing_value(tmp_path):
    benign = write(tmp_path, HEAD + rows(), "benign.csv")
    path = write(tmp_path, '{"time": 0, "prob_a": 1, "prob_b": 0}\n{"time": 1, "amount": 2}\n', "a.jsonl")
    got, tally, _ = events(path, calibration=benign)
    assert np.isnan(got.columns["amount"]).tolist() == [True, False]
    assert got.columns["country"].tolist() == [None, None]
    assert np.isnan(got.outputs[1]).all()
    assert got.principals == ("", "")
    assert tally.anonymous == 2


def test_labels_become_one_column_a_class(tmp_path):
    text = "time,x,prediction\n" + "".join(
        f"{i},{i * 7 % 31},{'yes' if i % 3 else 'no'}\n" for i in range(40)
    )
    benign = write(tmp_path, text, "benign.csv")
    schema, notes = learnt(Recording(str(benign)))
    assert schema.labels == ("no", "yes")
    assert "outputs: prediction, classes 0 to 1: no, yes" in notes
    path = write(tmp_path, "time,x,prediction\n0,1,yes\n1,1,no\n2,1,maybe\n3,1,\n")
    got, tally, _ = events(path, calibration=benign)
    assert got.outputs[:2].tolist() == [[0, 1], [1, 0]]
    assert np.isnan(got.outputs[2:]).all()
    assert tally.unknown_labels == 1


def test_a_label_beside_scores_is_no_input(tmp_path):
    text = "time,x,prediction,prob_a,prob_b\n" + "".join(f"{i},{i % 7},a,0.5,0.5\n" for i in range(40))
    schema, notes = learnt(Recording(str(write(tmp_path, text))))
    assert (schema.inputs, schema.outputs) == (("x",), ("prob_a", "prob_b"))
    assert "left out: prediction, the outputs say it" in notes


def test_few_whole_numbers_are_classes_and_others_a_value(tmp_path):
    text = "time,x,a,b\n" + "".join(f"{i},1,{i * 7 % 11},{i / 7}\n" for i in range(60))
    recording = Recording(str(write(tmp_path, text)))
    assert learnt(recording, Options(outputs=("a",)))[0].labels == tuple(map(str, range(11)))
    assert learnt(recording, Options(outputs=("b",)))[0].labels == ()
    got, _, _ = events(write(tmp_path, text), options=Options(outputs=("b",)))
    assert got.outputs.shape == (60, 1)


def test_roles_by_option_by_name_and_none(tmp_path):
    text = "ts,acct,Timestamp,user,net,id,x,trusted\n0,a,5,b,n1,i1,1,yes\n1,a,5,b,n2,i2,2,0\n"
    path = write(tmp_path, text)
    got, _, _ = events(
        path, options=Options(time="ts", principal="acct", groups=("net",), ignore=("Timestamp", "user"))
    )
    assert got.times.tolist() == [0, 1]
    assert got.principals == ("a", "a")
    assert got.groups == {"net": ("n1", "n2")}
    assert got.ids == ("i1", "i2")
    assert got.trusted.tolist() == [True, False]
    assert list(got.columns) == ["x"]
    got, _, _ = events(path, options=Options(principal="-", trusted="-"))
    assert got.times.tolist() == [5, 5]
    assert (got.principals, got.trusted) == ((), None)


@pytest.mark.parametrize(
    "options", [Options(outputs=("p",)), Options(ignore=("p",)), Options(categorical=("p",))]
)
def test_a_named_column_must_exist(tmp_path, options):
    with pytest.raises(RecordingError, match="has no column 'p'"):
        events(write(tmp_path, HEAD + rows()), options=options)


def test_a_named_role_must_exist_in_the_watched_recording_only(tmp_path):
    benign = write(tmp_path, "time,x\n0,1\n1,2\n2,1\n", "benign.csv")
    options = Options(principal="who", trusted="ok", groups=("net",))
    got, _, _ = events(write(tmp_path, "time,x,who,ok,net\n0,1,a,1,n\n"), calibration=benign, options=options)
    assert (got.principals, got.trusted.tolist(), got.groups) == (("a",), [True], {"net": ("n",)})
    with pytest.raises(RecordingError, match="has no column 'who'"):
        events(benign, options=options)


def test_trust_is_never_guessed(tmp_path):
    assert [truth(c) for c in (1, 1.0, True, "true", "1.0")] == [True] * 5
    assert [truth(c) for c in (0, "NO", "", None, float("nan"))] == [False] * 5
    assert [truth(c) for c in (2, "perhaps", "y" * 100, [])] == [None] * 4
    path = write(tmp_path, "time,trusted,x\n0,1,1\n1,perhaps,2\n2,0,1\n")
    with pytest.raises(UnreadableError, match="line 3 has a 'trusted' that is neither true nor false"):
        events(path)
    got, tally, _ = events(path, skip=True)
    assert (got.times.tolist(), got.trusted.tolist(), tally.skipped) == ([0, 2], [True, False], 1)


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(tmp_path):
    got, _, _ = events(write(tmp_path, 'time,user,x\n0,"a, ""b""\nc",1\n1, d ,2\n2,d,1\n'))
    assert got.principals == ('a, "b"\nc', "d", "d")


def test_an_index_column_without_a_name_is_no_input(tmp_path):
    got, _, _ = events(write(tmp_path, ",time,x\n0,0,3\n1,1,2\n2,2,3\n"))
    assert list(got.columns) == ["x"]


def test_a_long_line_is_dropped_while_it_is_read():
    class Endless:
        left = 200

        def read1(self, size):
            self.left -= 1
            return b"x" * 2**18 if self.left > 0 else (b"\nnext" if self.left == 0 else b"")

    lines = Lines(Endless())
    with pytest.raises(UnreadableError):
        next(lines)
    assert list(lines) == ["next"]


def test_events_of_nothing_can_not_be_joined():
    with pytest.raises(RecordingError):
        joined([])


def parquet(tmp_path, columns, name="a.parquet"):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    path = tmp_path / name
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_and_csv_agree(tmp_path):
    plain, _, _ = events(write(tmp_path, HEAD + rows()))
    path = parquet(
        tmp_path,
        {
            "time": [datetime.datetime(1970, 1, 1, 0, 0, i, tzinfo=datetime.UTC) for i in range(40)],
            "user": [f"u{i % 3}" for i in range(40)],
            "amount": [i * 7 % 31 + 0.5 for i in range(40)],
            "country": ["DE" if i % 2 else "FR" for i in range(40)],
            "outputs": [[0.25, 0.75]] * 40,
            "__index_level_0__": list(range(40)),
        },
    )
    for block in (7, 8192):
        got, _, _ = events(path, block=block)
        assert got.times.tolist() == plain.times.tolist()
        assert got.principals == plain.principals
        assert got.outputs.tolist() == plain.outputs.tolist()
        assert {n: c.tolist() for n, c in got.columns.items()} == {
            n: c.tolist() for n, c in plain.columns.items()
        }


def test_parquet_names_rows_and_refuses_what_is_none(tmp_path):
    path = parquet(tmp_path, {"time": [2.0, 1.0], "x": [1, None]})
    with pytest.raises(RecordingError, match="row 2 is earlier"):
        events(path)
    with pytest.raises(RecordingError, match="can't be read as Parquet"):
        events(write(tmp_path, "PAR1 or not", "b.parquet"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordingError) as caught:
        events(write(tmp_path, "PAR1", "a.parquet"))
    assert caught.value.hint == "pip install 'bartizan[parquet]'"
