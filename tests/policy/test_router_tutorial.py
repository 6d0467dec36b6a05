"""The router that docs/routers.md builds from an empty file works as it stands there."""

import re
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from seatrial.policy import named
from seatrial.policy.named import router_named
from seatrial.testing.router import RouterContract

PAGE = (Path(__file__).parents[2] / "docs" / "routers.md").read_text(encoding="utf-8")
ROUTER, TESTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def my_routers(monkeypatch):
    module = ModuleType("my_routers")
    monkeypatch.setitem(sys.modules, "my_routers", module)
    exec(ROUTER, module.__dict__)
    return module


def test_it_keeps_the_contract_that_it_inherits(my_routers):
    space = {}
    exec(TESTS, space)
    inherited = space["TestFewestTokens"]()
    assert isinstance(inherited, RouterContract)
    inherited.test_every_request_is_served_once_and_every_law_holds(seed=0, num_replicas=3)
    inherited.test_the_same_seed_gives_the_same_choices_and_times()
    inherited.test_it_knows_nothing_of_the_future()


def test_it_is_found_by_its_name_with_its_option(my_routers, monkeypatch):
    name, target = re.search(r'^([\w-]+) = "(my_routers:\w+)"$', PAGE, re.MULTILINE).groups()
    point = named.EntryPoint(name, target, "seatrial.routers")
    monkeypatch.setattr(named, "_entry_points", lambda group: (point,))
    flag = re.search(rf"--router ({name}\S*)", PAGE)[1]
    router = router_named(flag)
    assert router == my_routers.FewestTokens(per_request=100)
    replicas = [
        type("View", (), {"index": i, "num_outstanding": n, "num_outstanding_tokens": t}) for i, (n, t) in enumerate([(1, 10), (0, 90)])
    ]
    assert router.begin(type("Fleet", (), {"replicas": replicas}), Random(0))(None) == 1
