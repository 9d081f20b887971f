"""Reads a published version with nothing but safetensors and pyarrow, and ranks for one user.

    read_version.py --registry FOLDER --model shop --version 1 --user u00042

Checks size and sha256 of every part that the manifest names, opens every one, and prints one JSON
object: what is in each part with its shape, and the user's collaborative top 10, products already
seen left out and ties in product order. Nothing of Hotshelf is used: this is the proof that the
format page says enough.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy
import pyarrow.ipc
from safetensors.numpy import load as load_tensors


def read_manifest(registry, model, version):
    """The manifest whose presence makes the version."""
    return json.loads((registry / model / "versions" / f"{version:06}.json").read_text())


def read_parts(registry, manifest):
    """Bytes of every part by name, each checked against the manifest."""
    parts = {}
    for entry in manifest["parts"]:
        name = entry["name"]
        data = (registry / manifest["model"] / "parts" / manifest["upload"] / name).read_bytes()
        if len(data) != entry["size_bytes"]:
            sys.exit(f"{name}: {len(data)} bytes, the manifest says {entry['size_bytes']}")
        digest = hashlib.sha256(data).hexdigest()
        if digest != entry["sha256"]:
            sys.exit(f"{name}: sha256 {digest}, the manifest says {entry['sha256']}")
        parts[name] = data
    return parts


def open_part(name, data):
    """A part as a table or as a dict of arrays."""
    if name.endswith(".arrow"):
        return pyarrow.ipc.open_file(pyarrow.BufferReader(data)).read_all()
    if name.endswith(".safetensors"):
        return load_tensors(data)
    sys.exit(f"{name}: neither Arrow IPC nor safetensors")


def describe(part):
    """Names, types and shapes, and how many values a column lacks."""
    if isinstance(part, dict):
        return {
            name: {"dtype": str(array.dtype), "shape": list(array.shape)}
            for name, array in sorted(part.items())
        }
    return {
        name: {"type": str(column.type), "rows": len(column), "nulls": column.null_count}
        for name, column in zip(part.column_names, part.columns)
    }


def collaborative_top(parts, user_id, n):
    """The n best unseen products by inner product of factors, ties in product order."""
    users = parts["users.arrow"]["id"].to_pylist()
    products = parts["products.arrow"]["id"].to_pylist()
    if user_id not in users:
        sys.exit(f"user {user_id!r} is not in users.arrow")
    user = users.index(user_id)
    als, history = parts["als.safetensors"], parts["history.safetensors"]
    # Sums in f64 of f32 factors, so that the only rounding left is the server's own.
    factors = als["user_factors"][user].astype(numpy.float64)
    scores = als["product_factors"].astype(numpy.float64) @ factors
    start, end = history["offsets"][user : user + 2].tolist()
    eligible = numpy.ones(len(products), dtype=bool)
    eligible[history["products"][start:end]] = False
    rows = numpy.flatnonzero(eligible)
    # Compared as the f32 that a server sends; the sort is stable, so equal scores keep row order.
    order = numpy.argsort(-scores[rows].astype(numpy.float32), kind="stable")[:n]
    return [
        {"product_id": products[row], "score": float(scores[row]), "rank": rank}
        for rank, row in enumerate(rows[order].tolist(), start=1)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--registry", type=Path, required=True, help="folder of the registry")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int, required=True)
    parser.add_argument("--user", required=True, help="user id")
    parser.add_argument("--n", type=int, default=10)
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.registry, arguments.model, arguments.version)
    data = read_parts(arguments.registry, manifest)
    parts = {name: open_part(name, part) for name, part in data.items()}
    report = {
        "model": manifest["model"],
        "version": manifest["version"],
        "parts": {name: describe(part) for name, part in parts.items()},
        "user_id": arguments.user,
        "items": collaborative_top(parts, arguments.user, arguments.n),
    }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
