"""midreg's configuration file, written from Python values."""


def text_of(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"%s"' % value
    if isinstance(value, list):
        return "[ %s ]" % ", ".join(text_of(v) for v in value)
    return "{ %s }" % " ".join("%s = %s;" % (k, text_of(v)) for k, v in value.items())


def config_text(options):
    """One option a line; underscores stand for hyphens; None leaves an option out."""
    return "".join("%s = %s\n" % (name.replace("_", "-"), text_of(value))
                   for name, value in options.items() if value is not None)


def usual(port, upstream, state_dir):
    """What most tests run with: nothing expires by itself, nothing is random or paced."""
    return {"listen": ["%s:127.0.0.1:%d" % (transport, port) for transport in ("udp", "tcp")], "domains": ["example.com"],
            "auth": "none", "phone_expires": 60, "min_expires": 1, "upstream_expires": 600,
            "expires_jitter": 0, "state_dir": str(state_dir),
            "admin": ["unix:%s/admin.sock" % state_dir],
            "upstream": {"pbx": {"address": upstream, "rate": 0}}}
