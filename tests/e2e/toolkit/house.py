"""The usual set: midreg between phones and a scripted main registrar, all on loopback."""
from toolkit.config import config_text, usual
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import Midreg, free_port
from toolkit.phone import Phone, TcpPhone
from toolkit.sip import token
from toolkit.world import WIRE


class House:
    world = WIRE

    def __init__(self, directory):
        self.directory = directory
        self.midreg = None
        self.phones = []
        self.server, self.registrar = self.places()

    # -- what another world does in another way ------------------------------------------------
    def places(self):
        """Where midreg will be, and the main registrar."""
        registrar = MainRegistrar()
        return ("127.0.0.1", free_port()), registrar

    def configuration(self):
        (self.directory / "state").mkdir(exist_ok=True)
        return usual(self.port, self.registrar.hostport, self.directory / "state")

    def run(self, config_file):
        return Midreg(config_file, self.port)

    # -- the same everywhere -------------------------------------------------------------------
    @property
    def port(self):
        return self.server[1]

    def start(self, upstream=None, **options):
        """Runs midreg; options as in its file, `upstream`: more of the upstream's."""
        config = self.configuration()
        config["upstream"]["pbx"].update(upstream or {})
        config.update(options)
        path = self.directory / "midreg.conf"
        path.write_text(config_text(config))
        self.midreg = self.run(path)
        return self

    def restart(self):
        """Ends midreg and starts it again with the same configuration."""
        self.midreg.stop()
        self.midreg = self.run(self.midreg.config_file)

    def phone(self, user="al", password=None, **kwargs):
        phone = Phone(self.server, user, password, world=self.world, **kwargs)
        self.phones.append(phone)
        return phone

    def tcp_phone(self, user="al", password=None, **kwargs):
        phone = TcpPhone(self.server, user, password, **kwargs)
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
