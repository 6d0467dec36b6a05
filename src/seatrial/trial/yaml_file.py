"""A YAML file as it stands, or one sentence on why it cannot be read."""

from collections.abc import Hashable
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import yaml

from seatrial.core.errors import ScenarioError, in_words
from seatrial.core.units import bytes_text

MOST_BYTES = 10 * 2**20


SCENARIO = "a scenario is a YAML file"


def read_yaml(file: Path, what: str = SCENARIO) -> object:
    """What the file holds, which is never nothing. `what` says what it should have been."""
    try:
        check_size(file, what)
        content = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except ScenarioError:
        raise
    except FileNotFoundError:
        instead = "give a YAML file, or flags alone" if what == SCENARIO else what
        raise ScenarioError(f"there is no file {file}; {instead}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ScenarioError(f"{file} cannot be read ({in_words(problem)}); {what} in UTF-8") from None
    except yaml.MarkedYAMLError as problem:
        line = f"line {problem.problem_mark.line + 1}" if problem.problem_mark else "somewhere"
        raise ScenarioError(f"{file}, {line}: {problem.problem}; {what}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise ScenarioError(f"{file} is no YAML ({in_words(problem)}); {what} in UTF-8") from None
    if content is None:
        needs = "a scenario needs a model, pools and a workload, a fragment just a workload" if what == SCENARIO else what
        raise ScenarioError(f"{file} is empty; {needs}")
    return content


def check_size(file: Path, what: str) -> None:
    """Refuses what might never end."""
    found = file.stat()
    if not S_ISREG(found.st_mode):
        kind = "a directory" if S_ISDIR(found.st_mode) else "a device or a pipe"
        raise ScenarioError(f"{file} is {kind}; {what}")
    if found.st_size > MOST_BYTES:
        raise ScenarioError(f"{file} has {bytes_text(found.st_size)}; {what} of at most {bytes_text(MOST_BYTES)}")


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would drop one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # Any: what YAML holds
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key_node, yaml.ScalarNode) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(str(key))
        return super().construct_mapping(node, deep)
