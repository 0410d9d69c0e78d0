"""Callers of an authority under faults: each certificate that any of them
gets is kept, to be held against the record."""

import concurrent.futures

import grpc

from . import net, pki, rpc
from .process import until
from .record import audit_lines, check_given, verify_chain

CODE = grpc.StatusCode
# What a caller may be told when it is not its fault.
OURS = {CODE.UNAVAILABLE, CODE.INTERNAL, CODE.RESOURCE_EXHAUSTED}


class Callers:
    """Each on a connection of its own."""

    def __init__(self, one):
        self.one, self.given = one, []
        self.pair = None  # of the last certificate: chain and key, as PEM

    def ask(self, csr, cert=None, key=None, token=None, own_key=None):
        """The status of the answer. own_key: of the CSR, to renew with."""
        try:
            with self.one.channel(cert=cert, key=key) as channel:
                chain = rpc.create_certificate(channel, csr, seconds=0,
                                               token=token, timeout=10)
        except grpc.RpcError as why:
            return why.code()
        self.given.append(pki.load_all(chain[0])[0])
        if own_key is not None:
            self.pair = "".join(chain[:-1]), pki.key_pem(own_key)
        return CODE.OK

    def issue(self):
        """By token."""
        key = pki.new_key()
        return self.ask(pki.new_csr(key), own_key=key,
                        token=self.one.issuer.token("shop", "cart"))

    def renew(self):
        """By the certificate before it."""
        key = pki.new_key()
        return self.ask(pki.new_csr(key), *self.pair, own_key=key)

    def burst(self, count=4):
        """Some at once; the statuses."""
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.issue(), range(count)))

    def await_issue(self, what, seconds=20):
        until(lambda: self.issue() == CODE.OK, f"it issued again after {what}",
              seconds, alive=self.one.process)

    def check(self):
        """All that was given out, after a stop of the authority that must
        have ended well."""
        until(lambda: net.get(self.one.http + "/ready")[0] == 200,
              "all roles were ready", alive=self.one.process)
        assert self.one.stop() == 0
        check_given(self.one, self.given)
        verify_chain(audit_lines(self.one))
