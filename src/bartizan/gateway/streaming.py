"""Judges a streamed answer as it flows, holding back as little as it can. No I/O.

A chunk is released once everything in it has been judged up to a *boundary*: white space or
a non-ASCII character, which no secret and no URL reaches across. The detectors of answers
score a prefix at most as high as the whole, so the statistic only grows along the stream,
and stopping when it crosses the threshold raises no more false alarms than judging the whole
answer at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bartizan.features.digest import digest_text
from bartizan.gateway.enforce import redacted, spans
from bartizan.pipeline import opaque_parts
from bartizan.ports import Chunk, StreamReader
from bartizan.types import Effect, Finding, Mode, Origin, Part, PartKind, Verdict

WINDOW = 1024
"""Characters of released text that are looked at again together with new text."""

MAX_HOLD = 4096
"""Characters held back for want of a boundary; beyond, they are judged and released as they are."""

MAX_TEXT = 4 * 2**20
"""Characters of one answer kept for the final judgement; an answer beyond that is cut off."""

_KINDS = {"text": PartKind.TEXT, "tool-call": PartKind.TOOL_CALL}


@dataclass(slots=True)
class _Track:
    """One growing text of an answer.

    The whole is kept in pieces; only its tail, from ``WINDOW`` before ``judged`` on, is kept
    joined, so that the work per chunk does not grow with the answer.
    """

    path: str
    kind: PartKind
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    judged: int = 0
    tail: str = ""
    tail_start: int = 0

    def add(self, text: str) -> None:
        """Append a delta."""
        self.pieces.append(text)
        self.length += len(text)
        self.tail += text

    def settle(self, upto: int) -> None:
        """Note that everything before ``upto`` is judged."""
        self.judged = upto
        drop = upto - WINDOW - self.tail_start
        if drop > WINDOW:
            self.tail = self.tail[drop:]
            self.tail_start += drop

    def boundary(self) -> int:
        """Return how far the text can be judged: past its last white space or non-ASCII character."""
        tail, fresh = self.tail, self.judged - self.tail_start
        if len(tail) - fresh > MAX_HOLD:
            return self.length
        for index in range(len(tail) - 1, fresh - 1, -1):
            if tail[index].isspace() or tail[index] > "\x7f":
                return self.tail_start + index + 1
        return self.judged


class StreamJudge:
    """Takes chunks, gives bytes to release.

    Args:
        reader: The protocol's reader, which rewrites and cuts.
        judge: Judges parts of the answer inline (the cheap detectors) and returns the verdict.
        mode: Under ``observe`` nothing is held back.
        record_id: Named to the client if the answer is cut.
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
        self._tracks: dict[str, _Track] = {}
        self._held: list[Chunk] = []
        self._starts: list[dict[str, int]] = []
        self._redactions: dict[str, list[tuple[int, int]]] = {}
        self._opaque: dict[tuple[str, str], None] = {}
        self._chars = 0
        self.cut = False
        self.stopped_by: Verdict | None = None
        self.redacted_by: Verdict | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the upstream, return bytes for the client."""
        return self._take(self._reader.receive_data(data))

    def close(self) -> bytes:
        """The upstream has ended: judge and release what is left."""
        out = self._take(self._reader.end_of_stream())
        return out + (self._settle(final=True) if self._enforce and not self.cut else b"")

    def parts(self) -> tuple[Part, ...]:
        """Return the whole answer so far."""
        made = tuple(self._part(t, "".join(t.pieces)) for t in self._tracks.values() if t.length)
        return made + opaque_parts(tuple(self._opaque))

    def _take(self, chunks: Sequence[Chunk]) -> bytes:
        if self.cut or not chunks:
            return b""
        final = False
        for chunk in chunks:
            self._note(chunk)
            final = final or chunk.final
        if not self._enforce:
            held, self._held, self._starts = self._held, [], []
            return b"".join(c.raw for c in held)
        if any(c.opaque for c in chunks):
            verdict = self._judge(opaque_parts(tuple(self._opaque)))
            if verdict.effect >= Effect.HOLD:
                return self._cut(verdict)
        return self._settle(final=final)

    def _note(self, chunk: Chunk) -> None:
        starts: dict[str, int] = {}
        for path, kind, text in chunk.deltas:
            track = self._tracks.get(path)
            if track is None:
                track = self._tracks[path] = _Track(path, _KINDS[kind])
            starts.setdefault(path, track.length)
            track.add(text)
            self._chars += len(text)
        for what in chunk.opaque:
            self._opaque[what] = None
        self._held.append(chunk)
        self._starts.append(starts)

    def _settle(self, *, final: bool) -> bytes:
        """Judge what can be judged and release the chunks that are wholly judged."""
        if self._chars > MAX_TEXT:
            return self._cut(None)
        for track in self._tracks.values():
            upto = track.length if final else track.boundary()
            if upto > track.judged:
                verdict = self._look(track, upto)
                if verdict.effect >= Effect.HOLD:
                    return self._cut(verdict)
                track.settle(upto)
        return self._release()

    def _look(self, track: _Track, upto: int) -> Verdict:
        begin = max(track.tail_start, track.judged - WINDOW)
        window = track.tail[begin - track.tail_start : upto - track.tail_start]
        verdict = self._judge((self._part(track, window),))
        if verdict.effect is Effect.REDACT:
            self.redacted_by = verdict
            found = [f for f in verdict.findings if f.effect is Effect.REDACT]
            self._redactions.setdefault(track.path, []).extend(_shifted(found, track, begin))
        return verdict

    def _release(self) -> bytes:
        count = 0
        for chunk, starts in zip(self._held, self._starts, strict=True):
            if any(
                self._end(chunk, path, start) > self._tracks[path].judged for path, start in starts.items()
            ):
                break
            count += 1
        out = b"".join(
            self._written(chunk, starts)
            for chunk, starts in zip(self._held[:count], self._starts[:count], strict=True)
        )
        del self._held[:count], self._starts[:count]
        return out

    def _end(self, chunk: Chunk, path: str, start: int) -> int:
        return start + sum(len(text) for p, _, text in chunk.deltas if p == path)

    def _written(self, chunk: Chunk, starts: dict[str, int]) -> bytes:
        for path, start in starts.items():
            where = self._redactions.get(path)
            if not where:
                continue
            text = "".join(t for p, _, t in chunk.deltas if p == path)
            clean = redacted(text, _merged(where), start)
            if clean != text:
                return self._reader.rewritten(chunk, path, clean)
        return chunk.raw

    def _cut(self, verdict: Verdict | None) -> bytes:
        self.cut = True
        self.stopped_by = verdict
        self._held.clear()
        self._starts.clear()
        return self._reader.cut(self._record_id, "stopped by policy")

    def _part(self, track: _Track, text: str) -> Part:
        return Part(
            track.kind,
            Origin.MODEL,
            path=track.path,
            text=text,
            digest=digest_text(track.kind, Origin.MODEL, "", text),
        )


def _shifted(findings: Sequence[Finding], track: _Track, begin: int) -> list[tuple[int, int]]:
    where = spans(findings, track.path)
    if where == [(0, -1)]:
        return [(begin, track.length)]
    return [(start + begin, end + begin) for start, end in where]


def _merged(where: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(where):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out
