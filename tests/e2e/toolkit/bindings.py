"""What a FreeSWITCH stores of registrations, and how `multiple-registrations` governs it."""
import re
import time


def canonical(contact):
    """How FreeSWITCH spells a URI back: unreserved escapes undone, the others in upper case."""
    def escape(m):
        char = chr(int(m.group(1), 16))
        return char if re.match(r"[A-Za-z0-9_.~-]", char) else "%" + m.group(1).upper()
    return re.sub(r"%([0-9A-Fa-f]{2})", escape, contact)


class Row:
    def __init__(self, contact, call_id, granted, now):
        self.contact, self.call_id, self.granted = contact, call_id, granted
        self.expires_at = now + granted

    def left(self, now):
        return max(0, round(self.expires_at - now))


class Bindings:
    """Rows by AOR. A row is known by its exact contact string."""

    LINGER = 60.0  # a row is used that long beyond its expiry

    def __init__(self, multiple="contact", now=time.monotonic):
        assert multiple in ("contact", "call-id", "false")
        self.multiple = multiple
        self.now = now  # the clock
        self.rows = {}

    def _matches(self, row, contact, call_id):
        if self.multiple == "contact":
            return row.contact == contact
        return self.multiple == "false" or row.call_id == call_id

    def _drop(self, aor, contact, call_id):
        self.rows[aor] = [r for r in self.rows.get(aor, []) if not self._matches(r, contact, call_id)]

    def add(self, aor, contact, call_id, granted):
        if self.multiple == "contact":  # the same contact of another AOR is replaced too
            for other in list(self.rows):
                self._drop(other, contact, call_id)
        else:
            self._drop(aor, contact, call_id)
        self.rows.setdefault(aor, []).append(Row(contact, call_id, granted, self.now()))

    def remove(self, aor, contact, call_id):
        if contact == "*" and self.multiple == "contact":
            return  # nothing happens, and it answers 200
        self._drop(aor, contact, call_id)

    def purge(self, aor=None):
        self.rows = {a: r for a, r in self.rows.items() if aor not in (None, a)}

    def flush(self, what):
        """flush_inbound_reg with a Call-ID or user@domain; the contacts that went."""
        went = [(aor, row) for aor, rows in self.rows.items() for row in rows if what in (aor, row.call_id)]
        for aor, row in went:
            self.rows[aor].remove(row)
        return [row.contact for _, row in went]

    def unexpired(self, aor):
        return [r for r in self.rows.get(aor, []) if r.expires_at > self.now()]

    def callable(self, aor):
        return [r for r in self.rows.get(aor, []) if r.expires_at + self.LINGER > self.now()]
