"""llama.cpp's C++ server in this process: `python -m bench.llama_server MODEL PORT THREADS PARALLEL CONTEXT [LAYERS]`.

LAYERS are offloaded to the GPU if the wheel supports one.
"""

import sys
import threading

import xllamacpp


def main() -> None:
    model, port, threads, parallel, context, layers = sys.argv[1], *map(int, [*sys.argv[2:], "0"][:5])
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = layers
    params.n_parallel = parallel
    params.n_ctx = parallel * context
    # Separate cells for each sequence: on a CPU, a unified cache makes every sequence scan all cells in use.
    params.kv_unified = False
    params.ui = False
    server = xllamacpp.Server(params)
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main()
