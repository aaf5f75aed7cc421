"""How many threads the numeric libraries may start; to be imported before NumPy."""

import os

# OpenBLAS's threads spin for a while after each call.  At a hundred small products a second
# that is a whole core for nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
