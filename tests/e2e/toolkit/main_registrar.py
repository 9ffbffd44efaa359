"""A main registrar that behaves like a FreeSWITCH with mod_sofia, line by line as observed.

REGISTER is answered by itself, an OPTIONS that asks whether it is there too; everything else is the test's. Attributes are its configuration and
may be changed at any time.
"""
from email.utils import formatdate

from toolkit import digest
from toolkit.bindings import Bindings, canonical
from toolkit.dialog import OutgoingCall
from toolkit.endpoint import Endpoint
from toolkit.midreg import free_port
from toolkit.sip import SDP, Uri, respond, token
from toolkit.stream import Listener
from toolkit.world import WIRE


class Register:
    """One REGISTER that came, without its retransmissions."""

    def __init__(self, request):
        self.request, self.time, self.status = request, request.time, None
        self.aor = aor_of(request.to.uri)
        first = request.contacts[:1]
        self.contact = first[0].uri if first else None
        given = request.get("expires") or (first[0].params.get("expires") if first else None)
        self.expires = int(given) if given is not None else 300

    @property
    def user(self):
        return self.aor.partition("@")[0]

    @property
    def removes(self):
        return self.contact is not None and self.expires == 0

    def __repr__(self):
        return "<REGISTER %s %s expires=%d: %s>" % (self.aor, self.contact, self.expires, self.status)


def aor_of(uri):
    u = Uri(uri)
    return "%s@%s" % (u.user, u.host.lower())


class MainRegistrar(Endpoint):
    def __init__(self, multiple="contact", place=None, world=WIRE):
        self.registers = []
        self.bindings = Bindings(multiple, world.now)
        self.trusted = True       # apply-register-acl: our peer needs no credentials
        self.passwords = {}       # user -> password
        self.state = "running"    # "starting": 503; "restarting": 410; "silent"
        self.silent_for = set()   # users that get no answer
        self.refuse = {}          # user -> status
        self.force_expires = None # sip-force-expires; digest-authenticated REGISTERs only
        self.grant_at_most = None # as other registrars do
        self.min_expires = None   # 423 below; FreeSWITCH never does this
        self.pings = 0            # OPTIONS that asked whether it is there
        self.held = None          # a list: answers are kept here until release()
        self.foreign_rows = []    # more contacts in each 200
        self.nonces = {}          # nonce -> [end of life, last nc]
        self.merged = {}          # (Call-ID, CSeq, From tag) -> branch
        self.listener = None      # for TCP
        host, port = place or (None, free_port())  # free for TCP, too
        super().__init__(port, host, world)

    def listen(self):
        """Takes TCP connections on its port."""
        self.listener = Listener(self)
        return self.listener

    def close(self):
        if self.listener:
            self.listener.close()
        super().close()

    # -- what it does with a request ---------------------------------------------------------
    def handle(self, message):
        if not message.is_request:
            return False
        if message.method == "REGISTER":
            self.registers.append(Register(message))
            self._register(self.registers[-1])
            return True
        if message.method == "OPTIONS" and Uri(message.uri).user is None:  # is somebody there?
            self.pings += 1
            if self.state != "silent":
                self.reply(message, 200)  # also while it starts
            return True
        return False

    def handle_again(self, message):
        with self.news:
            for seen in self.registers:
                if seen.request.identity() == message.identity() and seen.status is None:
                    self._register(seen)

    def _register(self, seen):
        request = seen.request
        if self.state == "silent" or seen.user in self.silent_for:
            return
        status, headers = self._judge(request, seen)
        seen.status = status
        answer = respond(request, status, tag=self.tag, headers=headers)
        self.replies[request.identity()] = (answer, request.source)
        if self.held is not None:
            self.held.append((answer, request.source))
        else:
            self.send(answer, request.source)

    def release(self):
        """Sends the answers that were held back."""
        with self.news:
            held, self.held = self.held, None
        for answer, to in held:
            self.send(answer, to)

    def _judge(self, request, seen):
        if self.state == "starting":
            return 503, [("Retry-After", "300")]
        if self.state == "restarting":
            return 410, []
        if self._is_merged(request):
            return 482, []
        if seen.user in self.refuse:
            return self.refuse[seen.user], []
        if not self.trusted:
            verdict = self._authenticate(request, "REGISTER", "authorization", 401)
            if verdict:
                return verdict
        if self.min_expires and 0 < seen.expires < self.min_expires:
            return 423, [("Min-Expires", str(self.min_expires))]
        self._store(request, seen)
        return 200, self._listing(request)

    def _is_merged(self, request):
        key = (request.call_id, request.get("cseq"), request.from_.tag)
        return self.merged.setdefault(key, request.branch) != request.branch

    def _store(self, request, seen):
        if seen.contact is None:  # a query is none to it
            self.bindings.add(seen.aor, "", request.call_id, seen.expires)
            return
        contact = canonical(seen.contact)
        if seen.removes:
            return self.bindings.remove(seen.aor, contact, request.call_id)
        granted = seen.expires
        if not self.trusted and self.force_expires:
            granted = self.force_expires
        if self.grant_at_most:
            granted = min(granted, self.grant_at_most)
        if contact != "*" and Uri(contact).user is None:
            contact = contact.replace("sip:", "sip:(null)@", 1)
        self.bindings.add(seen.aor, contact, request.call_id, granted)
        self._renew_nonce(request, granted)

    def _listing(self, request):
        """All rows of the From user."""
        rows = self.bindings.unexpired(aor_of(request.from_.uri))
        contacts = ["<%s>;expires=%d" % (r.contact, r.left(self.world.now())) for r in rows]
        contacts = self.foreign_rows[:1] + contacts + self.foreign_rows[1:]  # in whatever order
        return [("Contact", c) for c in contacts] + [
            ("Date", formatdate(self.world.wall(), usegmt=True)),
            ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY"),
            ("Supported", "timer, path, replaces")]

    # -- digest ----------------------------------------------------------------------------
    def _challenge(self, request, status, stale=False):
        nonce = "-".join(token(n) for n in (8, 4, 4, 4, 12))
        self.nonces[nonce] = [self.world.now() + 60, 0]
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        value = 'Digest realm="%s", nonce="%s", %salgorithm=MD5, qop="auth"' % (
            Uri(request.to.uri).host, nonce, "stale=true, " if stale else "")
        return status, [(name, value)]

    def _authenticate(self, request, method, header, status):
        """None when the credentials are good, else (status, headers)."""
        given = request.get(header)
        if not given:
            return self._challenge(request, status)
        p = digest.parse(given)
        life = self.nonces.get(p.get("nonce"))
        count = int(p.get("nc", "0"), 16)
        if not life or life[0] < self.world.now() or count <= life[1]:
            return self._challenge(request, status, stale=True)
        password = self.passwords.get(p.get("username"))
        who = request.to if method == "REGISTER" else request.from_
        if password is None or not digest.correct(p, password, method):
            return 403, []
        if p["username"] != Uri(who.uri).user:  # inbound-reg-force-matching-username
            return 403, []
        life[1] = count
        return None

    def _renew_nonce(self, request, granted):
        life = self.nonces.get(digest.parse(request.get("authorization", "")).get("nonce"))
        if life:
            life[0] = self.world.now() + 60 + granted

    # -- for tests: what it knows ------------------------------------------------------------
    def of(self, user):
        """The REGISTERs for a user so far."""
        self.settle()
        with self.news:
            return [r for r in self.registers if r.user == user]

    def wait_register(self, user, match=lambda r: True, timeout=None, count=1):
        """The count-th REGISTER for this user that matches."""
        def found():
            return [r for r in self.registers if r.user == user and match(r)]
        with self.news:
            done = self.wait_for(lambda: len(found()) >= count, timeout)
            assert done, "not %d fitting REGISTERs for %s within %s s; came: %s" % (
                count, user, timeout or self.world.patience, self.registers)
            return found()[count - 1]

    def wait_removed(self, user, timeout=None, count=1):
        return self.wait_register(user, lambda r: r.removes, timeout, count)

    def wait_probe(self):
        """midreg's question whether we challenge anybody: the first REGISTER of all."""
        with self.news:
            assert self.wait_for(lambda: self.registers), "no probe"
            return self.registers[0]

    def contacts(self, user, domain="example.com"):
        """The contacts that it holds at this moment."""
        with self.news:
            return [r.contact for r in self.bindings.unexpired("%s@%s" % (user, domain))]

    def purge(self):
        """sofia profile X flush_inbound_reg: nobody tells the client."""
        with self.news:
            self.bindings.purge()
            self.nonces.clear()

    # -- for tests: calls --------------------------------------------------------------------
    @staticmethod
    def request_uri(contact):
        """What its INVITE keeps of a stored contact."""
        contact = contact.split(",")[0].split("|")[0]
        return contact.split(";fs_")[0]

    def stored_contact(self, user, domain="example.com"):
        with self.news:
            rows = self.bindings.callable("%s@%s" % (user, domain))
            assert len(rows) == 1, "holds %d rows for %s" % (len(rows), user)
            return rows[0].contact

    def request_to(self, method, contact, to=None, headers=(), body=b""):
        """A request to a stored contact as FreeSWITCH sends it: To is our contact."""
        uri = self.request_uri(contact)
        return self.request(method, uri, "<sip:0000000000@%s>;tag=%s" % (self.hostport.rpartition(":")[0], token()),
                            to or "<%s>" % uri, headers=list(headers) +
                            [("Contact", "<sip:mod_sofia@%s>" % self.hostport)], body=body)

    def call_contact(self, contact, **kwargs):
        return OutgoingCall(self, self.request_to("INVITE", contact, body=SDP, **kwargs),
                            Uri(contact).place)

    def call(self, user, **kwargs):
        return self.call_contact(self.stored_contact(user), **kwargs)

    def ping(self, user, domain="example.com", contact=None):
        """all-reg-options-ping: OPTIONS to the contact, To the AOR; the answer."""
        contact = contact or self.stored_contact(user, domain)
        request = self.request_to("OPTIONS", contact, to="<sip:%s@%s>" % (user, domain))
        return self.exchange(request, Uri(contact).place)

    def wait_request(self, method, call_id=None):
        return self.wait(lambda m: m.is_request and m.method == method and call_id in (None, m.call_id),
                         method + " at the main registrar")

    def challenge(self, request):
        """407 to a call, as it does without apply-inbound-acl."""
        status, headers = self._challenge(request, 407)
        self.reply(request, status, headers=headers)

    def authenticates(self, request):
        """Are the credentials of this call good?"""
        return self._authenticate(request, request.method, "proxy-authorization", 407) is None
