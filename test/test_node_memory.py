"""What the C library keeps of freed memory."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import ctypes, re, sys, threading
from avemo_ros.nodes import executor

def arenas():
    libc = ctypes.CDLL(None)
    libc.open_memstream.restype = ctypes.c_void_p
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    return len(re.findall(rb"<heap nr", text.value))

before = arenas()
if sys.argv[1] == "limited":
    assert executor.limit_free_memory()
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
gate = threading.Barrier(9)

def work():
    block = malloc(1000)
    gate.wait()
    free(block)

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
gate.wait()
for thread in threads: thread.join()
executor.return_free_memory()
print(before, arenas())
"""


def arenas(how: str) -> tuple[int, int]:
    """Arenas once the libraries are loaded, and after eight threads took memory at once."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    return before, after


def test_threads_share_the_arenas_that_are_there() -> None:
    # Without the limit glibc gives each of the eight its own, up to eight for each core.
    before, after = arenas("as it is")
    assert after > max(2, before)
    # Libraries may have made some as they were loaded, as in a node.
    before, after = arenas("limited")
    assert after <= max(2, before)
