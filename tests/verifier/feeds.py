"""A signed feed for the tests. It behaves like the feed of an Ostiary until a test changes it."""

import base64
import json
import secrets
import threading
import urllib.parse

from ostiary.jose import sign
from tests.verifier.issuers import METADATA, json_answer
from tests.verifier.material import KEY, NOW

FEED = "/auth/feed"
CLIENT_ID, SECRET = "client_orders", "a secret: with a colon, a + and é"
FAR = NOW + 86_431


class Feed:
    """The feed of an `Issuer`. ``tell`` appends an entry, ``forge`` changes the claims, ``key`` signs them."""

    def __init__(self, issuer, *, origin=None):
        self.issuer = issuer
        self.now = NOW
        self.generation, self.head = 1, 0
        self.entries = []
        self.marks = {}
        self.limit = 1000
        self.patience = 0.1  # seconds; it may answer before the time that the client asked it to wait
        self.key, self.typ, self.media = KEY, "ostiary-feed+jwt", "application/jwt"
        self.forge = lambda claims: claims
        self.told = threading.Condition()
        self.asked = []  # the queries, in order
        issuer.answers[FEED] = self.answer
        issuer.answers[METADATA] = json_answer(
            {
                "issuer": issuer.url,
                "jwks_uri": issuer.origin + "/keys.json",
                "ostiary_feed_endpoint": (origin or issuer.origin) + FEED,
            }
        )

    def tell(self, kind, key="", value=0, until=FAR):
        with self.told:
            self.head += 1
            self.marks[self.head] = secrets.randbelow(2**53)
            self.entries.append((self.head, [kind, key, value, until]))
            self.told.notify_all()

    def restore(self):
        """Restores a backup: later entries are lost, and the generation changes."""
        with self.told:
            self.generation, self.head = self.generation + 1, 1
            del self.entries[1:]
            self.told.notify_all()

    def lose(self, count):
        """Loses the newest entries, as a failover can. Their numbers are assigned again."""
        with self.told:
            self.head -= count
            del self.entries[-count:]

    def answer(self, query, headers):
        asked = dict(urllib.parse.parse_qsl(query))
        with self.told:
            self.asked.append(asked)
        if headers.get("authorization") != basic(CLIENT_ID, SECRET):
            return 401, {"www-authenticate": "Basic"}, b""
        return 200, {"content-type": self.media}, self.message(asked).encode()

    def position(self, number):
        return f"{self.generation}.{number}.{self.marks.get(number, 0)}"

    def message(self, asked):
        with self.told:
            after = asked.get("after", "")
            if after == self.position(self.head):
                self.told.wait(min(float(asked["wait"]), self.patience))
            number = int(after.split(".")[1]) if after else 0
            known = {self.position(number), f"{self.generation}.{number}"}  # older clients send no mark
            previous = number if after in known and number <= self.head else 0
            some = [entry for entry in self.entries if entry[0] > previous][: self.limit]
            current = some[-1][0] if len(some) == self.limit else self.head
            claims = {
                "iss": self.issuer.url,
                "aud": CLIENT_ID,
                "iat": int(self.now),
                "generation": self.generation,
                "previous": previous,
                "current": current,
                "mark": self.marks.get(current, 0),
                "more": current < self.head,
                "entries": [entry for _, entry in some],
            }
            if previous and after == self.position(number):
                claims["previous_mark"] = self.marks[previous]
        forged = self.forge(claims)
        return sign(json.dumps(forged).encode(), self.key, typ=self.typ, longest=2**20)


def basic(client_id, secret):
    pair = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
