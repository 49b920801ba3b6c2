"""The load: ``wrk`` for whole answers, an asyncio client for streams.

Run as ``python -m benchmarks.latency.load PORT CONNECTIONS SECONDS FIRST_NUMBER`` to read streams; prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.latency.process import LOAD_CORE, pinned
from benchmarks.latency.workload import MARK, POOL, request_body

PATH = "/v1/chat/completions"
GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw.

    Attributes:
        done: Answers, whole ones.
        seconds: How long it took.
        p50_us: Median time from asking to the end of the answer.
        p99_us: 99th percentile of it.
        errors: Failed requests, any status but 2xx among them.
        first_us: Median time to the first byte of the body; streams only.
    """

    done: int
    seconds: float
    p50_us: float
    p99_us: float
    errors: int
    first_us: float = 0.0


def whole(port: int, connections: int, seconds: float, script: Path, first: int) -> Load:
    """Ask over kept connections, as fast as answers come.

    Raises:
        RuntimeError: ``wrk`` said nothing that can be understood.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s",
               str(script), f"http://127.0.0.1:{port}{PATH}", "--", str(first)]  # fmt: skip
    out = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, timeout=seconds + GRACE_S, check=False
    )
    line = next((x for x in out.stdout.splitlines() if x.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"wrk: {out.stdout} {out.stderr}")
    done, micros, p50, p99, errors = (float(x) for x in line.split()[1:])
    return Load(int(done), micros / 1e6, p50, p99, int(errors))


def streams(port: int, connections: int, seconds: float, first: int) -> Load:
    """Read streams over kept connections."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.latency.load",
        str(port),
        str(connections),
        str(seconds),
        str(first),
    ]
    out = subprocess.run(
        pinned(LOAD_CORE, command),
        capture_output=True,
        text=True,
        timeout=seconds + GRACE_S,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if out.returncode:
        raise RuntimeError(f"stream client: {out.stderr[-500:]}")
    return Load(**json.loads(out.stdout))


async def _reader(port: int, end: float, number: int, totals: list[float], firsts: list[float]) -> int:
    bodies = [request_body(i, stream=True) for i in range(0, POOL, 20)]
    loop, errors = asyncio.get_running_loop(), 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while loop.time() < end:
        number += 1
        body = bodies[number % len(bodies)].replace(MARK, f"{number:010d}").encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer sk-bench\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter_ns()
        writer.write(head.encode() + body)
        status = await reader.readline()
        while await reader.readline() != b"\r\n":
            pass
        text, tail = 0, b""
        while size := int(await reader.readline(), 16):
            if not text:
                firsts.append((time.perf_counter_ns() - began) / 1e3)
            tail = (tail + await reader.readexactly(size))[-40:]
            text += size
            await reader.readexactly(2)
        await reader.readexactly(2)
        totals.append((time.perf_counter_ns() - began) / 1e3)
        errors += not status.split(b" ")[1].startswith(b"2") or b"[DONE]" not in tail
    writer.close()
    return errors


async def main(port: int, connections: int, seconds: float, first: int) -> None:
    """Read streams until the time is up, and print what was seen."""
    totals: list[float] = []
    firsts: list[float] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = began + seconds
    errors = await asyncio.gather(
        *(_reader(port, end, first + 10_000 * i, totals, firsts) for i in range(connections))
    )
    took = loop.time() - began
    totals.sort()
    firsts.sort()
    print(
        json.dumps(
            {
                "done": len(totals),
                "seconds": took,
                "p50_us": totals[len(totals) // 2],
                "p99_us": totals[int(len(totals) * 0.99)],
                "errors": sum(errors),
                "first_us": firsts[len(firsts) // 2],
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
