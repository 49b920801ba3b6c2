"""What is asked and what is answered: about 1.2 KB of chat request, 2 KB of answer, 50 chunks of stream.

Neither a request nor an answer ever repeats while things are measured (each carries a running
number), because the gateway judges the same text only once. The ``cached`` peer is asked one
text over and over instead, to show what that is worth.
"""

from __future__ import annotations

import json
from pathlib import Path

POOL = 2_000
"""Distinct questions; with the running number, no two requests are the same."""
MARK = "0000000000"
"""Where the running number goes; of fixed width, so that the length of a request stays the same."""
CHUNKS = 50
ANSWER_BYTES = 2_048

_SYSTEM = (
    "You help the staff of a public library. Answer in plain English, in at most five sentences. "
    "Say so when you do not know. Opening hours: Monday to Friday from nine to seven, Saturday from ten "
    "to four. Loans run for four weeks and may be renewed twice unless somebody else has asked for the item. "
    "Reservations are kept for ten days. Inter-library loans take one to three weeks, depending on the lender, "
    "and are collected at the main desk. Be kind to people who are late: the fee is small and the shelf is patient."
)
_PEOPLE = ("a student", "a teacher", "a retired engineer", "a parent", "a visitor", "a volunteer", "a journalist",
           "a nurse")  # fmt: skip
_THINGS = ("a map of the old harbour", "the county almanac", "a film about bees", "a score for string quartet",
           "a book on bread", "an atlas of rivers", "a set of letters", "the town's first newspaper",
           "a guide to mosses", "a history of bridges")  # fmt: skip
_WANTS = ("would like to know when it is due", "asks whether it can be renewed", "wants a copy of one chapter",
          "found a page missing", "needs it for a class next week")  # fmt: skip
_PLACES = (
    "the reading room",
    "the main desk",
    "the branch by the station",
    "the archive",
    "the return shelf",
)
_TAIL = (
    "Please write a short and friendly reply that I can read out at the desk. Mention what the person should "
    "bring, how long it usually takes, and whom to ask if something goes wrong. If there is a fee, say how it is "
    "worked out. Do not promise anything that depends on another branch. Afterwards list the two steps that I "
    "should note in our daybook, each on a line of its own, with the time they usually take."
)
_ANSWER = (
    "Thank you for asking. The item is in the catalogue and can be renewed at the desk as long as nobody else has "
    "asked for it. Please bring the library card and something with your address on it. "
)


def question(index: int) -> str:
    """Return one of ``POOL`` questions."""
    person, index = _PEOPLE[index % len(_PEOPLE)], index // len(_PEOPLE)
    thing, index = _THINGS[index % len(_THINGS)], index // len(_THINGS)
    want, index = _WANTS[index % len(_WANTS)], index // len(_WANTS)
    place = _PLACES[index % len(_PLACES)]
    return f"Query number {MARK}: at {place} {person} asked for {thing} and {want}. {_TAIL}"


def request_body(index: int, *, stream: bool) -> str:
    """Return a chat request as JSON, with ``MARK`` where the running number goes."""
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": question(index)}]
    asked = {"model": "bench-model", "messages": messages, "temperature": 0.2, "max_tokens": 400}
    return json.dumps(asked | ({"stream": True} if stream else {}))


def answer_body(mark: str) -> str:
    """Return a whole answer of ``ANSWER_BYTES``, give or take the length of ``mark``."""

    def made(content: str) -> str:
        message = {"role": "assistant", "content": content, "refusal": None}
        usage = {"prompt_tokens": 250, "completion_tokens": 400, "total_tokens": 650}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return json.dumps(
            {"id": f"chatcmpl-{mark}", "object": "chat.completion", "created": 1_700_000_000,
             "model": "bench-model", "choices": [choice], "usage": usage}
        )  # fmt: skip

    lead = f"Reply {mark}. "
    room = ANSWER_BYTES - len(made(lead))
    return made(lead + (_ANSWER * (room // len(_ANSWER) + 1))[:room])


def stream_events(mark: str) -> list[bytes]:
    """Return a streamed answer: ``CHUNKS`` deltas of about four words, the finish and the end."""
    words = (f"Reply {mark}. " + _ANSWER * 10).split(" ")
    head = {"id": f"chatcmpl-{mark}", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "bench-model"}  # fmt: skip
    events = []
    for index in range(CHUNKS):
        text = " ".join(words[4 * index : 4 * index + 4]) + " "
        choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
        events.append(head | {"choices": [choice]})
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    events.append(head | {"choices": [last]})
    return [b"data: " + json.dumps(e).encode() + b"\n\n" for e in events] + [b"data: [DONE]\n\n"]


def write_script(path: Path, *, repeat: bool) -> None:
    """Write the Lua script for ``wrk``.

    Args:
        path: Where to.
        repeat: Always ask the same, so that everything is remembered from before.
    """
    bodies = [request_body(i, stream=False) for i in range(1 if repeat else POOL)]
    cut = [b.partition(MARK) for b in bodies]
    data = ",\n".join(f"{{[==[{a}]==], [==[{c}]==]}}" for a, _, c in cut)
    path.write_text(_SCRIPT.replace("@DATA@", data).replace("@REPEAT@", str(repeat).lower()))


_SCRIPT = """\
local data = {@DATA@}
local heads, tails, at, number = {}, {}, 0, 0
function init(args)
  number = tonumber(args[1])
  wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
  wrk.headers["Authorization"] = "Bearer sk-bench"
  for i, pair in ipairs(data) do
    local made = wrk.format(nil, nil, nil, pair[1] .. "0000000000" .. pair[2])
    heads[i] = made:sub(1, #made - #pair[2] - 10)
    tails[i] = pair[2]
  end
end
function request()
  at = at % #heads + 1
  if not @REPEAT@ then number = number + 1 end
  return heads[at] .. string.format("%010d", number) .. tails[at]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    "RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.connect + e.read + e.write + e.timeout + e.status))
end
"""
