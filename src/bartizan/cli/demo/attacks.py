"""Everything the demo attacks with, and the honest traffic beside it, in one place."""

from bartizan.cli.demo.benign_texts import BENIGN
from bartizan.cli.demo.row_attacks import RowAttack, adversarial_attacks, foreign_rows
from bartizan.cli.demo.text_attacks import ATTACKS, TextSample

__all__ = ["ATTACKS", "BENIGN", "RowAttack", "TextSample", "adversarial_attacks", "foreign_rows"]
