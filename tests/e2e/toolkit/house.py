"""The usual set: midreg between phones and a scripted main registrar, all on loopback."""
from toolkit.config import config_text, usual
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import Midreg, free_port
from toolkit.phone import Phone, TcpPhone
from toolkit.sip import token


class House:
    def __init__(self, directory):
        self.directory = directory
        self.registrar = MainRegistrar()
        self.midreg = None
        self.phones = []
        self.port = free_port()

    def start(self, upstream=None, **options):
        """Runs midreg; options as in its file, `upstream`: more of the upstream's."""
        config = usual(self.port, self.registrar.hostport, self.directory / "state")
        config["upstream"]["pbx"].update(upstream or {})
        config.update(options)
        (self.directory / "state").mkdir(exist_ok=True)
        path = self.directory / "midreg.conf"
        path.write_text(config_text(config))
        self.midreg = Midreg(path, self.port)
        return self

    def restart(self):
        """Ends midreg and starts it again with the same configuration."""
        self.midreg.stop()
        self.midreg = Midreg(self.midreg.config_file, self.port)

    def phone(self, user="al", password=None, **kwargs):
        phone = Phone(("127.0.0.1", self.port), user, password, **kwargs)
        self.phones.append(phone)
        return phone

    def tcp_phone(self, user="al", password=None, **kwargs):
        phone = TcpPhone(("127.0.0.1", self.port), user, password, **kwargs)
        self.phones.append(phone)
        return phone

    def registered(self, user="al", **kwargs):
        return self.phone(user, **kwargs).registered()

    def fence(self):
        """Returns when all that midreg had to send upstream until now has arrived: a new identity
        is registered, which must go up (datagrams on loopback keep their order)."""
        user = "fence" + token(6)
        phone = self.phone(user, "secret")
        self.registrar.passwords[user] = "secret"
        phone.registered()
        self.registrar.wait_register(user)

    def close(self):
        try:
            if self.midreg:
                self.midreg.stop()
        finally:
            for endpoint in self.phones + [self.registrar]:
                endpoint.close()
