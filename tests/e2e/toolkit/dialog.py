"""A dialog, RFC 3261 12: what a side must remember to speak within it."""
from toolkit.endpoint import is_request, is_response
from toolkit.sip import Address, SDP, Uri


class Dialog:
    """Made by as_caller() or as_callee() at the INVITE's 2xx."""

    def __init__(self, owner, call_id, local, remote, target, routes, cseq):
        self.owner, self.call_id = owner, call_id
        self.local, self.remote, self.target = local, remote, target
        self.routes, self.cseq = routes, cseq

    @classmethod
    def as_caller(cls, owner, invite, answer):
        return cls(owner, invite.call_id, invite.get("from"), answer.get("to"),
                   answer.contacts[0].uri, answer.all("record-route")[::-1], invite.cseq)

    @classmethod
    def as_callee(cls, owner, invite, answer):
        return cls(owner, invite.call_id, answer.get("to"), invite.get("from"),
                   invite.contacts[0].uri, invite.all("record-route"), 0)

    def next_hop(self):
        return Uri(Address(self.routes[0]).uri if self.routes else self.target).place

    def request(self, method, headers=(), body=b""):
        """A request within the dialog, with loose routing (RFC 3261 12.2.1.1)."""
        if method != "ACK":
            self.cseq += 1
        headers = [("Route", r) for r in self.routes] + list(headers)
        if method == "INVITE":
            headers.append(("Contact", "<sip:%s>" % self.owner.hostport))
            body = body or SDP
        return self.owner.request(method, self.target, self.local, self.remote, self.call_id,
                                  self.cseq, headers, body)

    def ack(self, answer):
        """The ACK of a 2xx; sent again when the 2xx comes again."""
        ack = self.request("ACK")
        self.owner.replies[answer.identity()] = (ack, self.next_hop())
        self.owner.send(ack, self.next_hop())
        return ack

    def exchange(self, method, headers=()):
        request = self.request(method, headers)
        self.owner.send(request, self.next_hop())
        answer = self.owner.final(request, self.next_hop())
        if method == "INVITE" and answer.status < 300:
            self.ack(answer)
        return answer


class OutgoingCall:
    """An INVITE that an endpoint sends, up to its final answer."""

    def __init__(self, owner, invite, to):
        self.owner, self.invite, self.to = owner, invite, to
        self.dialogs = []
        owner.send(invite, to)

    @property
    def call_id(self):
        return self.invite.call_id

    def provisional(self, status):
        return self.owner.wait(is_response(self.invite, status, status), "%d" % status)

    def final(self, timeout=6.0):
        """The next final answer; ACKed. A 2xx adds a dialog."""
        answer = self.owner.wait(is_response(self.invite, 200), "final answer to INVITE", timeout)
        if answer.status < 300:
            self.dialogs.append(Dialog.as_caller(self.owner, self.invite, answer))
            self.dialogs[-1].ack(answer)
        else:
            ack = self._same("ACK")
            ack.set("To", answer.get("to"))
            self.owner.replies[answer.identity()] = (ack, self.to)
            self.owner.send(ack, self.to)
        return answer

    def cancel(self, headers=()):
        """Sends CANCEL (RFC 3261 9.1); owner.final() awaits its answer."""
        cancel = self._same("CANCEL")
        cancel.headers += list(headers)
        self.owner.send(cancel, self.to)
        return cancel

    def _same(self, method):
        """A request of the INVITE's transaction: same branch, Route and CSeq number."""
        request = self.owner.request(method, self.invite.uri, self.invite.get("from"),
                                     self.invite.get("to"), self.call_id, self.invite.cseq,
                                     [("Route", r) for r in self.invite.all("route")])
        return request.set("Via", self.invite.get("via"))


def ask(dialog, other, method):
    """A request within the dialog, answered by the other side: request as it came, and the answer."""
    request = dialog.request(method)
    dialog.owner.send(request, dialog.next_hop())
    came = other.wait(is_request(method, dialog.call_id), method)
    headers = [("Contact", "<sip:%s>" % other.hostport)] if method == "INVITE" else []
    other.reply(came, 200, headers=headers, body=SDP if method == "INVITE" else b"")
    answer = dialog.owner.final(request, dialog.next_hop())
    if method == "INVITE":
        dialog.ack(answer)
        other.wait(is_request("ACK", dialog.call_id), "ACK")
    return came, answer
