"""What judging a streamed answer costs: text held back, the wait for the first text, CPU an event.

    python -m benchmarks.text.streams [--json] [--rounds 20]

Each text goes through the judge of streams as Chat Completions deltas of about four characters, once
enforced and once observed (nothing held back) in the same run, in turn. Held back is what the client does
not have after an event that the upstream has sent, in characters of text and in bytes of events; "first"
is how many further events must come before the client has anything of the text. At 50 events a second
each stands for 20 ms.
"""

from __future__ import annotations

import argparse
import base64
import json
import time

import numpy as np

from bartizan.assembly import generic_table
from bartizan.detectors.text.exfiltration import Exfiltration
from bartizan.detectors.text.leak import Leak
from bartizan.detectors.text.secrets import Secrets
from bartizan.gateway.streaming import StreamJudge
from bartizan.pipeline import Pipeline
from bartizan.policy.decide import Policy
from bartizan.ports import ParsedRequest
from bartizan.protocols.openai_chat import OpenAIChat
from bartizan.types import Interaction, Mode, Part, Principal, Step, Verdict

SEED = 20_261_127
SIZE = 4_000
DELTA = 4
PROSE = (
    "The committee met on Tuesday to discuss the new library. Construction is expected to start in spring, "
    "and the costs are shared by the town and the county. Residents asked about parking and opening hours. "
)
CODE = (
    "def total(rows: list[Row], *, rate: float = 0.19) -> float:\n"
    '    """Return the sum of all rows."""\n'
    "    return sum(row.price * (1 + rate) for row in rows if row.kind != Kind.FREE)\n\n"
)
CJK = "委员会于周二开会讨论新图书馆的建设预计将于春季开工费用由镇和县共同承担居民询问停车和开放时间"
NUMBERS = "12, 48, 7, 1031, 22, 96, 5, 60, 118, 45, 37, 81, "


def texts() -> dict[str, tuple[str, bool]]:
    """Return texts by name, and whether each is the arguments of a tool call."""
    rng = np.random.default_rng(SEED)
    entry = {"title": "Minutes of the meeting", "done": False, "note": PROSE, "n": 12}
    return {
        "prose": (PROSE * 40, False),
        "list": ("- Parking and opening hours\n- Costs are shared by the town\n" * 90, False),
        "code": (CODE * 30, False),
        "numbers": (NUMBERS * 100, False),
        "arguments": (json.dumps([entry] * 20, indent=1), True),
        "arguments, no spaces": (json.dumps([{"k": "v" * 9, "n": 1}] * 300, separators=(",", ":")), True),
        "base64": (base64.b64encode(rng.bytes(SIZE)).decode(), False),
        "CJK": (CJK * 90, False),
    }


def event(text: str, call: bool) -> bytes:
    delta = {"tool_calls": [{"index": 0, "function": {"arguments": text}}]} if call else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def judge(mode: Mode) -> StreamJudge:
    pipeline = Pipeline(
        [Secrets(), Exfiltration(), Leak()], Policy(mode=mode), generic_table(), rate=0.001, deadline_ms=1e6
    )

    def look(parts: tuple[Part, ...]) -> Verdict:
        return pipeline.glance(Interaction("i", "s", Step.RESPONSE, Principal("p", "address"), parts))

    reader = OpenAIChat().open_stream(ParsedRequest(()))
    return StreamJudge(reader, look, mode=mode, record_id="bz-1")


def played(events: list[bytes], sizes: list[int], mode: Mode) -> dict[str, list[float]]:
    """Play one stream; return what was held after each event, and CPU microseconds of each."""
    made = judge(mode)
    ends = np.cumsum([len(e) for e in events])
    chars = np.concatenate([[0], np.cumsum(sizes)])
    out = 0
    held: dict[str, list[float]] = {"characters": [], "bytes": [], "us": [], "first": []}
    for index, data in enumerate(events):
        began = time.process_time_ns()
        out += len(made.feed(data))
        held["us"].append((time.process_time_ns() - began) / 1e3)
        passed = int(np.searchsorted(ends, out, side="right"))
        held["bytes"].append(float(ends[index] - out))
        held["characters"].append(float(chars[index + 1] - chars[passed]))
        if out and not held["first"]:
            held["first"].append(float(index))
    made.close()
    held["first"] = held["first"] or [float(len(events))]
    return held


def measured(text: str, call: bool, rounds: int) -> dict[str, float]:
    text = text[:SIZE]
    pieces = [text[a : a + DELTA] for a in range(0, len(text), DELTA)]
    events, sizes = [event(p, call) for p in pieces], [len(p) for p in pieces]
    cost: dict[Mode, list[float]] = {Mode.ENFORCE: [], Mode.OBSERVE: []}
    for _ in range(rounds):
        for mode in cost:
            held = played(events, sizes, mode)
            cost[mode].append(float(np.mean(held["us"])))
            if mode is Mode.ENFORCE:
                kept = held
    figures = {}
    for what in ("characters", "bytes"):
        figures[f"{what}_mean"] = float(np.mean(kept[what]))
        figures[f"{what}_p99"] = float(np.quantile(kept[what], 0.99))
        figures[f"{what}_max"] = float(np.max(kept[what]))
    enforced, observed = (float(np.median(cost[m])) for m in (Mode.ENFORCE, Mode.OBSERVE))
    return figures | {
        "first_events": kept["first"][0],
        "us_per_event": enforced,
        "us_per_event_observed": observed,
        "ratio": enforced / observed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text.streams", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    rows = {name: measured(*given, args.rounds) for name, given in texts().items()}
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    print(
        f"{'text':22}{'held chars mean/p99/max':>26}{'bytes mean':>12}{'first':>7}{'us/event':>10}{'observed':>10}"
    )
    for name, row in rows.items():
        held = f"{row['characters_mean']:.1f}/{row['characters_p99']:.0f}/{row['characters_max']:.0f}"
        print(
            f"{name:22}{held:>26}{row['bytes_mean']:12.0f}{row['first_events']:7.0f}"
            f"{row['us_per_event']:10.0f}{row['us_per_event_observed']:10.0f}"
        )


if __name__ == "__main__":
    main()
