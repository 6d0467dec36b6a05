"""Routers by name: the built-in ones keep the contract, and what cannot be is refused in a sentence."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

import pytest

from seatrial.core.errors import PolicyError
from seatrial.core.request import Prefix, Request
from seatrial.policy import named
from seatrial.policy.named import known, router_named
from seatrial.policy.routing.prefix_tree import PrefixTree
from seatrial.testing.router import RouterContract


@pytest.mark.parametrize("name", sorted(known("router")))
class TestBuiltIn(RouterContract):
    @pytest.fixture(autouse=True)
    def _name(self, name):
        self.name = name

    def make(self):
        return router_named(self.name)


@dataclass(frozen=True, slots=True)
class Sticky:
    """A stranger's: always the same one."""

    is_blind: ClassVar[bool] = True
    index: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"the option 'share' cannot be {self.share:g}; it must lie between 0 and 1")

    def begin(self, fleet, random):
        return lambda request: self.index


class Point:
    """An entry point of a package that is not installed."""

    name, value = "sticky", "my_routers:Sticky"

    @staticmethod
    def load():
        return Sticky


@pytest.fixture
def sticky(monkeypatch):
    monkeypatch.setattr(named, "_entry_points", lambda group: (Point,))


@pytest.mark.usefixtures("sticky")
def test_options_become_the_fields_of_a_frozen_value():
    assert router_named("sticky:index=2,share=0.25") == Sticky(2, 0.25)


@pytest.mark.usefixtures("sticky")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stick", "no router 'stick'; did you mean sticky?"),
        ("sticky", "the router 'sticky': it needs the option 'index'"),
        ("sticky:index", "the router 'sticky' cannot read 'index'; write sticky:option=value,..."),
        ("sticky:index=1,index=2", "the router 'sticky' is given 'index' twice; give it once"),
        ("sticky:indes=1", "the router 'sticky' has no option 'indes'; did you mean index?"),
        ("sticky:index=one", "the router 'sticky': the option 'index' must be a valid integer, not 'one'"),
        ("sticky:index=1,share=2", "the router 'sticky': the option 'share' cannot be 2; it must lie between 0 and 1"),
    ],
)
def test_what_no_router_is_called_or_takes_is_told(text, told):
    with pytest.raises(PolicyError) as refused:
        router_named(text)
    assert str(refused.value) == told


@pytest.mark.parametrize("thing", [str, dataclass(type("Empty", (), {}))])
def test_what_is_no_router_is_told(monkeypatch, thing):
    monkeypatch.setattr(Point, "load", staticmethod(lambda: thing))
    monkeypatch.setattr(named, "_entry_points", lambda group: (Point,))
    with pytest.raises(
        PolicyError, match=r"'sticky', my_routers:Sticky, must be a dataclass with a method begin; docs/routers\.md has one"
    ):
        router_named("sticky")


@pytest.mark.parametrize("index", [-1, 3, None, 1.0])
def test_a_router_that_chooses_who_is_not_there_is_named(index):
    contract = RouterContract()
    contract.make = lambda: Sticky(index)
    with pytest.raises(PolicyError, match=f"Sticky sends a request to replica {index}; give a whole number from 0 to 2"):
        contract.sail(contract.workload(0), 3)


class Views:
    """A fleet as a router sees it, with what it is asked for given."""

    now = 0.0

    def __init__(self, **columns):
        rows = zip(*columns.values())
        self.replicas = [type("View", (), {"index": i} | dict(zip(columns, row))) for i, row in enumerate(rows)]


def test_of_two_drawn_the_less_loaded_is_taken():
    views = Views(num_outstanding=[5, 0, 9])
    choose = router_named("power-of-two").begin(views, Random(0))
    counts = [0, 0, 0]
    for _ in range(9000):
        counts[choose(None)] += 1
    # with replacement: the best of three wins unless neither draw is it (4 of 9), the worst only against itself
    assert counts == pytest.approx([3000, 5000, 1000], rel=0.1)


def test_the_smallest_share_of_blocks_wins_and_then_the_shorter_queue():
    views = Views(num_used_blocks=[10, 10, 40, 10], num_blocks=[100, 200, 1000, 200], num_outstanding=[0, 5, 9, 4])
    views.replicas[2].num_used_blocks = 50
    assert router_named("least-kv").begin(views, Random(0))(None) == 3


def request(session=None, ids=(), num_prompt_tokens=None, block_tokens=16):
    prefix = Prefix(block_tokens, tuple(ids)) if ids else None
    return Request(0, 0.0, num_prompt_tokens or max(1, block_tokens * len(ids)), session, prefix)


def test_a_session_keeps_its_replica_and_sessions_are_spread():
    views = Views(pool=["main"] * 8, num_outstanding=[0] * 8)
    choose = router_named("session").begin(views, Random(0))
    chosen = {name: choose(request(name)) for name in map(str, range(4000))}
    assert all(choose(request(name)) == index for name, index in chosen.items())
    shares = [list(chosen.values()).count(index) / 4000 for index in range(8)]
    assert min(shares) > 0.08
    assert max(shares) < 0.18


def test_one_replica_more_moves_few_sessions():
    """Consistent hashing: about one in nine goes to the ninth, and nobody else moves."""
    before, after = (router_named("session").begin(Views(pool=["main"] * n, num_outstanding=[0] * n), Random(0)) for n in (8, 9))
    moved = [(before(request(name)), after(request(name))) for name in map(str, range(2000))]
    assert {new for old, new in moved if old != new} == {8}
    assert 0.05 < sum(old != new for old, new in moved) / 2000 < 0.2


def test_a_bounded_load_passes_over_who_has_too_much():
    views = Views(pool=["main"] * 4, num_outstanding=[0] * 4)
    home = router_named("session").begin(views, Random(0))(request("a"))
    views.replicas[home].num_outstanding = 8  # of 8: the mean with this one is 2.25
    assert router_named("session:load_factor=4").begin(views, Random(0))(request("a")) == home
    assert router_named("session:load_factor=1.25").begin(views, Random(0))(request("a")) != home


def test_a_prefix_draws_a_request_until_load_outweighs_it():
    views = Views(num_outstanding_tokens=[0, 0, 0])
    choose = router_named("prefix-aware").begin(views, Random(0))
    views.replicas[0].num_outstanding_tokens = 1
    assert choose(request(ids=[1, 2, 3, 4])) == 1  # the least loaded, since nobody has it
    views.replicas[1].num_outstanding_tokens = 31
    assert choose(request(ids=[1, 2, 9])) == 1  # 32 of its 48 tokens are there
    views.replicas[1].num_outstanding_tokens = 33
    assert choose(request(ids=[1, 2, 8])) == 2
    assert router_named("prefix-aware:weight=0").begin(views, Random(0))(request(ids=[1, 2])) == 2


def test_what_was_sent_long_ago_is_forgotten():
    tree = PrefixTree(ttl=10.0)
    tree.add(Prefix(16, (1, 2)), replica=0, now=0.0)
    tree.add(Prefix(16, (1, 3)), replica=1, now=8.0)
    assert tree.find(Prefix(16, (1, 2, 7)), now=9.0) == {0: 2, 1: 1}
    assert tree.find(Prefix(16, (1, 2)), now=11.0) == {1: 1}
    assert tree.find(Prefix(32, (1, 2)), now=9.0) == {}
    tree.add(Prefix(16, (5,)), replica=0, now=12.0)
    assert set(tree.roots[16].children) == {1, 5}
    assert set(tree.roots[16].children[1].children) == {3}


def test_scores_are_added_by_weight():
    views = Views(
        num_waiting=[0, 2, 4], num_outstanding=[9, 9, 9], num_used_blocks=[80, 40, 0], num_blocks=[100] * 3,
        num_cached_tokens=[lambda *_: 0, lambda *_: 32, lambda *_: 0],
    )  # fmt: skip
    choices = {text: router_named(f"weighted:{text}").begin(views, Random(0))(request(ids=[1, 2])) for text in WEIGHTED}
    assert choices == WEIGHTED


WEIGHTED = {
    "queue=1,kv=0,prefix=0": 0,
    "queue=0,kv=1,prefix=0": 2,
    "queue=0,kv=0,prefix=1": 1,
    "queue=1,kv=1,prefix=0": 0,  # 1 + 0.2, 0.5 + 0.6, 0 + 1
    "queue=1,kv=2,prefix=0": 2,  # 1.4, 1.7, 2
    "queue=1,kv=2,prefix=0.5": 1,  # 1.4, 2.2, 2
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("session:load_factor=0.5", "the option 'load_factor' cannot be 0.5; it must be 1 or more, like 1.25"),
        ("prefix-aware:index=exact", "the option 'index' must be 'approximate' or 'precise', not 'exact'"),
        ("prefix-aware:weight=-1", "'weight' must be 0 or more and 'ttl' above 0, and they are -1 and 120"),
        ("weighted:queue=0,kv=0,prefix=0", "its weights must be 0 or more and not all 0; they are 0, 0, 0, 0"),
    ],
)
def test_what_an_option_cannot_be_is_told(text, told):
    with pytest.raises(PolicyError) as refused:
        router_named(text)
    assert str(refused.value).endswith(told)
