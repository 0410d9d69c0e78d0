"""Certificates from files: links of any depth, pairs that are checked, names
that may be asked for."""

import os
import pathlib
import signal
import time

import grpc
import pytest
from support import h2raw, pki, rpc
from support.meshcert import Agent
from support.process import until

DEADLINE_SECONDS = 4
ID = "spiffe://cluster.local/ns/shop/sa/files"


@pytest.fixture(scope="module")
def ca():
    return pki.TestCA()


@pytest.fixture
def agent(procs, folder, build, ca):
    """An agent whose own certificate comes from ./etc/certs."""
    one = Agent(procs, folder, build, "127.0.0.1:1", pki.cert_pem(ca.cert),
                namespace="shop", account="files",
                env={"CA_PROVIDER": "none", "FILE_MOUNTED_CERTS": "true"},
                config={"files.allow": [str(folder / "agent/mounted")]})
    write_pair(one.folder / "etc/certs", ca, "cert-chain.pem", "key.pem")
    (one.folder / "etc/certs/root-cert.pem").write_text(pki.cert_pem(ca.cert))
    (one.folder / "mounted").mkdir()
    one.start()
    until(one.socket.exists, "the socket is there", 10, one.process)
    return one


def replace(path, text):
    path = pathlib.Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.rename(path)


def write_pair(folder, ca, chain="tls.crt", key="tls.key", uri=ID):
    """A new pair; its serial number."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = pki.new_key()
    cert = ca.issue(made, uris=[uri])
    replace(folder / key, pki.key_pem(made))
    replace(folder / chain, pki.cert_pem(cert))
    return cert.serial_number


def serial_of(secret):
    return pki.load_all(secret.tls_certificate.certificate_chain
                        .inline_bytes)[0].serial_number


def swap(link, target):
    """What the kubelet does with ..data."""
    fresh = link.with_name("..tmp")
    fresh.symlink_to(target)
    os.rename(fresh, link)


def name_of(folder, chain="tls.crt", key="tls.key"):
    return f"file-cert:{folder / chain}~{folder / key}"


def test_default_and_its_aliases_come_from_files(agent, ca):
    with agent.channel() as channel:
        found = rpc.fetch_secrets(channel, ["default", "ROOTCA", ID,
                                            "spiffe://cluster.local"])
        assert set(found) == {"default", "ROOTCA", ID,
                              "spiffe://cluster.local"}
        assert serial_of(found["default"]) == serial_of(found[ID])
        with rpc.SecretStream(channel, ["default"]) as stream:
            stream.receive()
            # Both files are written one after the other: the half-way
            # state is never pushed.
            new = write_pair(agent.folder / "etc/certs", ca,
                             "cert-chain.pem", "key.pem")
            assert serial_of(stream.receive()["default"]) == new


def test_workload_api_serves_the_files_key(agent):
    with agent.channel() as channel:
        message = next(rpc.fetch_x509_svid(channel))
        assert message.svids[0].spiffe_id == ID
        assert message.svids[0].x509_svid_key[:1] == b"\x30"


def test_the_kubelets_swap_is_seen_again_and_again(agent, ca):
    mounted = agent.folder / "mounted"
    serials = [write_pair(mounted / f"..{i}", ca) for i in range(4)]
    (mounted / "..data").symlink_to("..0")
    for name in ("tls.crt", "tls.key"):
        (mounted / name).symlink_to(f"..data/{name}")
    with agent.channel() as channel, \
            rpc.SecretStream(channel, [name_of(mounted)]) as stream:
        for i, serial in enumerate(serials):
            if i > 0:
                swap(mounted / "..data", f"..{i}")
            assert serial_of(stream.receive()[name_of(mounted)]) == serial


def test_deeper_chains_of_links_are_seen(agent, ca):
    """A link to a folder that is a link to a folder, as CSI drivers make
    them; each level is swapped once."""
    mounted = agent.folder / "mounted"
    serials = {x: write_pair(mounted / "real" / x, ca) for x in "abc"}
    (mounted / "inner").symlink_to("real/a")
    (mounted / "outer").symlink_to("inner")
    (mounted / "tls.crt").symlink_to(mounted / "outer/tls.crt")
    (mounted / "tls.key").symlink_to(mounted / "outer/tls.key")
    with agent.channel() as channel, \
            rpc.SecretStream(channel, [name_of(mounted)]) as stream:
        name = name_of(mounted)
        assert serial_of(stream.receive()[name]) == serials["a"]
        swap(mounted / "inner", "real/b")
        assert serial_of(stream.receive()[name]) == serials["b"]
        swap(mounted / "outer", "real/c")
        assert serial_of(stream.receive()[name]) == serials["c"]


def test_a_broken_pair_leaves_the_old_in_use_and_is_said_once(agent, ca):
    mounted = agent.folder / "mounted"
    old = write_pair(mounted, ca)
    with agent.channel() as channel, \
            rpc.SecretStream(channel, [name_of(mounted)]) as stream:
        assert serial_of(stream.receive()[name_of(mounted)]) == old
        replace(mounted / "tls.key", pki.key_pem(pki.new_key()))
        agent.process.await_line("cannot be used")
        # Somebody who asks now gets the good one, and the mended pair
        # comes by itself.
        found = rpc.fetch_secrets(channel, [name_of(mounted)])
        assert serial_of(found[name_of(mounted)]) == old
        new = write_pair(mounted, ca)
        assert serial_of(stream.receive()[name_of(mounted)]) == new
    assert sum("cannot be used" in line
               for line in agent.process.lines()) == 1


def ask_with_deadline(client, name, seconds):
    """Opens a stream for that secret; nothing of ours ends it in time."""
    request = rpc.message("xds.DiscoveryRequest")(
        resource_names=[name], type_url=rpc.SECRET_TYPE)
    request.node.id = "node-1"
    block = h2raw.request_block(path=rpc.SDS + "StreamSecrets",
                                more=[("grpc-timeout", f"{seconds}S")])
    client.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, block) +
                h2raw.frame(h2raw.DATA, 0, 1,
                            h2raw.message(request.SerializeToString())))
    client.until(lambda: client.data > 0)


def test_who_asked_for_a_file_is_gone_when_it_changes(agent, ca):
    """The push finds the stream's time over and ends it, and with its last
    listener the file, which is just being put in place."""
    mounted = agent.folder / "mounted"
    write_pair(mounted, ca)
    with h2raw.Client(agent.socket) as client:
        opened = time.monotonic()
        ask_with_deadline(client, name_of(mounted), DEADLINE_SECONDS)
        replace(mounted / "tls.key", pki.key_pem(pki.new_key()))
        agent.process.await_line("cannot be used")
        agent.secret()  # it is done with that
        # When it goes on, reading again is due first, the deadline next.
        mark = agent.process.mark()
        agent.process.signal(signal.SIGSTOP)
        write_pair(mounted, ca)
        time.sleep(max(0, opened + DEADLINE_SECONDS + 0.2 -
                       time.monotonic()))
        agent.process.signal(signal.SIGCONT)
        agent.process.await_line("file certificate name=.*mounted/tls.crt",
                                 since=mark)
    assert agent.secret()
    assert agent.stop() == 0


def test_files_that_come_later_are_served_then(agent, ca):
    later = agent.folder / "mounted/later"
    with agent.channel() as channel:
        with pytest.raises(grpc.RpcError) as refused:
            rpc.fetch_secrets(channel, [name_of(later)])
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        with rpc.SecretStream(channel, [name_of(later)]) as stream:
            agent.process.await_line("nothing is served under this name")
            serial = write_pair(later, ca)
            assert serial_of(stream.receive()[name_of(later)]) == serial


def test_only_allowed_files_are_read(agent, ca):
    outside = agent.folder / "outside"
    write_pair(outside, ca)
    mounted = agent.folder / "mounted"
    asked = [name_of(outside), name_of(mounted / "../outside"),
             "file-root:/etc/shadow", "file-root:/etc/ssl/certs/x.pem",
             f"file-root:{agent.folder}/mounted2/x"]
    with agent.channel() as channel:
        for name in asked:
            with pytest.raises(grpc.RpcError) as refused:
                rpc.fetch_secrets(channel, [name])
            assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        # One bad name hurts no other.
        with rpc.SecretStream(channel, asked + ["default"]) as stream:
            assert set(stream.receive()) == {"default"}


def test_the_systems_roots(agent):
    with agent.channel() as channel:
        found = rpc.fetch_secrets(channel, ["file-root:system"])
    pem = found["file-root:system"].validation_context.trusted_ca.inline_bytes
    assert len(pki.load_all(pem)) > 10
