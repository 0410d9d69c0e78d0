"""The flow tests of agents and Envoys, with either agent and authority."""

from flow.test_agent_envoys import *  # noqa: F401,F403
