from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bartizan.store.frames import MAX_ENTRY_BYTES
from bartizan.store.records import (
    CONTROL_PREFIX,
    Key,
    Pruned,
    Recovered,
    Unwritable,
    decode_control,
    decode_record,
    encode_control,
    encode_record,
    entry_time,
)
from bartizan.types import Measured


def with_content(record, content):
    step = record.steps[0]
    return replace(record, steps=(replace(step, parts=(replace(step.parts[0], content=content),)),))


def test_records_come_back(make_record):
    for number in range(20):
        record = make_record(number)
        assert decode_record(encode_record(record)) == record
        assert entry_time(encode_record(record)) == record.time


def test_bytes_do_not_depend_on_the_order_of_dictionaries(make_record):
    def entry(maxima):
        record = make_record(1)
        verdict = replace(record.steps[0].verdict, measured=Measured("user", 1, maxima))
        return encode_record(replace(record, steps=(replace(record.steps[0], verdict=verdict),)))

    assert entry({"a": 1.0, "b": 2.0}) == entry({"b": 2.0, "a": 1.0})


@given(st.text(), st.text())
def test_any_text_can_be_written(make_record, model: str, note: str):
    entry = encode_record(make_record(1, model=model, note=note))
    assert not any(byte < 0x20 for byte in entry)  # frames rely on it
    assert decode_record(entry).model == model


def test_text_that_utf8_cannot_carry_is_escaped(make_record):
    record = decode_record(encode_record(make_record(1, model="a\ud800b")))
    assert record.model == "a\\ud800b"


def test_scalars_of_arrays_are_plain_numbers(make_record):
    record = make_record(1, p_value=np.float64(0.25), status=np.int64(200))
    assert decode_record(encode_record(record)).p_value == 0.25


def test_content_that_is_not_json_leaves_a_trace(make_record):
    control = decode_control(encode_record(with_content(make_record(1), object())))
    assert isinstance(control, Unwritable)
    assert control.id == "r000001"


def test_content_too_large_for_the_ledger_is_left_out(make_record):
    record = decode_record(encode_record(with_content(make_record(1), "x" * MAX_ENTRY_BYTES)))
    assert record.steps[0].parts[0].content is None
    assert "too large" in record.note


def test_a_record_that_is_too_large_anyway_leaves_a_trace(make_record):
    control = decode_control(encode_record(make_record(1, note="x" * MAX_ENTRY_BYTES)))
    assert isinstance(control, Unwritable)


@pytest.mark.parametrize(
    "control", [Recovered(1.0, 7), Pruned(1.0, 7), Key(1.0, "k"), Unwritable(1.0, "r1", "TypeError")]
)
def test_control_entries_come_back(control):
    entry = encode_control(control)
    assert entry.startswith(CONTROL_PREFIX)
    assert decode_control(entry) == control
    assert entry_time(entry) == 1.0


def test_records_and_control_entries_are_told_apart(make_record):
    assert not encode_record(make_record(1, id='"type":')).startswith(CONTROL_PREFIX)
    with pytest.raises(msgspec.ValidationError):
        decode_record(encode_control(Pruned(1.0, 7)))
