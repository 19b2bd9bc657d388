"""Over the network: who has a key gets what its role covers, and nobody else gets a word."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from supervisor_stack.control.client import StackClient
from supervisor_stack.control.codec import encode_request
from supervisor_stack.control.curve import CurveKeys
from supervisor_stack.control.messages import Reset, Restart, Status
from supervisor_stack.errors import NotPermittedError, RequestError, TimedOutError, UnreachableError
from tests.cli.shop import stackctl
from tests.network.bench import SERVICES, NetworkStack, Proxy

GREETING = 64
"""Bytes that both sides of ZMTP 3 begin with (rfc.zeromq.org/spec/23)."""

WELCOME = 2 + 168
"""Bytes of the answer to whoever knows stackd's public key (rfc.zeromq.org/spec/26), with its head."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[NetworkStack]:
    """Its operator has the key `web-admin`, and a screen on the wall has `screen`."""
    stack = NetworkStack(tmp_path)
    stack.admit("web-admin", "operate")
    stack.admit("screen", "view")
    with stack:
        stack.until_up()
        yield stack


def secret(stack: NetworkStack, name: str) -> Path:
    return stack.keys / f"{name}.key_secret"


def reread(stack: NetworkStack) -> None:
    """Have stackd read its keys again."""
    ran = stackctl("-c", stack.config, "apply")
    assert ran.code == 0
    assert "control.network.clients is taken up at once" in ran.out


def test_a_key_may_do_what_its_role_covers(stack: NetworkStack) -> None:
    with stack.connect(secret(stack, "web-admin")) as client:
        *_, finished = client.operate(Restart(services=("web",)), timeout=30)

        assert finished.ok  # type: ignore[union-attr]
        assert client.request(Status()).events == f"tcp://127.0.0.1:{stack.events_port}"
    asked = [notice.by for notice in stack.history() if notice.event == "RestartRequested"]
    assert asked == ["key web-admin"]
    assert "audit: key web-admin (127.0.0.1) asked to restart web: operation 2\n" in stack.output.read_text()
    with stack.connect(secret(stack, "screen")) as client, pytest.raises(NotPermittedError) as refused:
        list(client.operate(Restart(services=("web",))))
    message = "cannot restart web: you are key screen, with the role view, and it takes the role operate"
    assert refused.value.message == message
    assert f'screen = "operate" in {stack.keys}/roles.toml' in refused.value.detail[0]
    assert stack.service("web").run == 2


def test_notices_come_from_the_machine_that_was_reached(stack: NetworkStack) -> None:
    keys = stack.keys_of(secret(stack, "screen"))
    with StackClient(f"tcp://localhost:{stack.port}", keys=keys) as client:
        seq = client.request(Status()).seq
        notices = client.subscribe(seq, timeout=30)
        stack.operate(Restart(services=("web",)))

        assert next(notice for notice in notices if notice.by).by == "root"


def test_without_keys_nobody_even_tries() -> None:
    with pytest.raises(RequestError) as caught:
        StackClient("tcp://127.0.0.1:7890")

    assert caught.value.message == "cannot reach stackd at tcp://127.0.0.1:7890: the network takes keys"


def test_a_key_that_is_not_known_gets_nothing(stack: NetworkStack) -> None:
    stranger = CurveKeys(stack.keys_of(secret(stack, "screen")).server, *zmq.curve_keypair())
    with Proxy(stack.port) as proxy:
        with pytest.raises(NotPermittedError) as caught:
            StackClient(f"tcp://127.0.0.1:{proxy.port}", keys=stranger)

        assert caught.value.message.endswith("it hung up before the keys were agreed upon")
        assert "the key of this machine is not in its folder of keys" in caught.value.detail[1]
        assert proxy.connections[1].hung_up.wait(30)
        assert len(proxy.connections[1].answered) == GREETING + WELCOME, "what it takes to hear of the key"
    stack.until_log("audit: a key that is not known here was refused: " + stranger.public.decode())


def test_who_has_another_key_of_stackd_gets_nothing(stack: NetworkStack) -> None:
    keys = stack.keys_of(secret(stack, "web-admin"))._replace(server=zmq.curve_keypair()[0])
    with Proxy(stack.port) as proxy:
        with pytest.raises(NotPermittedError):
            StackClient(f"tcp://127.0.0.1:{proxy.port}", keys=keys)

        assert proxy.connections[1].hung_up.wait(30)
        assert len(proxy.connections[1].answered) == GREETING


@pytest.mark.parametrize("mechanism", ["NULL", "PLAIN"])
@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.SUB])
def test_nothing_less_than_curve_is_spoken(stack: NetworkStack, mechanism: str, kind: int) -> None:
    port = stack.port if kind == zmq.DEALER else stack.events_port
    with Proxy(port) as proxy, zmq.Context() as context, context.socket(kind) as client:
        client.linger = 0
        if mechanism == "PLAIN":
            client.plain_username, client.plain_password = b"root", b"root"
        if kind == zmq.SUB:
            client.subscribe(b"")
        client.connect(f"tcp://127.0.0.1:{proxy.port}")
        if kind == zmq.DEALER:
            client.send_multipart(encode_request(Status(id="1")))

        assert proxy.first().hung_up.wait(30)
        assert not client.poll(0)
        assert all(len(each.answered) <= GREETING for each in proxy.connections)


def test_a_recorded_connection_is_worth_nothing(stack: NetworkStack) -> None:
    with Proxy(stack.port) as proxy:
        keys = stack.keys_of(secret(stack, "web-admin"))
        with StackClient(f"tcp://127.0.0.1:{proxy.port}", keys=keys) as client:
            list(client.operate(Restart(services=("web",)), timeout=30))
        recorded = bytes(proxy.connections[1].asked)
    assert stack.service("web").run == 2

    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as replay:
        replay.sendall(recorded)
        heard = b""
        while more := _read(replay):
            heard += more

    assert b"\x07MESSAGE" in recorded
    assert len(heard) <= GREETING + WELCOME
    assert stack.service("web").run == 2, "nothing was done"
    assert stack.output.read_text().count("asked to restart web") == 1


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def test_a_key_that_is_removed_is_of_no_use_from_then_on(stack: NetworkStack) -> None:
    with (
        stack.connect(secret(stack, "screen"), timeout=2) as client,
        stack.connect(secret(stack, "web-admin")) as other,
    ):
        seq = client.request(Status()).seq
        notices = client.subscribe(seq)
        stack.operate(Restart(services=("web",)))
        assert next(notices).by == "root"

        (stack.keys / "clients" / "screen.key").unlink()
        roles = stack.keys / "roles.toml"
        roles.write_text('web-admin = "view"\n')
        reread(stack)

        with pytest.raises(TimedOutError):
            client.request(Status())
        with pytest.raises(NotPermittedError, match="with the role view"):
            other.request(Reset())
        assert other.request(Status()).stack.state == "running"
    with pytest.raises(NotPermittedError, match="hung up"):
        stack.connect(secret(stack, "screen"))


def test_a_subscriber_whose_key_is_removed_hears_nothing_more(stack: NetworkStack) -> None:
    keys = {name: stack.keys_of(secret(stack, name)) for name in ("screen", "web-admin")}
    with zmq.Context() as context, context.socket(zmq.SUB) as gone, context.socket(zmq.SUB) as stays:
        for feed, name in ((gone, "screen"), (stays, "web-admin")):
            feed.linger = 0
            feed.curve_serverkey, feed.curve_publickey, feed.curve_secretkey = keys[name]
            feed.subscribe(b"stack/1.event.")
            feed.connect(f"tcp://127.0.0.1:{stack.events_port}")
        _restart_until_heard(stack, gone)
        _restart_until_heard(stack, stays)

        (stack.keys / "clients" / "screen.key").unlink()
        (stack.keys / "roles.toml").write_text("")
        reread(stack)
        while gone.poll(0):
            gone.recv_multipart()
        while stays.poll(0):
            stays.recv_multipart()
        _restart_until_heard(stack, stays)

        assert not gone.poll(0)


def _restart_until_heard(stack: NetworkStack, feed: zmq.Socket[bytes]) -> None:
    """A PUB learns of a subscriber some time after that has connected, and tells nobody when."""
    for _ in range(100):
        stack.operate(Restart(services=("web",)))
        if feed.poll(100):
            return
    raise AssertionError("the subscriber hears nothing")


def test_a_machine_that_has_vanished_is_let_go(stack: NetworkStack) -> None:
    with Proxy(stack.port) as proxy:
        keys = stack.keys_of(secret(stack, "screen"))
        with StackClient(f"tcp://127.0.0.1:{proxy.port}", keys=keys) as client:
            client.request(Status())

            proxy.is_cut = True

            assert proxy.connections[1].hung_up.wait(60), "stackd has closed the connection"
            assert client.wait_gone(60), "and so has the client"


def test_a_port_that_is_taken_costs_nothing_but_the_network(tmp_path: Path) -> None:
    stack = NetworkStack(tmp_path)
    key = stack.admit("screen", "view")
    with socket.create_server(("127.0.0.1", stack.port)) as squatter:
        super(NetworkStack, stack).__enter__()
        stack.until_up()
        stack.until_log(f"cannot listen on {stack.endpoint}: Address already in use; stackd goes on without")
        squatter.close()
        stack.until_log("listening on tcp://")
    with stack.connect(key) as client:
        assert client.request(Status()).stack.state == "running"
    stack.__exit__(None, None, None)
    with pytest.raises(UnreachableError):
        stack.connect(key)


def test_what_listens_there_and_is_no_stackd_is_told_as_what_it_may_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        server, (public, private) = zmq.curve_keypair()[0], zmq.curve_keypair()

        with pytest.raises(TimedOutError) as caught:
            StackClient(endpoint, 0.5, CurveKeys(server, public, private))

    assert caught.value.message == f"cannot reach stackd at {endpoint}: no agreement on the keys within 0.5 s"
    causes = "\n".join(caught.value.detail)
    assert "it does not answer" in causes
    assert "server_key is not the key of that stackd" in causes


def test_a_secret_is_not_shown_by_chance() -> None:
    assert "geheim" not in repr(CurveKeys(b"server", b"public", b"geheim"))


def test_the_last_key_shuts_the_door_and_the_stack_goes_on(tmp_path: Path) -> None:
    stack = NetworkStack(tmp_path, SERVICES)
    with stack:
        stack.until_up()
        with pytest.raises(NotPermittedError):
            StackClient(
                stack.endpoint,
                keys=CurveKeys(
                    (stack.keys / "server.key").read_text().split('"')[1].encode(), *zmq.curve_keypair()
                ),
            )
        assert stack.status().stack.state == "running"
