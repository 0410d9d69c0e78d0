"""An agent, its authority, and real Envoys behind them. tests/peer runs the
same tests with Istio's agent and Istio's authority in every combination."""

import pathlib

from support import envoy, net, rpc
from support.process import until

SIDES = {"client": ("shop", "client"), "server": ("shop", "server")}
LIFE = 12  # seconds that start_agent's certificates live


def spiffe_id(side):
    return "spiffe://cluster.local/ns/{}/sa/{}".format(*SIDES[side])


def test_mutual_tls_between_envoys_survives_rotations(
        procs, folder, authority, start_agent):
    agents = {side: start_agent(f"agent-{side}", *SIDES[side])
              for side in SIDES}
    with net.Server({"/": "through\n"}) as backend:
        pair = envoy.start_pair(
            procs, folder, {s: agents[s].socket for s in SIDES},
            {s: spiffe_id(s) for s in SIDES}, backend.port)
        url = f"http://127.0.0.1:{pair['client'].port()}/"
        seen = {side: set() for side in SIDES}

        def three_of_each():
            assert net.get(url) == (200, "through\n")
            for side, one in pair.items():
                seen[side] |= one.serials()
            return all(len(serials) >= 3 for serials in seen.values())
        until(three_of_each, "both sides had three certificates", 4 * LIFE)


def test_a_stranger_is_not_let_in(procs, folder, authority, start_agent):
    """The contrast: the same two Envoys, but the client's agent has the
    certificate of somebody whom the server does not expect."""
    agents = {"server": start_agent("agent-server", *SIDES["server"]),
              "client": start_agent("agent-client", "shop", "stranger")}
    with net.Server({"/": "through\n"}) as backend:
        pair = envoy.start_pair(
            procs, folder, {s: agents[s].socket for s in SIDES},
            {s: spiffe_id(s) for s in SIDES}, backend.port)
        status, _ = net.get(f"http://127.0.0.1:{pair['client'].port()}/")
        assert status == 503
        assert backend.requests == []


def test_a_bad_token_gives_no_certificate_until_it_is_replaced(
        authority, start_agent):
    agent = start_agent("agent", token=authority.issuer.token(
        "shop", "cart", exp=1, iat=0, nbf=0))
    agent.process.await_line("request authenticate failure")
    agent.token_path.write_text(authority.issuer.token("shop", "cart"))
    until(agent.socket.exists, "its socket was there", 30, agent.process)
    with agent.channel() as channel, \
            rpc.SecretStream(channel, ["default"], timeout=60) as stream:
        secrets = stream.receive()
    assert b"BEGIN CERTIFICATE" in \
        secrets["default"].tls_certificate.certificate_chain.inline_bytes


def test_the_socket_is_where_istios_envoys_look(start_agent):
    agent = start_agent("agent")
    until(agent.socket.exists, "its socket was there", alive=agent.process)
    assert agent.socket.relative_to(agent.folder) == pathlib.Path(
        "var/run/secrets/workload-spiffe-uds/socket")
