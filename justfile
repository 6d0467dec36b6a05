# The four verbs. `.ci/run` does the same, and more, in an environment of its own.

# order imports, apply safe fixes, format
fix:
    ruff check --fix .
    ruff format .

# lint, format, types, and the floors of the house
check:
    ruff check .
    ruff format --check .
    mypy
    lint-imports

# all tests but the long hunts; `just test -m slow` runs those
test *args:
    python -m pytest {{ args }}

# the README's blocks run, and links lead somewhere
docs:
    python -m pytest tests/test_readme.py
