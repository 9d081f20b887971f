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
        self.transitions = parts.get("transitions.safetensors")
        self.frequencies = parts.get("frequencies.safetensors")
        self.trend = parts.get("trend.safetensors")
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

    def sequence_scores(self, recents):
        """Of every product: what people took after the recents, those further back counting less."""
        params = self.card["parameters"]["sides"]["sequence"]
        scores = numpy.zeros(len(self.ids))
        for back, row in enumerate(list(dict.fromkeys(recents))[: params["recents"]]):
            start, end = self.transitions["offsets"][row : row + 2].tolist()
            weight = numpy.float64(numpy.float32(params["recent_decay"])) ** back
            listed = self.transitions["scores"][start:end].astype(numpy.float64)
            scores[self.transitions["products"][start:end]] += weight * listed
        return scores

    def repeat_scores(self, user):
        """Of every product: how often the person had it, halved with every half-life since."""
        start, end = self.history["offsets"][user : user + 2].tolist()
        weights = self.frequencies["weights"][start:end].astype(numpy.float64)
        half_life = self.card["parameters"]["sides"]["repeat"]["half_life_days"]
        if half_life is not None:
            age = self.card["as_of"] - self.frequencies["last_at"][start:end]
            weights = weights * 2.0 ** (-age / (half_life * 86_400))
        scores = numpy.zeros(len(self.ids))
        scores[self.history["products"][start:end]] = weights
        return scores

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
        sees_seen = ask.get("include_seen")
        if sees_seen is None:
            sees_seen = self.card.get("defaults", {}).get("include_seen", False)
        if not sees_seen:
            may[brought] = False
            if user is not None:
                may[self.seen(user)] = False
        eligible = numpy.flatnonzero(may)
        recents = brought
        if not ask.get("recent") and user is not None:
            recents = self.recent(user)
        defaults = self.card.get("defaults", {})
        # Alpha names the hybrid, the one strategy that it means something in.
        default = "hybrid" if "alpha" in ask else defaults.get("strategy", "hybrid")
        strategy = ask.get("strategy", default)
        if strategy == "blended" and self.card["parameters"]["scoring"].get("weights"):
            return self.blended({**ask, "include_seen": sees_seen}, user, brought, eligible)
        if strategy == "blended":
            strategy = "hybrid"
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

    def blended(self, ask, user, brought, eligible):
        """Every side that has weight and something to say of the person, by the version's weights."""
        weights, n = self.card["parameters"]["scoring"]["weights"], ask.get("n", 10)
        recents = brought
        if not ask.get("recent") and user is not None:
            recents = self.recent(user)
        sides = self.asked_sides({**ask, "weights": weights}, user, (brought, recents))
        many = max(CANDIDATES_PER_ITEM * n, CANDIDATES_MIN)
        rows, of_content = [], []
        for name, (scores, _) in sides.items():
            found = eligible[numpy.isfinite(scores[eligible])]
            if name == "content":
                found = self.candidates(found, n, recents)
                of_content = self.content_recents(recents)
            elif name != "collaborative":
                found = found[scores[found] > 0]
            rows.append(best_first(found, scores[found])[:many])
        if not sides or not any(len(found) for found in rows):
            return self.filled(Ranking([], [], []), eligible, n, of_content)
        found_by = {name: set(found.tolist()) for name, found in zip(sides, rows)}
        rows = numpy.unique(numpy.concatenate(rows))
        parts = {}
        for name, (scores, _) in sides.items():
            finite = numpy.where(numpy.isfinite(scores[rows]), scores[rows], 0.0)
            parts[name] = weights[name] * shares(finite)
        total = sum(parts.values())
        order = numpy.lexsort((rows, -total))[:n]
        reasons = [reason_of(at, rows[at], parts, found_by, sides) for at in order]
        ranking = Ranking(rows[order].tolist(), total[order].tolist(), reasons)
        return self.filled(ranking, eligible, n, of_content)

    def asked_sides(self, ask, user, products):
        """Scores of every product and a reason, by side, in the order in which a blend adds them up."""
        (brought, recents), weights, sides = products, ask["weights"], {}
        if weights["collaborative"] > 0:
            factors, why = self.factors(ask["user_id"], brought)
            if factors is not None:
                sides["collaborative"] = (self.product_factors @ factors, why)
        if weights["content"] > 0:
            query = self.content_query(recents)
            if query is not None:
                sides["content"] = (self.content_scores(query), "content")
        if weights["sequence"] > 0 and self.transitions and recents:
            sides["sequence"] = (self.sequence_scores(recents), "sequence")
        if weights["repeat"] > 0 and self.frequencies and user is not None and ask["include_seen"]:
            sides["repeat"] = (self.repeat_scores(user), "repeat")
        if weights["trend"] > 0 and self.trend:
            sides["trend"] = (self.trend["popularity"].astype(numpy.float64), "trend")
        return sides

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
        if ask.get("basis") == "sequence":
            start, end = self.transitions["offsets"][row : row + 2].tolist()
            scores = numpy.full(len(self.ids), -numpy.inf)
            listed = self.transitions["products"][start:end]
            scores[listed] = self.transitions["scores"][start:end]
        elif ask.get("basis", "content") == "content":
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


def reason_of(at, row, parts, found_by, sides):
    """The side that adds most to a product's score, else the first that retrieved it."""
    name = max(parts, key=lambda name: parts[name][at])
    if parts[name][at] <= 0:
        name = next(name for name in parts if row in found_by[name])
    return sides[name][1]


def shares(scores):
    """Scores divided by their maximum, or by the greatest magnitude where that is not above 0."""
    top = scores.max()
    if top <= 0:
        top = numpy.abs(scores).max() or 1.0
    return scores / top
