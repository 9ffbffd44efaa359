"""Digest, RFC 7616 with MD5 and qop=auth: both sides."""
import hashlib
import re

from toolkit.sip import token


def parse(value):
    """The parameters of a challenge or of credentials."""
    found = re.findall(r'([\w-]+)\s*=\s*("(?:\\.|[^"\\])*"|[^,\s]+)', value)
    return {name.lower(): text.strip('"') for name, text in found}


def md5(*parts):
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def response(p, user, password, method):
    ha1 = md5(user, p["realm"], password)
    return md5(ha1, p["nonce"], p["nc"], p["cnonce"], p["qop"], md5(method, p["uri"]))


def credentials(challenge, user, password, method, uri, count=1):
    """The value of (Proxy-)Authorization; `count` is the use of this nonce, from 1."""
    p = parse(challenge)
    p.update(uri=uri, nc="%08x" % count, cnonce=token(8), qop="auth")
    p["response"] = response(p, user, password, method)
    return ('Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, '
            'cnonce="%s", qop=auth, nc=%s' % (user, p["realm"], p["nonce"], uri, p["response"],
                                             p["cnonce"], p["nc"]))


def correct(p, password, method):
    """Do these parsed credentials prove the password?"""
    try:
        return p["response"] == response(p, p["username"], password, method)
    except KeyError:
        return False
