"""Asks several servers for recommendations at a steady rate until its standard input ends.

    rolling_client.py --address 127.0.0.1:1 --address 127.0.0.1:2 --service-config FILE --rate 100

The channel is made with the options of docs/clients.md, and the service config is the file's. Prints one
JSON object: calls by outcome (OK, or the code's name) and the first few failures in words. Needs
grpcio-tools; the stubs live in a temporary folder.
"""

import argparse
import collections
import importlib
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc

from call_recommend import generate

THREADS = 16
FAILURES_KEPT = 5


class Load:
    """Calls that are due at fixed times, whatever became of earlier ones."""

    def __init__(self, stub, messages, rate):
        self.stub, self.messages = stub, messages
        self.period_s = THREADS / rate
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.outcomes = collections.Counter()
        self.failures = []

    def run(self, thread):
        due = time.monotonic() + self.period_s * thread / THREADS
        turn = thread
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            self.ask(f"u{turn % 240:04}")
            due += self.period_s
            turn += THREADS

    def ask(self, user):
        try:
            answer = self.stub.Recommend(self.messages.RecommendRequest(user_id=user))
            outcome = "OK" if len(answer.items) == 10 else "SHORT"
            words = None
        except grpc.RpcError as error:
            outcome, words = error.code().name, error.details()
        with self.lock:
            self.outcomes[outcome] += 1
            if outcome != "OK" and len(self.failures) < FAILURES_KEPT:
                self.failures.append(f"{outcome}: {words}")


def channel_options(service_config):
    return [
        ("grpc.service_config", service_config),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", action="append", required=True, help="HOST:PORT, repeated")
    parser.add_argument("--service-config", type=Path, required=True, help="JSON file")
    parser.add_argument("--rate", type=float, default=100.0, help="calls per second in all")
    arguments = parser.parse_args()
    # What a name server answers for a headless service, without the name server.
    target = "ipv4:" + ",".join(arguments.address)
    options = channel_options(arguments.service_config.read_text())
    # A list is no valid :authority, and without a name gRPC would send it as one.
    options.append(("grpc.default_authority", "hotshelf"))
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        messages = importlib.import_module("hotshelf.v1.recommendation_pb2")
        stubs = importlib.import_module("hotshelf.v1.recommendation_pb2_grpc")
        with grpc.insecure_channel(target, options) as channel:
            load = Load(stubs.RecommendationServiceStub(channel), messages, arguments.rate)
            threads = [threading.Thread(target=load.run, args=(n,)) for n in range(THREADS)]
            for thread in threads:
                thread.start()
            print("running", flush=True)
            sys.stdin.read()
            load.stop.set()
            for thread in threads:
                thread.join()
    json.dump({"outcomes": load.outcomes, "failures": load.failures}, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
