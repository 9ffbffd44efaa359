"""What the end-to-end tests are made of: SIP, phones, main registrars, the program."""
