"""Compares a running server's answers with a second implementation in numpy, item by item.

    verify_answers.py --registry FOLDER --model shop --version 1 --address 127.0.0.1:50051

Asks for many people and products in many ways: every strategy and the version's default, alpha from 0 to 1, people the model
has never seen with and without recent products, filters of several widths, exclusions, seen products
let through, similar products by every basis. Where the plan that answered is exact the same products
must come back in the same order, except where scores lie closer together than 1e-5 of the greatest;
where it is a graph, at least its stated recall of them. Prints one JSON object; ends with 1 where
anything differs.
"""

import argparse
import importlib
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import grpc

from call_recommend import generate
from reference import Reference

# What f32 sums over a few hundred numbers may differ by, relative to the greatest score.
CLOSE = 1e-5
# What the seam between a graph's sample and these questions may take off its recall.
RECALL_SLACK = 0.01


def has_sides(reference):
    return reference.transitions is not None


def questions(reference, people, seed):
    """Recommends, as dicts that reference.recommend understands."""
    dice = random.Random(seed)
    known = dice.sample(sorted(reference.users), min(people, len(reference.users)))
    categories = sorted({c for c in reference.categories if c is not None})
    brands = sorted({b for b in reference.brands if b is not None})
    prices = sorted(p for p in reference.prices.tolist() if p == p)
    some = lambda of, most: dice.sample(of, min(len(of), dice.randint(1, most)))
    for turn, user in enumerate(known):
        ask = {"user_id": user, "n": dice.choice([1, 5, 10, 50, 100])}
        strategies = ["hybrid", "collaborative", "content"]
        if has_sides(reference):
            strategies += ["blended", "blended", "default"]
        ask["strategy"] = strategies[turn % len(strategies)]
        if ask["strategy"] == "default":
            del ask["strategy"]
        elif turn % 2:
            ask["alpha"] = dice.choice([0.0, 0.25, 0.5, 1.0])
        if turn % 5 == 1:
            ask["user_id"] = f"never-seen-{turn}"
        if turn % 5 in (1, 2):
            ask["recent"] = some(reference.ids, 12) + ["no-such-product"]
        if turn % 7 == 3 and categories:
            ask["categories"] = some(categories, 3)
        if turn % 7 == 4 and brands:
            ask["brands"] = some(brands, 5)
        if turn % 7 in (4, 5) and prices:
            ask["price_min"], ask["price_max"] = sorted(dice.choices(prices, k=2))
        if turn % 4 == 2:
            ask["exclude"] = some(reference.ids, 20)
        if has_sides(reference):
            ask["include_seen"] = dice.choice([None, False, True])
        else:
            ask["include_seen"] = turn % 6 == 5
        yield ask
    yield {"user_id": "", "n": 10}
    yield {"user_id": known[0], "n": 10, "categories": ["no such category"]}


def similar_questions(reference, products, seed):
    dice = random.Random(seed + 1)
    for turn, product in enumerate(dice.sample(reference.ids, min(products, len(reference.ids)))):
        ask = {"product_id": product, "n": dice.choice([1, 10, 50])}
        bases = ["content", "collaborative"] + ["sequence"] * has_sides(reference)
        ask["basis"] = bases[turn % len(bases)]
        category = dice.choice(reference.categories)
        if turn % 5 == 3 and category is not None:
            ask["categories"] = [category]
        yield ask


class Server:
    """The server under test, asked in debug mode, which passes by the cache."""

    def __init__(self, address, model):
        self.messages = importlib.import_module("hotshelf.v1.recommendation_pb2")
        stubs = importlib.import_module("hotshelf.v1.recommendation_pb2_grpc")
        self.stub = stubs.RecommendationServiceStub(grpc.insecure_channel(address))
        self.model = model

    def filter(self, ask):
        names = ("min", "price_min"), ("max", "price_max")
        bounds = {to: ask[of] for to, of in names if ask.get(of) is not None}
        return self.messages.ProductFilter(
            categories=ask.get("categories", []),
            brands=ask.get("brands", []),
            price=self.messages.PriceRange(**bounds) if bounds else None,
            exclude_product_ids=ask.get("exclude", []),
        )

    def recommend(self, ask):
        strategy = ask.get("strategy", "unspecified").upper()
        request = self.messages.RecommendRequest(
            user_id=ask["user_id"],
            model=self.model,
            n=ask["n"],
            strategy=self.messages.Strategy.Value(f"STRATEGY_{strategy}"),
            alpha=ask.get("alpha"),
            recent_product_ids=ask.get("recent", []),
            filter=self.filter(ask),
            include_seen=ask.get("include_seen"),
            debug=True,
        )
        answer = self.stub.Recommend(request, timeout=30)
        reason = lambda item: self.messages.Reason.Name(item.reason)
        items = [
            (item.product_id, item.score, reason(item).removeprefix("REASON_").lower())
            for item in answer.items
        ]
        return items, plans(answer.debug)

    def similar(self, ask):
        basis = f"SIMILARITY_BASIS_{ask['basis'].upper()}"
        request = self.messages.SimilarProductsRequest(
            product_id=ask["product_id"],
            model=self.model,
            n=ask["n"],
            basis=self.messages.SimilarityBasis.Value(basis),
            filter=self.filter(ask),
            debug=True,
        )
        answer = self.stub.SimilarProducts(request, timeout=30)
        items = [(item.product_id, item.similarity_score, None) for item in answer.items]
        return items, plans(answer.debug)


def plans(debug):
    """Names of the plans that found candidates."""
    sides = [debug.collaborative, debug.content, debug.sequence, debug.repeat, debug.trend]
    return {side.plan for side in sides if side.plan}


def compare(reference, expected, items):
    """How many of the products agree, and the first difference beyond rounding in words."""
    if len(items) != len(expected.rows):
        return 0, f"{len(items)} products came back, expected {len(expected.rows)}"
    greatest = max((abs(score) for score in expected.scores), default=0.0)
    is_close = lambda a, b: abs(a - b) <= CLOSE * max(greatest, abs(a), abs(b))
    score_of = dict(zip(expected.rows, expected.scores))
    lowest = expected.scores[-1] if expected.scores else 0.0
    agreeing, difference = 0, None
    for at, (id, score, reason) in enumerate(items):
        row, wanted = reference.row_of[id], expected.scores[at]
        # As good as the last one expected is right: equal scores at the cut are many.
        agreeing += row in score_of or is_close(max(score, lowest), score)
        is_same = row == expected.rows[at]
        if not is_close(score, wanted):
            difference = difference or f"rank {at + 1}: {id} {score}, expected {wanted}"
        elif is_same and reason is not None and reason != expected.reasons[at]:
            difference = difference or f"rank {at + 1}: {id} is {reason}, not {expected.reasons[at]}"
        elif row in score_of and not is_close(score, score_of[row]):
            difference = difference or f"rank {at + 1}: {id} scores {score}, not {score_of[row]}"
    return agreeing, difference


class Tally:
    """What was compared."""

    def __init__(self):
        self.answers, self.by_plan, self.differences = Counter(), Counter(), []
        self.wanted = self.found = 0

    def take(self, what, ask, compared, used):
        agreeing, difference, wanted = compared
        self.answers[what] += 1
        self.by_plan.update(used or {"none"})
        if "hnsw" in used:
            self.wanted += wanted
            self.found += agreeing
        elif difference:
            self.differences.append({"ask": ask, "difference": difference, "plans": sorted(used)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--registry", type=Path, required=True, help="folder of the registry")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int, required=True)
    parser.add_argument("--address", required=True, help="HOST:PORT of the data listener")
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    reference = Reference(arguments.registry, arguments.model, arguments.version)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        server = Server(arguments.address, arguments.model)
        for ask in questions(reference, arguments.people, arguments.seed):
            items, used = server.recommend(ask)
            expected = reference.recommend(ask)
            compared = *compare(reference, expected, items), len(expected.rows)
            tally.take(ask.get("strategy", "default"), ask, compared, used)
        for ask in similar_questions(reference, arguments.products, arguments.seed):
            items, used = server.similar(ask)
            expected = reference.similar(ask)
            compared = *compare(reference, expected, items), len(expected.rows)
            tally.take(f"similar by {ask['basis']}", ask, compared, used)
    stated = [index.get("recall_at_10") or 1.0 for index in reference.card["index"].values()]
    recall = tally.found / tally.wanted if tally.wanted else None
    is_good = not tally.differences and (recall is None or recall >= min(stated) - RECALL_SLACK)
    report = {
        "is_good": is_good,
        "answers": tally.answers,
        "plans": tally.by_plan,
        "graph_recall": recall,
        "stated_recall": min(stated),
        "differences": tally.differences[:5],
        "differing": len(tally.differences),
    }
    json.dump(report, sys.stdout, indent=2)
    print()
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
