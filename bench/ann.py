#!/usr/bin/env python3
"""Hotshelf's index plans beside hnswlib and faiss: recall and queries per second on one thread.

    python3 -m venv .venv && .venv/bin/pip install numpy safetensors hnswlib faiss-cpu
    .venv/bin/python bench/ann.py [--json] [--als NAME=als.safetensors] [--content content.safetensors]

Sets, each with the exact ground truth that numpy computes:

skewed, mild
    100,000 x 64, generated. A direction is a gaussian vector whose i-th axis is scaled by
    1 / sqrt(1 + i) (the falling spectrum of ALS factors), made unit length and rotated; its norm
    is lognormal with sigma 1.0 (skewed, as popularity is) or 0.25 (mild). Queries alike.
NAME (--als, may be repeated)
    The product factors of a published version's part; queries are its user factors.
content (--content)
    The distinct embeddings of a published version's part; queries are sums of 1 to 5 of them.

Ours runs as `cargo bench -p hotshelf-model --bench ann`. The others' `ef` is swept, and their speed
is interpolated (log speed over recall) at the recall of plan auto; where they do not reach it, the
speed at their highest recall is taken, which flatters them. Every speed is the median of 5 rounds
over all queries, one at a time, one thread, everything in one run.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"

import faiss  # noqa: E402
import hnswlib  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
ROUNDS = 5
QUERIES = 500
TRUTH = 100


def generated(sigma, seed=7, rows=100_000, dims=64):
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.standard_normal((dims, dims)))
    spectrum = 1 / np.sqrt(1 + np.arange(dims))

    def vectors(count):
        direction = random.standard_normal((count, dims)) * spectrum
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        norm = np.exp(sigma * random.standard_normal((count, 1)))
        return (direction @ basis * norm).astype(np.float32)

    return vectors(rows), vectors(QUERIES)


def spread(vectors, count=QUERIES):
    """Rows at even distances."""
    at = np.linspace(0, len(vectors) - 1, min(count, len(vectors))).astype(int)
    return np.ascontiguousarray(vectors[at])


def content(path, seed=7):
    rows = load_file(path)["embeddings"]
    random = np.random.default_rng(seed)
    sums = [rows[random.integers(0, len(rows), 1 + at % 5)].sum(axis=0) for at in range(QUERIES)]
    return rows, np.stack(sums).astype(np.float32)


def exact_truth(rows, queries):
    """Best rows of each query, scores in f64, ties by row ascending."""
    wide = rows.astype(np.float64).T
    lists = []
    for query in queries:
        lists.append(np.argsort(-(query.astype(np.float64) @ wide), kind="stable")[:TRUTH])
    return np.stack(lists).astype(np.uint32)


def recall(lists, truth, k):
    pairs = zip(lists, truth)
    return sum(len(set(map(int, a)) & set(map(int, b[:k]))) for a, b in pairs) / (len(truth) * k)


def timed(answer, queries):
    """Lists of one pass, and the median queries per second of several more."""
    lists = [answer(query) for query in queries]
    speeds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for query in queries:
            answer(query)
        speeds.append(len(queries) / (time.perf_counter() - start))
    return lists, statistics.median(speeds)


def others(rows, queries, truth):
    """hnswlib and faiss by inner product; one list of measurements for each k."""
    queries = [query[None] for query in queries]
    graph = hnswlib.Index(space="ip", dim=rows.shape[1])
    graph.init_index(max_elements=len(rows), ef_construction=200, M=16, random_seed=7)
    graph.set_num_threads(1)
    graph.add_items(rows)
    faiss.omp_set_num_threads(1)
    faiss_graph = faiss.IndexHNSWFlat(rows.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    faiss_graph.hnsw.efConstruction = 200
    faiss_graph.add(rows)
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    found = []
    for k in (10, 100):
        for ef in (ef for ef in EFS if ef >= k):
            graph.set_ef(ef)
            faiss_graph.hnsw.efSearch = ef
            ways = {
                "hnswlib": lambda query: graph.knn_query(query, k=k, num_threads=1)[0][0],
                "faiss hnsw": lambda query: faiss_graph.search(query, k)[1][0],
            }
            for name, answer in ways.items():
                lists, speed = timed(answer, queries)
                found.append(measurement(name, k, ef, recall(lists, truth, k), speed))
        lists, speed = timed(lambda query: flat.search(query, k)[1][0], queries)
        found.append(measurement("faiss flat", k, None, recall(lists, truth, k), speed))
    return found


def measurement(method, k, ef, recall_at_k, speed):
    return {"method": method, "k": k, "ef": ef, "recall": recall_at_k, "queries_per_s": speed}


def ours(path):
    command = ["cargo", "bench", "-q", "-p", "hotshelf-model", "--bench", "ann", "--"]
    command += ["--vectors", str(path), "--json"]
    run = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    rows = json.loads(run.stdout)
    for row in rows:
        row["method"] = "hotshelf " + row["asked"]
    return rows


def at_recall(rows, wanted):
    """Speed at a recall, interpolated on the curve of the fastest; (speed, recall reached)."""
    curve = sorted((row["recall"], row["queries_per_s"]) for row in rows)
    best = curve[-1]
    if wanted >= best[0]:
        return best[1], best[0]
    recalls = [point[0] for point in curve]
    speeds = np.log([point[1] for point in curve])
    return float(np.exp(np.interp(wanted, recalls, speeds))), wanted


def measure(name, rows, queries):
    rows, queries = np.ascontiguousarray(rows), np.ascontiguousarray(queries)
    truth = exact_truth(rows, queries)
    k = min(TRUTH, len(rows))
    category = np.random.default_rng(3).integers(0, 10_000, len(rows)).astype(np.uint32)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "vectors.safetensors"
        tensors = {"rows": rows, "queries": queries, "truth": truth[:, :k], "category": category}
        save_file(tensors, path)
        found = ours(path)
    found += others(rows, queries, truth)
    for row in found:
        row.update(set=name, rows=rows.shape[0], dims=rows.shape[1], cpu=cpu(), threads=1)
        row.update(median_of=ROUNDS, queries=len(queries))
    return found


def verdicts(found):
    """Plan auto beside the others at its recall, for each k."""
    for k in (10, 100):
        rows = [row for row in found if row["k"] == k and "selectivity" not in row]
        auto = next(row for row in rows if row["method"] == "hotshelf auto")
        verdict = {"set": auto["set"], "k": k, "recall": auto["recall"]}
        verdict["auto_queries_per_s"] = auto["queries_per_s"]
        verdict["plan"] = "+".join(auto["plan"])
        for other in ("hnswlib", "faiss hnsw"):
            speed, reached = at_recall([r for r in rows if r["method"] == other], auto["recall"])
            key = other.replace(" ", "_")
            verdict[key + "_queries_per_s"], verdict[key + "_recall"] = speed, reached
            verdict["auto_over_" + key] = auto["queries_per_s"] / speed
        yield verdict


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def show(results, judged):
    print(f"{cpu()}, 1 thread, medians of {ROUNDS} rounds of up to {QUERIES} queries\n")
    print("| set | k | method | ef | filter passes | recall | queries/s |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for row in results:
        passes = f"{row['selectivity']:.2%}" if "selectivity" in row else ""
        plan = "" if "plan" not in row else " (" + "+".join(row["plan"]) + ")"
        print(
            f"| {row['set']} | {row['k']} | {row['method']}{plan} | {row.get('ef') or ''} | {passes} "
            f"| {row['recall']:.4f} | {row['queries_per_s']:,.0f} |"
        )
    print("\nAt the recall of auto (or the other's highest, where it does not reach it):\n")
    for row in judged:
        print(
            f"{row['set']}, k {row['k']}: auto ({row['plan']}) {row['auto_queries_per_s']:,.0f}/s at "
            f"{row['recall']:.4f}; hnswlib {row['hnswlib_queries_per_s']:,.0f}/s at "
            f"{row['hnswlib_recall']:.4f}: {row['auto_over_hnswlib']:.1f} times; faiss hnsw "
            f"{row['faiss_hnsw_queries_per_s']:,.0f}/s at {row['faiss_hnsw_recall']:.4f}: "
            f"{row['auto_over_faiss_hnsw']:.1f} times"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON array instead of tables")
    parser.add_argument("--als", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--content", metavar="FILE")
    parser.add_argument("--sets", default="skewed,mild", help="generated sets, or nothing")
    arguments = parser.parse_args()
    sets = {}
    for name, sigma in (("skewed", 1.0), ("mild", 0.25)):
        if name in arguments.sets.split(","):
            sets[name] = generated(sigma)
    for named in arguments.als:
        name, path = named.split("=", 1)
        tensors = load_file(path)
        sets[name] = tensors["product_factors"], spread(tensors["user_factors"])
    if arguments.content:
        sets["content"] = content(arguments.content)
    results, judged = [], []
    for name, (rows, queries) in sets.items():
        found = measure(name, rows, queries)
        results += found
        judged += verdicts(found)
    if arguments.json:
        print(json.dumps(results + [{"verdict": True, **row} for row in judged]))
    else:
        show(results, judged)


if __name__ == "__main__":
    main()
