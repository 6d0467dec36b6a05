"""What all tests of commands need."""

import signal

import pytest


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A shell starts what it runs in the background with SIGINT ignored, and so the tests, and what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
