"""A steady load of HTTP requests, and what came of each."""

import asyncio
import collections
import threading
import time

REQUEST = (b"GET /hello HTTP/1.1\r\nHost: demo\r\n"
           b"User-Agent: meshcert-demo\r\n\r\n")
DEADLINE = 15.0


class Load:
    """Sends `rate` requests a second, evenly spaced, to 127.0.0.1:port from
    a thread of its own. Nothing is sent twice: a request that gets no answer
    200 is a failure. The connections to the port are kept open; the new TLS
    connection for each request is the business of the Envoy behind it."""

    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.done = 0
        self.failures = []  # (seconds since the start, text)
        self.latencies = []
        self._idle = collections.deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(
            self._run()), daemon=True)
        self.started = time.monotonic()

    def start(self):
        self.started = time.monotonic()
        self._thread.start()
        return self

    def stop(self):
        """Waits for the answers that are still to come."""
        self._stop.set()
        self._thread.join(DEADLINE + 5)
        if self._thread.is_alive():
            raise RuntimeError("the load does not end")

    async def _run(self):
        running, sent = set(), 0
        while not self._stop.is_set():
            due = self.started + sent / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._request())
            running.add(task)
            task.add_done_callback(running.discard)
            sent += 1
        if running:
            await asyncio.wait(running)
        for _, writer in self._idle:
            writer.close()

    async def _request(self):
        start = time.monotonic()
        try:
            status = await asyncio.wait_for(self._exchange(), DEADLINE)
            if status != 200:
                raise ConnectionError(f"status {status}")
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as why:
            self.failures.append((start - self.started,
                                  f"{type(why).__name__}: {why}"))
        self.latencies.append(time.monotonic() - start)
        self.done += 1

    async def _exchange(self):
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1",
                                                           self.port)
        try:
            writer.write(REQUEST)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.lower().split("\r\n")
            length = [int(line.split(":")[1]) for line in lines
                      if line.startswith("content-length:")]
            await reader.readexactly(length[0] if length else 0)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in lines:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head.split()[1])

    def percentile(self, share):
        """In milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[int(share * (len(ordered) - 1))] \
            if ordered else 0.0
