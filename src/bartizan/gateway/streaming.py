"""Judges a streamed answer as it flows, holding back as little as it can. No I/O.

A chunk is released once everything in it has been judged; :mod:`bartizan.gateway.growing`
says how far that is possible. The detectors of answers score a prefix at most as high as the
whole, so the statistic only grows along the stream, and stopping when it crosses the threshold
raises no more false alarms than judging the whole answer at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bartizan.features.digest import digest_text
from bartizan.gateway.enforce import merged, redacted, spans
from bartizan.gateway.growing import Growing
from bartizan.gateway.reaching import begins
from bartizan.pipeline import opaque_parts
from bartizan.ports import Chunk, StreamReader
from bartizan.types import Effect, Mode, Origin, Part, PartKind, Verdict

MAX_TEXT = 4 * 2**20
"""Characters of one answer kept for judgement. What goes on beyond is cut off, or unjudged."""

TURN = 64
"""Characters after which an answer that went on with another text is done with the one before."""

MAX_TURN = 4096
"""The same where the other text belongs to another choice, which may well take turns."""

_KINDS = {"text": PartKind.TEXT, "tool-call": PartKind.TOOL_CALL}
_BEYOND = ("", f"the answer beyond {MAX_TEXT:,} characters")


class StreamJudge:
    """Takes chunks, gives bytes to release.

    Args:
        reader: The protocol's reader, which rewrites and cuts.
        judge: Judges parts of the answer inline (the cheap detectors) and returns the verdict.
        mode: Under ``observe`` nothing is held back.
        record_id: Named to the client if the answer is cut.

    Guarantees:
        The client's text after redaction depends on the answer's text, not on how it was split.
    """

    def __init__(
        self,
        reader: StreamReader,
        judge: Callable[[tuple[Part, ...]], Verdict],
        *,
        mode: Mode,
        record_id: str,
    ) -> None:
        self._reader = reader
        self._judge = judge
        self._enforce = mode is Mode.ENFORCE
        self._record_id = record_id
        self._texts: dict[str, Growing] = {}
        self._waiting: dict[str, Growing] = {}
        self._marks: dict[str, tuple[int, int]] = {}
        self._choices: dict[str, int] = {}
        self._held: list[Chunk] = []
        self._starts: list[dict[str, int]] = []
        self._redactions: dict[str, list[tuple[int, int]]] = {}
        self._quoted: dict[str, set[int]] = {}
        self._opaque: dict[tuple[str, str], None] = {}
        self._complete: set[str] = set()
        self._chars = 0
        self.cut = False
        self.overlong = False
        self.stopped_by: Verdict | None = None
        self.redacted_by: Verdict | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the upstream, return bytes for the client."""
        # Line by line, so that the reader has read no further than what is judged when it cuts.
        lines = data.splitlines(keepends=True) if self._enforce else (data,)
        return b"".join([self._take(self._reader.receive_data(line)) for line in lines])

    def close(self) -> bytes:
        """The upstream has ended: judge and release what is left."""
        return self._take(self._reader.end_of_stream()) + self.release()

    def release(self) -> bytes:
        """Judge and release every whole event; an unfinished one is dropped, as clients would."""
        return self._settle(final=True) if self._enforce and not self.cut else b""

    def parts(self) -> tuple[Part, ...]:
        """Return the whole answer so far."""
        made = tuple(_part(t, "".join(t.pieces)) for t in self._texts.values() if t.length)
        return made + opaque_parts(tuple(self._opaque))

    def _take(self, chunks: Sequence[Chunk]) -> bytes:
        """Judge chunk by chunk: what of an answer passes must not depend on how its bytes came."""
        return b"".join([self._take_run((chunk,)) for chunk in chunks])

    def _take_run(self, chunks: Sequence[Chunk]) -> bytes:
        if self.cut:
            return b""
        final = False
        for chunk in chunks:
            self._note(chunk)
            final = final or chunk.final
        if not self._enforce:
            return self._passed()
        if any(c.opaque for c in chunks):
            verdict = self._judge(opaque_parts(tuple(self._opaque)))
            if verdict.effect >= Effect.HOLD:
                return self._cut(verdict)
        # The end of one choice of several says nothing about the others.
        return self._settle(final=final and len(self._choices) <= 1)

    def _passed(self) -> bytes:
        """Release everything; what is kept for the last judgement needs no window."""
        for growing in self._waiting.values():
            growing.settle(growing.length)
        self._waiting.clear()
        held, self._held, self._starts = self._held, [], []
        return b"".join(c.raw for c in held)

    def _note(self, chunk: Chunk) -> None:
        starts: dict[str, int] = {}
        for path, kind, text in chunk.deltas:
            if self._chars > MAX_TEXT and not self._enforce:
                self._opaque[_BEYOND] = None
                break
            growing = self._texts.get(path)
            if growing is None:
                growing = self._texts[path] = Growing(path, _KINDS[kind])
            starts.setdefault(path, growing.length)
            self._complete.discard(path)
            growing.add(text)
            self._chars += len(text)
            choice = _choice(path)
            self._choices[choice] = self._choices.get(choice, 0) + len(text)
        for path in starts:
            self._waiting[path] = self._texts[path]
            self._marks[path] = (self._chars, self._choices[_choice(path)])
        if chunk.ends:
            self._complete.update(path for path, _ in chunk.whole)
        for what in chunk.opaque:
            self._opaque[what] = None
        self._held.append(chunk)
        self._starts.append(starts)

    def _turned(self, path: str) -> bool:
        """Whether the answer has gone on elsewhere since a text last grew."""
        chars, in_choice = self._marks[path]
        return self._choices[_choice(path)] - in_choice > TURN or self._chars - chars > MAX_TURN

    def _settle(self, *, final: bool) -> bytes:
        """Judge what can be judged and release the chunks that are wholly judged."""
        if self._chars > MAX_TEXT:
            self.overlong = True
            return self._cut(None)
        for path, growing in list(self._waiting.items()):
            whole = final or path in self._complete or self._turned(path)
            look, upto = (growing.length, growing.length) if whole else growing.ready()
            if upto > growing.judged:
                verdict = self._look(growing, look)
                if verdict.effect >= Effect.HOLD:
                    return self._cut(verdict)
                growing.settle(upto)
            if growing.overlong():
                self.overlong = True
                return self._cut(None)
            if growing.judged == growing.length:
                del self._waiting[path]
        return self._release()

    def _look(self, growing: Growing, upto: int) -> Verdict:
        begin, window = growing.window(upto)
        verdict = self._judge((_part(growing, window),))
        if verdict.effect is Effect.REDACT:
            found = spans([f for f in verdict.findings if f.effect is Effect.REDACT], growing.path, window)
            gone = self._released(growing)
            known = self._redactions.get(growing.path, [])
            places = [(begins(window, a) + begin, b + begin) for a, b in found if b + begin > gone]
            if growing.arguments is not None:
                places, quoted = growing.arguments.apart(places)
                self._quoted.setdefault(growing.path, set()).update(quoted)
                gone = growing.arguments.after(gone)
            # What is gone can't be taken back; the notice stands where the removal begins.
            fresh = [(max(start, gone), end) for start, end in places if end > gone]
            if fresh:
                self.redacted_by = verdict
                self._redactions[growing.path] = merged([*known, *fresh])
        return verdict

    def _released(self, growing: Growing) -> int:
        """Return how much of a text the client has already."""
        return next((s[growing.path] for s in self._starts if growing.path in s), growing.length)

    def _release(self) -> bytes:
        out: list[bytes] = []
        for chunk, starts in zip(self._held, self._starts, strict=True):
            ends = [(path, _end(chunk, path, start)) for path, start in starts.items()]
            ends += [(path, len(text)) for path, text in chunk.whole]
            if any(end > self._texts[path].judged for path, end in ends):
                break
            out.append(self._written(chunk, starts))
        del self._held[: len(out)], self._starts[: len(out)]
        return b"".join(out)

    def _written(self, chunk: Chunk, starts: dict[str, int]) -> bytes:
        stated = dict(chunk.whole)
        for path, start in (starts | dict.fromkeys(stated, 0)).items():
            where = self._redactions.get(path)
            if where:
                text = stated.get(path) or _text(chunk, path)
                clean = redacted(text, where, start, quoted=self._quoted.get(path, ()))
                if clean != text:
                    chunk = replace(chunk, raw=self._reader.rewritten(chunk, path, clean))
        return chunk.raw

    def _cut(self, verdict: Verdict | None) -> bytes:
        self.cut = True
        self.stopped_by = verdict
        self._held.clear()
        self._starts.clear()
        return self._reader.cut(self._record_id, "stopped by policy")


def _choice(path: str) -> str:
    """Return the alternative that a text belongs to: the first two tokens of its pointer, or the only one."""
    return "/".join(path.split("/", 3)[:3]) if path.startswith("/choices/") else ""


def _text(chunk: Chunk, path: str) -> str:
    return "".join(text for p, _, text in chunk.deltas if p == path)


def _end(chunk: Chunk, path: str, start: int) -> int:
    return start + len(_text(chunk, path))


def _part(growing: Growing, text: str) -> Part:
    return Part(
        growing.kind,
        Origin.MODEL,
        path=growing.path,
        text=text,
        digest=digest_text(growing.kind, Origin.MODEL, "", text),
    )
