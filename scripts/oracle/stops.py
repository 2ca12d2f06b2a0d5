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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ways import Stop


class Pipe:
    """The writing end of standard input. It gives bytes piece by piece and stays open."""

    PIECES = 20

    def __init__(self, data: bytes):
        self.data = data
        self.given = 0
        """Bytes that may have been read. The last write may end half way."""
        self.reading, self.writing = os.pipe()
        self.thread = threading.Thread(target=self.give)

    def start(self) -> None:
        os.close(self.reading)
        self.thread.start()

    def give(self) -> None:
        size = len(self.data) // self.PIECES + 1
        try:
            for at in range(0, len(self.data), size):
                piece = self.data[at : at + size]
                self.given += len(piece)
                os.write(self.writing, piece)
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
        has_read = bool(pipe and stop.waits)
        if has_read:
            wait_until(lambda: process.poll() is not None or (pipe.is_read() and sleeps(process.pid)), patience_s)
        for number in stop.signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=patience_s)
    finally:
        process.kill()
        process.wait()
        if pipe:
            pipe.close()
    return Stopped(subprocess.CompletedProcess(command, process.returncode, out, err), pipe.given if pipe else 0, has_read)


def wait_until(ready: Callable[[], bool], patience_s: float) -> None:
    ends = time.monotonic() + patience_s
    while not ready():
        if time.monotonic() > ends:
            raise subprocess.TimeoutExpired("a run that is to be stopped", patience_s)
        time.sleep(0.005)


def listens(pid: int) -> bool:
    """Does the process catch both signals? Before, they end it like any other."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return all(caught >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))


def sleeps(pid: int) -> bool:
    """Does every thread of the process wait? Then it is done with all that it read from a pipe that is empty now."""
    try:
        states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # One of them just ended.
        return False
    return all(state == "S" for state in states)
