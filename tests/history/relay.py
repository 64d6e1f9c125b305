"""A relay for TCP connections that can be a bad network: it delays, cuts connections anywhere, and falls silent."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Weather:
    """Probabilities of the faults that may befall each chunk which passes."""

    delayed: float = 0.0
    cut: float = 0.0
    """Part of it is passed on, then the connection is reset on both sides."""
    lost: float = 0.0
    """Nothing more is passed on, and nobody is told."""
    most_delay_seconds: float = 0.05


CALM = Weather()
STORM = Weather(delayed=0.1, cut=0.02, lost=0.005)


class Relay:
    """Listens on a free loopback port and passes connections on to another, inside the `with`."""

    def __init__(self, target_port: int, seed: str) -> None:
        self.weather = CALM
        self.port = 0
        self._target_port = target_port
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._listening = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut_all(self) -> None:
        """Reset all connections."""
        self._loop.call_soon_threadsafe(self._reset)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reset()
        await asyncio.sleep(0)  # in which transports that were aborted close their sockets

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, target}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump(reader, target))
                ways.create_task(self._pump(target_reader, writer))
        except* OSError:
            writer.transport.abort()
            target.transport.abort()
        finally:
            self._writers -= {writer, target}
            writer.close()
            target.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass chunks on until their end. Raises OSError where the connection is reset, or is to be."""
        while chunk := await reader.read(1 << 16):
            weather, roll = self.weather, self._rng.random()
            if roll < weather.lost:
                await asyncio.Event().wait()
            elif roll < weather.lost + weather.cut:
                writer.write(chunk[: self._rng.randrange(len(chunk) + 1)])
                raise ConnectionResetError
            elif roll < weather.lost + weather.cut + weather.delayed:
                await asyncio.sleep(self._rng.random() * weather.most_delay_seconds)
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
