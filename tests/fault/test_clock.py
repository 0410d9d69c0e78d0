"""The authority's wall clock jumps, or was wrong when it started. While it is
wrong nothing is signed that others could not use; when it is right again, so
is everything else, without anybody's help. Only the wall clock moves: nothing
that waits or times out may notice."""

import datetime
import socket
import ssl
import time

import grpc
import pytest
from cryptography import x509
from support import net, pki, rpc
from support.callers import CODE, Callers
from support.process import until
from support.record import rows

HOUR, YEAR = 3600, 365 * 86400
ROLES = ("front", "authority", "signer")
LATE = 40  # seconds: what is looked at every ten must have been seen


def jump(points, seconds):
    for role in ROLES:
        points.set_clock(role, seconds)


def refusal(callers, token=None):
    """(status, text) of one request."""
    one = callers.one
    with one.channel() as channel, pytest.raises(grpc.RpcError) as why:
        rpc.create_certificate(channel, pki.new_csr(pki.new_key()), timeout=10,
                               token=token or one.issuer.token("shop", "cart"))
    return why.value.code(), why.value.details()


def token_at(one, seconds):
    """A token for whose issuer it is so much later."""
    now = int(time.time()) + seconds
    return one.issuer.token("shop", "cart", iat=now, nbf=now, exp=now + HOUR)


def start(make_faulty, **config):
    one, points = make_faulty({"fronts": 1, **config})
    one.start()
    callers = Callers(one)
    callers.await_issue("the start")
    return one, points, callers


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


def serving_begins(one):
    """Asked as a client that does not look at it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, port = one.target.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as plain, \
            context.wrap_socket(plain) as sock:
        der = sock.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).not_valid_before_utc


def serial_prefixes(one):
    return [serial >> 104 for serial in sorted(rows(one))]


@pytest.mark.parametrize("seconds", [HOUR, 9 * YEAR])
def test_ahead_within_the_cas_life(make_faulty, seconds):
    """Nobody can know that it is wrong: certificates have that time, and
    tokens of today have expired. Back again, serials go on."""
    one, points, callers = start(make_faulty)
    jump(points, seconds)
    assert refusal(callers)[0] == CODE.UNAUTHENTICATED \
        if seconds > HOUR else True
    key = pki.new_key()
    assert callers.ask(pki.new_csr(key),
                       token=token_at(one, seconds)) == CODE.OK
    ahead = callers.given[-1]
    assert abs(ahead.not_valid_before_utc.timestamp() + 120 -
               time.time() - seconds) < 60
    jump(points, 0)
    callers.await_issue("the jump")
    now = callers.given[-1]
    assert abs(now.not_valid_before_utc.timestamp() + 120 -
               time.time()) < 60
    assert now.serial_number > ahead.serial_number
    callers.check()
    one.start()
    callers.await_issue("a restart")
    assert callers.given[-1].serial_number > now.serial_number
    callers.check()


def test_ten_years_ahead_is_past_the_end_of_the_ca(make_faulty):
    one, points, callers = start(make_faulty, **{"issuer.ttl": "78840h"})
    jump(points, 10 * YEAR)
    code, text = refusal(callers, token_at(one, 10 * YEAR))
    assert code == CODE.INTERNAL and "chain ended at" in text
    jump(points, 0)
    callers.await_issue("the jump")
    root = pki.load_all(one.root_pem())[0]
    assert all(cert.not_valid_after_utc <= root.not_valid_after_utc
               for cert in callers.given)
    callers.check()


@pytest.mark.parametrize("seconds", [-HOUR, -10 * YEAR, 0 - int(time.time())])
def test_back_before_the_beginning_of_the_ca(make_faulty, seconds):
    one, points, callers = start(make_faulty)
    before = max(cert.serial_number for cert in callers.given)
    jump(points, seconds)
    code, text = refusal(callers, token_at(one, seconds))
    assert code == CODE.UNAVAILABLE
    assert "the authority's clock says" in text and "begins at" in text
    intents = len(rows(one))
    refusal(callers, token_at(one, seconds))
    assert len(rows(one)) == intents
    jump(points, 0)
    callers.await_issue("the jump")
    assert min(cert.serial_number for cert in callers.given[-1:]) > before
    callers.check()


def test_an_hour_back_with_an_older_ca(make_faulty):
    """Issued with the time that the machine says it is, never reusing a
    serial; a leaf never begins before its CA."""
    one, points = make_faulty({"fronts": 1})
    jump(points, -100 * 86400)
    one.start()
    callers = Callers(one)
    jump(points, 0)
    callers.await_issue("the start")
    newest = callers.given[-1].serial_number
    jump(points, -HOUR)
    assert callers.ask(pki.new_csr(pki.new_key()),
                       token=token_at(one, -HOUR)) == CODE.OK
    assert callers.given[-1].serial_number > newest
    root = pki.load_all(one.root_pem())[0]
    for cert in callers.given:
        assert cert.not_valid_before_utc >= root.not_valid_before_utc
    jump(points, 0)
    callers.await_issue("the jump")
    callers.check()


def test_a_start_in_1970_makes_no_ca_and_goes_on_when_the_clock_is_set(
        make_faulty):
    one, points = make_faulty({"fronts": 1})
    jump(points, 60 - int(time.time()))
    one.start(wait=False)
    one.process.await_line("the clock says 1970.*no CA certificate is made")
    assert not list((one.data / "issuer").glob("*-cert.pem"))
    jump(points, 0)
    one.await_ready()
    root = pki.load_all(one.root_pem())[0]
    assert abs(root.not_valid_before_utc.timestamp() - time.time()) < 300
    callers = Callers(one)
    callers.await_issue("the start")
    callers.check()


def test_a_start_in_1970_with_an_older_ca_goes_on_when_the_clock_is_set(
        make_faulty):
    one, points, callers = start(make_faulty)
    callers.check()
    jump(points, 60 - int(time.time()))
    one.start(wait=False)
    one.process.await_line("the clock says 1970")
    jump(points, 0)
    one.await_ready()
    callers.await_issue("the start")
    callers.check()


def test_what_was_made_ahead_of_time_is_made_again(make_faulty):
    """Two tiers: the issuing CA, renewed while the clock was ahead, and the
    authority's own certificate begin in the future when it is right again."""
    one, points, callers = start(make_faulty, **{
        "issuer.tiers": 2, "issuer.issuing_ttl": "10m", "cert.max_ttl": "5m",
        "cert.default_ttl": "5m", "serving.ttl": "5m"})
    jump(points, 5 * HOUR)
    one.process.await_line("the issuing CA was renewed", LATE)
    until(lambda: serving_begins(one) > utc_now() + datetime.timedelta(hours=4),
          "the authority's own certificate was renewed", LATE)
    mark = one.process.mark()
    jump(points, 0)
    one.process.await_line("the issuing CA was renewed", LATE,
                           since=mark)
    callers.await_issue("the jump", LATE)
    assert callers.given[-1].not_valid_before_utc <= utc_now()
    callers.check()


def test_a_join_token_waits_for_the_right_time(make_faulty):
    one, points, callers = start(make_faulty)
    identity = "spiffe://cluster.local/ns/shop/sa/cart"
    with one.admin() as channel:
        token = rpc.create_token(channel, identity, seconds=600)
    jump(points, HOUR)
    assert refusal(callers, token)[0] == CODE.UNAUTHENTICATED
    jump(points, 0)
    assert callers.ask(pki.new_csr(pki.new_key()), token=token) == CODE.OK
    assert refusal(callers, token)[0] == CODE.UNAUTHENTICATED
    callers.check()


def test_deadlines_and_restarts_know_no_wall_clock(make_faulty):
    """A caller's deadline, the wait for a role, the sweep of old requests."""
    one, points, callers = start(make_faulty)
    for seconds in (10 * YEAR, -10 * YEAR, HOUR, -HOUR, 0):
        jump(points, seconds)
        with one.channel() as channel:
            assert rpc.health(channel) == "SERVING"
        assert net.get(one.http + "/ready")[0] == 200
    callers.await_issue("all of that")
    assert "role_died" not in one.process.tail(400)
    callers.check()
