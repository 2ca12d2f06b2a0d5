"""Runs that are stopped half way by signals, as users and systems do it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ways import Stop

SILENCE_S = 0.05
"""Between the last read of a pipe and the first signal: more than any thread needs to count what it read."""


class Pipe:
    """The writing end of standard input. It gives bytes piece by piece and stays open."""

    PIECES = 20

    def __init__(self, data: bytes):
        self.data, self.given = data, 0
        self.reading, self.writing = os.pipe()
        self.thread = threading.Thread(target=self.give)

    def start(self) -> None:
        os.close(self.reading)
        self.thread.start()

    def give(self) -> None:
        size = len(self.data) // self.PIECES + 1
        try:
            while self.given < len(self.data):
                self.given += os.write(self.writing, self.data[self.given : self.given + size])
                time.sleep(0.002)
        except BrokenPipeError:
            pass

    def is_read(self) -> bool:
        """Has somebody taken all that there will be?"""
        waiting = struct.unpack("i", fcntl.ioctl(self.writing, termios.FIONREAD, bytes(4)))[0]
        return not waiting and not self.thread.is_alive()

    def close(self) -> None:
        self.thread.join()
        os.close(self.writing)


@dataclass(frozen=True)
class Stopped:
    """How a run ended that was sent signals."""

    done: subprocess.CompletedProcess[bytes]
    given: int
    """Bytes that the pipe gave."""
    has_read: bool
    """All of them before the first signal."""


def stopped(command: list[str], data: bytes | None, stop: Stop, patience_s: float) -> Stopped:
    """Runs a command, with `data` from a pipe if there is any, and stops it. A run that ends before is not disturbed."""
    pipe = None if data is None else Pipe(data)
    stdin = pipe.reading if pipe else subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if pipe:
        pipe.start()
    try:
        wait_until(lambda: process.poll() is not None or listens(process.pid), patience_s)
        time.sleep(stop.after_s)
        has_read = bool(pipe and stop.waits and wait_until(lambda: process.poll() is not None or pipe.is_read(), patience_s))
        time.sleep(SILENCE_S if has_read else 0)
        for number in stop.signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=patience_s)
    finally:
        process.kill()
        process.wait()
        if pipe:
            pipe.close()
    return Stopped(subprocess.CompletedProcess(command, process.returncode, out, err), pipe.given if pipe else 0, has_read)


def wait_until(ready, patience_s: float) -> bool:
    ends = time.monotonic() + patience_s
    while not ready():
        if time.monotonic() > ends:
            raise subprocess.TimeoutExpired("a run to begin", patience_s)
        time.sleep(0.005)
    return True


def listens(pid: int) -> bool:
    """Does the process catch both signals? Before, they end it like any other."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return all(caught >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))
