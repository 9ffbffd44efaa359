"""A phone: registers, is called, calls."""
from toolkit import digest
from toolkit.dialog import Dialog, OutgoingCall
from toolkit.endpoint import Endpoint, is_request, is_response
from toolkit.sip import SDP, token
from toolkit.stream import Connection
from toolkit.world import WIRE


class Phone(Endpoint):
    """`server` is where it sends everything; `registrar_uri` what it registers at."""

    def __init__(self, server, user, password=None, domain="example.com", world=WIRE, host=None):
        super().__init__(host=host, world=world)
        self.server, self.user, self.password, self.domain = server, user, password, domain
        self.call_id, self.cseq = token(16), 0
        self.uri = "sip:%s@%s" % (user, self.hostport)
        self.challenge, self.nonce_count = None, 0

    @property
    def aor(self):
        return "sip:%s@%s" % (self.user, self.domain)

    @property
    def registrar_uri(self):
        return "sip:" + self.domain

    # -- registration ----------------------------------------------------------------------
    def register_request(self, expires=3600, contacts=None, headers=(), cseq=None, call_id=None):
        """`contacts`: whole header values; `expires` None: no Expires header."""
        self.cseq = self.cseq + 1 if cseq is None else cseq
        contacts = ["<%s>" % self.uri] if contacts is None else contacts
        headers = [("Contact", c) for c in contacts] + list(headers)
        if expires is not None:
            headers.append(("Expires", str(expires)))
        return self.request("REGISTER", self.registrar_uri, "<%s>;tag=%s" % (self.aor, self.tag),
                            "<%s>" % self.aor, call_id or self.call_id, self.cseq, headers)

    def register_once(self, *args, timeout=None, **kwargs):
        """One REGISTER, its answer whatever it is."""
        return self.exchange(self.register_request(*args, **kwargs), self.server, timeout)

    def credentials(self, method, uri):
        """For the challenge that was met last; each call uses the nonce once more."""
        self.nonce_count += 1
        return digest.credentials(self.challenge, self.user, self.password, method, uri,
                                  self.nonce_count)

    def meet(self, challenge):
        self.challenge, self.nonce_count = challenge, 0

    def register(self, *args, headers=(), **kwargs):
        """As a phone does it: with the credentials it has, answering a challenge once."""
        answer = self.register_once(*args, headers=self._authorization(headers), **kwargs)
        if answer.status == 401 and self.password is not None:
            self.meet(answer.get("www-authenticate"))
            answer = self.register_once(*args, headers=self._authorization(headers), **kwargs)
        return answer

    def _authorization(self, headers):
        if self.challenge is None:
            return headers
        return list(headers) + [("Authorization", self.credentials("REGISTER", self.registrar_uri))]

    def registered(self, *args, **kwargs):
        """Registers; anything but 200 fails the test."""
        answer = self.register(*args, **kwargs)
        assert answer.status == 200, answer.start
        return self

    def unregister(self):
        return self.register(0)

    def query(self):
        return self.register(None, contacts=[])

    # -- being called ----------------------------------------------------------------------
    def wait_invite(self, call=None, timeout=None):
        return self.wait(is_request("INVITE", call and call.call_id), "INVITE at " + self.user, timeout)

    def ring(self, invite, status=180):
        return self.reply(invite, status, headers=[("Contact", "<%s>" % self.uri)])

    def accept(self, invite):
        """Answers 200; the dialog."""
        answer = self.reply(invite, 200, headers=[("Contact", "<%s>" % self.uri)], body=SDP)
        return Dialog.as_callee(self, invite, answer)

    def refuse(self, invite, status, headers=()):
        """Answers with a failure and awaits its ACK."""
        self.reply(invite, status, headers=headers)
        return self.wait_ack(invite)

    def wait_ack(self, invite):
        return self.wait(is_request("ACK", invite.call_id), "ACK at " + self.user)

    def wait_cancel(self, invite):
        """The CANCEL of this INVITE; answered, and the INVITE ended with 487."""
        cancel = self.wait(is_request("CANCEL", invite.call_id), "CANCEL at " + self.user)
        assert cancel.branch == invite.branch and cancel.uri == invite.uri
        assert cancel.cseq == invite.cseq
        self.reply(cancel, 200)
        self.refuse(invite, 487)
        return cancel

    def invites(self):
        return self.received(is_request("INVITE"))

    # -- calling ---------------------------------------------------------------------------
    def invite_request(self, uri, headers=(), from_=None, call_id=None, cseq=1):
        headers = [("Contact", "<%s>" % self.uri)] + list(headers)
        return self.request("INVITE", uri, "<%s>;tag=%s" % (from_ or self.aor, self.tag),
                            "<%s>" % uri, call_id, cseq, headers, SDP)

    def call(self, uri, **kwargs):
        return OutgoingCall(self, self.invite_request(uri, **kwargs), self.server)


class TcpPhone(Phone):
    """Sends everything over its connection, which it opens at once; nobody can connect to it."""

    transport = "TCP"

    def __init__(self, *args, receive_buffer=None, **kwargs):
        self.connections, self.receive_buffer = [], receive_buffer
        super().__init__(*args, **kwargs)
        self.uri += ";transport=tcp"
        self.connect()

    @property
    def connection(self):
        return self.connections[-1]

    def connect(self):
        """A new connection, which it uses from now on; the old ones stay as they are."""
        self.connections.append(Connection.to(self, self.server, self.receive_buffer))
        return self

    def reconnect(self):
        """As after a change of network: the old connection is closed first."""
        self.connection.close()
        return self.connect()

    def send(self, message, to):
        super().send(message, to if isinstance(to, Connection) else self.connection)

    def final(self, request, to, timeout=None):
        """Nothing is sent again over a connection (RFC 3261 17.1.2.2)."""
        return self.wait(is_response(request, 200), "final response to " + request.start, timeout)

    def settle(self):
        """Returns when everything that midreg sent before now has been read."""
        if not self.connection.ended:
            self.connection.wait_pong()

    def close(self):
        for connection in self.connections:
            connection.close()
        super().close()
