import random

import pytest

from bartizan.features import checksums, identity

SAMPLES = {
    "Luhn": (checksums.luhn, "4539148803436467"),
    "Verhoeff": (checksums.verhoeff, "234123412346"),
    "MOD 11,10": (checksums.mod_11_10, "36574261809"),
    "NHS": (identity._nhs, "9434765870"),
    "BSN": (identity._netherlands, "111222333"),
    "PESEL": (identity._poland, "44051401359"),
    "CPF": (identity._brazil, "52998224725"),
    "TFN": (identity._australia, "123456782"),
    "NIR": (identity._france, "184127645108946"),
}


@pytest.mark.parametrize(("valid", "number"), SAMPLES.values(), ids=SAMPLES.keys())
def test_one_wrong_digit_is_noticed(valid, number):
    assert valid(number)
    for i, digit in enumerate(number):
        for other in "0123456789".replace(digit, ""):
            assert not valid(number[:i] + other + number[i + 1 :])


def test_wrong_account_numbers_are_noticed():
    account = "DE02120300000000202051"
    assert checksums.iban(account)
    swapped = account[:4] + account[5] + account[4] + account[6:]
    assert not checksums.iban(swapped)
    assert not checksums.iban(account + "0")
    assert not checksums.iban("XX" + account[2:])


def test_a_random_number_passes_as_seldom_as_its_check_promises():
    drawn = random.Random(5)
    passed = sum(checksums.luhn("".join(drawn.choices("0123456789", k=16))) for _ in range(4_000))
    assert abs(passed - 400) < 100


def test_calling_codes_begin_no_other_calling_code():
    codes = identity._ONE | identity._TWO | identity._THREE
    assert not [(a, b) for a in codes for b in codes if a != b and b.startswith(a)]
