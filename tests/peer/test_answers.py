"""The flow tests of the authority's answers, against both authorities."""

from flow.test_authority_answers import *  # noqa: F401,F403
