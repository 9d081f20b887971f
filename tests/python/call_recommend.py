"""Calls Recommend or SimilarProducts the way a Python service would: with stubs generated from proto/.

    call_recommend.py --address 127.0.0.1:50051 --user u00042 --n 5
    call_recommend.py --address 127.0.0.1:50051 --similar p0001 --category tea --price-max 5
    call_recommend.py --list

Prints the answer as one JSON object with the field names of the proto files, or with --list the
calls that the stubs have. Needs grpcio-tools; the stubs live in a temporary folder.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

import grpc
import grpc_tools
from google.protobuf import descriptor_pool, json_format
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"


def generate(folder):
    """Writes stubs for all of proto/ into `folder` and makes them importable."""
    files = sorted(str(file.relative_to(PROTO)) for file in PROTO.rglob("*.proto"))
    # The well-known types come with the package.
    known = Path(grpc_tools.__file__).parent / "_proto"
    options = [f"-I{PROTO}", f"-I{known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    status = protoc.main(["protoc", *options, *files])
    if status != 0:
        sys.exit(f"protoc ended with {status}")
    sys.path.insert(0, str(folder))
    return files


def calls(files):
    """Full names of all calls, one for each method of each service."""
    for file in files:
        importlib.import_module(file.removesuffix(".proto").replace("/", ".") + "_pb2")
        descriptor = descriptor_pool.Default().FindFileByName(file)
        for service in descriptor.services_by_name.values():
            for method in service.methods:
                yield f"{service.full_name}/{method.name}"


def product_filter(messages, arguments):
    """What may come back; None where everything may."""
    price = {}
    if arguments.price_min is not None:
        price["min"] = arguments.price_min
    if arguments.price_max is not None:
        price["max"] = arguments.price_max
    if not (arguments.category or arguments.brand or price):
        return None
    return messages.ProductFilter(
        categories=arguments.category,
        brands=arguments.brand,
        price=messages.PriceRange(**price) if price else None,
    )


def similar_request(messages, arguments):
    return messages.SimilarProductsRequest(
        product_id=arguments.similar,
        model=arguments.model,
        n=arguments.n,
        user_id=arguments.user,
        filter=product_filter(messages, arguments),
    )


def recommend_request(messages, arguments):
    return messages.RecommendRequest(
        user_id=arguments.user,
        model=arguments.model,
        n=arguments.n,
        strategy=messages.Strategy.Value(f"STRATEGY_{arguments.strategy.upper()}"),
        recent_product_ids=arguments.recent,
        include_seen=arguments.include_seen,
        filter=product_filter(messages, arguments),
    )


def ask(arguments):
    """The answer of the server as a dict."""
    messages = importlib.import_module("hotshelf.v1.recommendation_pb2")
    stubs = importlib.import_module("hotshelf.v1.recommendation_pb2_grpc")
    with grpc.insecure_channel(arguments.address) as channel:
        stub = stubs.RecommendationServiceStub(channel)
        if arguments.similar:
            request, call = similar_request(messages, arguments), stub.SimilarProducts
        else:
            request, call = recommend_request(messages, arguments), stub.Recommend
        response = call(request, timeout=arguments.timeout_s)
    return json_format.MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1:50051", help="HOST:PORT")
    parser.add_argument("--user", default="", help="user id; none: anonymous")
    parser.add_argument("--model", default="", help="model; none: the server's default")
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument(
        "--strategy",
        default="unspecified",
        choices=["unspecified", "hybrid", "collaborative", "content"],
    )
    parser.add_argument("--recent", nargs="*", default=[], help="recent product ids, newest first")
    parser.add_argument("--similar", default="", help="products like this one, not for a person")
    parser.add_argument("--category", nargs="*", default=[], help="only these categories")
    parser.add_argument("--brand", nargs="*", default=[], help="only these brands")
    parser.add_argument("--price-min", type=float, help="lowest price")
    parser.add_argument("--price-max", type=float, help="highest price")
    parser.add_argument("--include-seen", action="store_true", default=None)
    parser.add_argument("--timeout-s", type=float, default=10.0)
    parser.add_argument("--list", action="store_true", help="print the calls and end")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = generate(folder)
        if arguments.list:
            print("\n".join(calls(files)))
            return
        try:
            answer = ask(arguments)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    json.dump(answer, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
