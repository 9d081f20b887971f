"""The whole recommender in numpy, from nothing but a published version's parts and card.

A second implementation, written from the format page and the interface's comments, in f64 and
without an index, a cache or a candidate that is not looked at: what the server answers is compared
with what this computes (verify_answers.py). Slow and plain on purpose.
"""

import numpy

from read_version import open_part, read_manifest, read_parts

NO_GROUP = 2**32 - 1
# Products of each side that a hybrid blends: CANDIDATES_PER_ITEM × n, at least CANDIDATES_MIN.
CANDIDATES_PER_ITEM = 3
CANDIDATES_MIN = 30


class Ranking:
    """Product rows best first, and for each of them its score and why it is there."""

    def __init__(self, rows, scores, reasons):
        self.rows, self.scores, self.reasons = rows, scores, reasons


def best_first(rows, scores):
    """Rows by score descending, among equal f32 scores by row."""
    # Compared as the f32 that a server computes: what is one score there is one score here.
    return rows[numpy.lexsort((rows, -scores.astype(numpy.float32)))]


class Reference:
    def __init__(self, registry, model, version):
        manifest = read_manifest(registry, model, version)
        parts = read_parts(registry, manifest)
        parts = {name: open_part(name, data) for name, data in parts.items()}
        self.card = manifest["card"]
        products = parts["products.arrow"]
        self.ids = products["id"].to_pylist()
        self.row_of = {id: row for row, id in enumerate(self.ids)}
        self.categories = numpy.array(products["category"].to_pylist(), dtype=object)
        self.brands = numpy.array(products["brand"].to_pylist(), dtype=object)
        prices = products["price"].to_pylist()
        self.prices = numpy.array([numpy.nan if p is None else p for p in prices])
        self.popularity = numpy.array(products["popularity"].to_pylist())
        users = parts["users.arrow"]
        self.users = {id: row for row, id in enumerate(users["id"].to_pylist())}
        als = parts["als.safetensors"]
        self.user_factors = als["user_factors"].astype(numpy.float64)
        self.product_factors = als["product_factors"].astype(numpy.float64)
        self.gram = als["gram"].astype(numpy.float64)
        self.history = parts["history.safetensors"]
        content = parts.get("content.safetensors")
        self.embeddings = self.groups = None
        if content:
            self.groups = content["groups"].astype(numpy.int64)
            self.embeddings = content["embeddings"].astype(numpy.float64)
            self.has_vector = self.groups != NO_GROUP
            lists = parts["content_neighbours.safetensors"]
            self.neighbours = lists["groups"].astype(numpy.int64)

    # What the model knows of a person.

    def seen(self, user):
        start, end = self.history["offsets"][user : user + 2].tolist()
        return self.history["products"][start:end]

    def recent(self, user):
        start, end = self.history["recent_offsets"][user : user + 2].tolist()
        return self.history["recent_products"][start:end].tolist()

    def factors(self, user_id, recents):
        """The person's factors and the reason that goes with them, or None."""
        user = self.users.get(user_id)
        if user is not None and self.user_factors[user].any():
            return self.user_factors[user], "collaborative"
        rows = [row for row in recents if self.product_factors[row].any()]
        if not rows:
            return None, None
        als = self.card["parameters"]["als"]
        weight = als["confidence"] * self.card["fold_in_value"]
        left = self.gram + als["regularization"] * numpy.eye(len(self.gram))
        right = numpy.zeros(len(self.gram))
        for row in sorted(set(rows)):
            y, times = self.product_factors[row], rows.count(row)
            left += weight * times * numpy.outer(y, y)
            right += (1 + weight * times) * y
        return numpy.linalg.solve(left, right), "fold_in"

    def content_query(self, recents):
        """Sum of the embeddings of the last few products that have one, or None."""
        rows = self.content_recents(recents)
        return self.embeddings[self.groups[rows]].sum(axis=0) if rows else None

    def content_recents(self, recents):
        """The last few products that have an embedding."""
        if self.embeddings is None:
            return []
        with_vector = [row for row in dict.fromkeys(recents) if self.has_vector[row]]
        return with_vector[: self.card["parameters"]["scoring"]["recents"]]

    def candidates(self, scored, n, recents):
        """Products on the neighbour lists of the recents; all where fewer than n of these may."""
        groups = self.groups[self.content_recents(recents)]
        listed = numpy.union1d(groups, self.neighbours[groups])
        on_lists = scored[numpy.isin(self.groups[scored], listed)]
        return on_lists if len(on_lists) >= n else scored

    def content_scores(self, query):
        """Of every product; minus infinity where there is nothing to embed."""
        by_group = self.embeddings @ query
        scores = numpy.full(len(self.ids), -numpy.inf)
        scores[self.has_vector] = by_group[self.groups[self.has_vector]]
        return scores

    # Which products may come back.

    def matching(self, ask):
        may = numpy.ones(len(self.ids), dtype=bool)
        if ask.get("categories"):
            may &= numpy.isin(self.categories, ask["categories"])
        if ask.get("brands"):
            may &= numpy.isin(self.brands, ask["brands"])
        # A comparison with a missing price is false.
        if ask.get("price_min") is not None:
            may &= self.prices >= ask["price_min"]
        if ask.get("price_max") is not None:
            may &= self.prices <= ask["price_max"]
        for id in ask.get("exclude", []):
            if id in self.row_of:
                may[self.row_of[id]] = False
        return may

    def recommend(self, ask):
        """Answers {user_id, n, strategy, alpha, recent, include_seen, filters}."""
        user = self.users.get(ask["user_id"])
        brought = [self.row_of[id] for id in ask.get("recent", []) if id in self.row_of]
        may = self.matching(ask)
        if not ask.get("include_seen"):
            may[brought] = False
            if user is not None:
                may[self.seen(user)] = False
        eligible = numpy.flatnonzero(may)
        recents = brought
        if not ask.get("recent") and user is not None:
            recents = self.recent(user)
        strategy = ask.get("strategy", "hybrid")
        factors, why = (None, None)
        if strategy != "content":
            factors, why = self.factors(ask["user_id"], brought)
        query = self.content_query(recents) if strategy != "collaborative" else None
        n = ask.get("n", 10)
        if factors is None and query is None:
            # Nothing is known that a category could be taken from, or was asked to count.
            return self.filled(Ranking([], [], []), eligible, n, [])
        if query is None:
            return self.one_side(self.product_factors @ factors, eligible, n, why)
        content, recents = self.content_scores(query), self.content_recents(recents)
        if factors is None:
            scored = eligible[numpy.isfinite(content[eligible])]
            ranking = self.one_side(content, scored, n, "content")
            return self.filled(ranking, eligible, n, recents)
        sides = (self.product_factors @ factors, content)
        ranking = self.blend(ask, sides, (eligible, recents), why)
        return self.filled(ranking, eligible, n, recents)

    def one_side(self, scores, rows, n, reason):
        rows = best_first(rows, scores[rows])[:n]
        return Ranking(rows.tolist(), scores[rows].tolist(), [reason] * len(rows))

    def blend(self, ask, sides, products, why):
        (ours, content), (eligible, recents) = sides, products
        n, alpha = ask.get("n", 10), ask.get("alpha")
        if alpha is None:
            alpha = self.card["parameters"]["scoring"]["alpha"]
        scored = eligible[numpy.isfinite(content[eligible])]
        # A side without weight retrieves no candidates, and the other one alone needs only its best n.
        wanted = n
        if 0 < alpha < 1:
            wanted = max(CANDIDATES_PER_ITEM * n, CANDIDATES_MIN)
            scored = self.candidates(scored, n, recents)
        by_factors = best_first(eligible, ours[eligible])[: wanted if alpha > 0 else 0]
        by_content = best_first(scored, content[scored])[: wanted if alpha < 1 else 0]
        rows = numpy.union1d(by_factors, by_content)
        if len(rows) == 0:
            return Ranking([], [], [])
        theirs = numpy.where(numpy.isfinite(content[rows]), content[rows], 0.0)
        blended = alpha * shares(ours[rows]) + (1 - alpha) * shares(theirs)
        order = numpy.lexsort((rows, -blended))[:n]
        sides = [(row in by_factors, row in by_content) for row in rows[order]]
        reasons = ["hybrid" if all(s) else why if s[0] else "content" for s in sides]
        return Ranking(rows[order].tolist(), blended[order].tolist(), reasons)

    def filled(self, ranking, eligible, n, recents):
        """The list filled up with popular products, those of the recents' categories first."""
        left = numpy.setdiff1d(eligible, ranking.rows)
        wanted = {self.categories[row] for row in recents} - {None}
        is_near = numpy.array([self.categories[row] in wanted for row in left], dtype=bool)
        order = numpy.lexsort((left, -self.popularity[left], ~is_near))
        more = left[order][: n - len(ranking.rows)]
        return Ranking(
            ranking.rows + more.tolist(),
            ranking.scores + self.popularity[more].tolist(),
            ranking.reasons + ["popular"] * len(more),
        )

    def similar(self, ask):
        """Answers {product_id, n, basis, filters}; similarity 0 where popularity fills up."""
        row = self.row_of[ask["product_id"]]
        may = self.matching(ask)
        may[row] = False
        eligible = numpy.flatnonzero(may)
        if ask.get("basis", "content") == "content":
            vectors = self.embeddings
            own = vectors[self.groups[row]] if self.has_vector[row] else None
            scores = None if own is None else self.content_scores(own)
        else:
            norms = numpy.linalg.norm(self.product_factors, axis=1)
            own = self.product_factors[row]
            with numpy.errstate(divide="ignore", invalid="ignore"):
                scores = (self.product_factors @ own) / (norms * norms[row])
            scores = None if norms[row] == 0 else numpy.where(norms > 0, scores, -numpy.inf)
        n, ranking = ask.get("n", 10), Ranking([], [], [])
        if scores is not None:
            rows = eligible[numpy.isfinite(scores[eligible])]
            ranking = self.one_side(scores, rows, n, "similar")
        full = self.filled(ranking, eligible, n, [row])
        full.scores[len(ranking.rows) :] = [0.0] * (len(full.rows) - len(ranking.rows))
        return full


def shares(scores):
    """Scores divided by their maximum, or by the greatest magnitude where that is not above 0."""
    top = scores.max()
    if top <= 0:
        top = numpy.abs(scores).max() or 1.0
    return scores / top
