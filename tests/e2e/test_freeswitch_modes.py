"""A FreeSWITCH in each of its ways to store registrations, mode for mode: whatever it says or loses,
the lease is right again within two retries, after a purge within the lease."""
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from toolkit.bindings import canonical
from toolkit.endpoint import poll
from toolkit.house import House
from toolkit.sip import Uri

ASKED, LEASE = 600, 3  # seconds; its grants are short, so that midreg's refreshes can be awaited
RETRY = 2              # retry-max: between two attempts there is at most that
MODES = ["contact", "call-id", "false"]


@pytest.fixture
def houses(tmp_path):
    """One for each `multiple-registrations`."""
    made, pool = [], ThreadPoolExecutor(len(MODES))  # a program ends with the thread that has started it
    try:
        for mode in MODES:
            (tmp_path / mode).mkdir()
            made.append(House(tmp_path / mode))
            made[-1].registrar.bindings.multiple = mode
        yield [(house, pool) for house in made]
    finally:
        for house in made:
            house.close()
        pool.shutdown()


def in_each_mode(story):
    """A test that is told to all three at once; its first argument is the house."""
    def test(houses, **arguments):
        told = [pool.submit(story, house, **arguments) for house, pool in houses]
        for mode, end in zip(MODES, told):
            try:
                end.result()
            except BaseException as e:
                raise AssertionError("multiple-registrations = %s: %s" % (mode, e)) from e
    parameters = inspect.signature(story).parameters.values()
    test.__name__, test.__doc__ = story.__name__, story.__doc__
    test.__signature__ = inspect.Signature([p.replace(name="houses" if p.name == "house" else p.name)
                                            for p in parameters])
    return test


def start(house, **options):
    """midreg keeps the leases by its own means; phones stay away for a minute."""
    house.registrar.grant_at_most = LEASE
    house.start(phone_expires=60, upstream_expires=ASKED, retry_max=RETRY, **options)


def start_with_digest(house):
    """midreg has no means of its own; phones come often."""
    house.registrar.trusted, house.registrar.passwords = False, {"al": "secret"}
    house.start(auth="upstream", phone_expires=2, upstream_expires=LEASE + 1, retry_max=RETRY)
    house.registrar.wait_probe()
    return house.phone("al", "secret").registered()


def good(register):
    return register.status == 200


def refreshes(house, user="al"):
    return [r for r in house.registrar.of(user) if not r.removes]


def is_right(house, user="al"):
    """One contact is stored, ours, as it was sent first."""
    return house.registrar.contacts(user) == [canonical(house.registrar.of(user)[0].contact)]


def rings(house, phone):
    call = house.registrar.call(phone.user)
    phone.refuse(phone.wait_invite(call), 486)
    return call.final().status == 486


def check_all_is_right(house, phone):
    assert is_right(house, phone.user)
    assert rings(house, phone)
    assert phone.register().status == 200, "and the phone knows nothing of it"
    sent = refreshes(house, phone.user)
    assert len({(r.contact, r.request.call_id) for r in sent}) == 1, "one contact and one Call-ID for life"
    numbers = [r.request.cseq for r in sent]
    assert numbers == sorted(set(numbers)), "a new CSeq each time"


def wait_failure(house, status, user="al", times=1):
    return house.registrar.wait_register(user, lambda r: r.status == status, timeout=LEASE + times * RETRY, count=times)


def wait_right(house, status, user="al", retries=2):
    """It is granted again after the failure, with that many retries at most."""
    def after_the_failure():
        sent = refreshes(house, user)
        return sent[max(i for i, r in enumerate(sent) if r.status == status) + 1:]
    poll(lambda: any(good(r) for r in after_the_failure()), "it is granted again", (retries + 1) * (RETRY + 1))
    took = next(i for i, r in enumerate(after_the_failure(), 1) if good(r))
    assert took <= retries, after_the_failure()


# -- what it echoes and grants ----------------------------------------------------------------------------
@in_each_mode
def test_the_canonicalised_echo_is_known_as_our_contact(house):
    start(house)
    phones = {user: house.registered(user) for user in ("al", "a~b", "x!y", "d'artagnan", "%61l-%7e")}
    names = [r.user for r in house.registrar.registers]
    assert len(set(names)) == len(phones)
    for name, phone in zip(names, phones.values()):
        house.registrar.wait_register(name, good, timeout=LEASE + 1, count=2)
        one, two = house.registrar.of(name)[:2]
        assert two.time - one.time > LEASE / 2, "the grant was read"
        call = house.registrar.call(name)  # there is one row
        phone.refuse(phone.wait_invite(call), 486)
        assert call.final().status == 486


@in_each_mode
def test_its_expires_header_beats_the_parameter_so_both_are_sent_and_equal(house):
    start(house)
    house.registered("al")
    house.registrar.wait_register("al", good, timeout=LEASE + 1, count=2)
    for register in house.registrar.of("al"):
        request = register.request
        assert int(request.get("expires")) == request.contacts[0].expires == ASKED
        assert request.contacts[0].params.keys() == {"expires"} and len(request.contacts) == 1


@in_each_mode
def test_its_expires_are_believed_when_they_are_not_what_was_asked_for(house):
    start(house)
    house.registrar.grant_at_most = 2
    house.registered("al")
    first = house.registrar.wait_register("al")
    for count in (2, 3):
        again = house.registrar.wait_register("al", good, timeout=3, count=count)
        assert 1 < again.time - first.time < 2, "not after it lapsed"
        first = again
    assert is_right(house)


@in_each_mode
def test_rows_of_others_in_its_answer_are_not_ours(house):
    start(house)
    house.registrar.foreign_rows = ["<sip:al@192.0.2.9:5060>;expires=1", "<sip:al@192.0.2.9;fs_nat=yes>;expires=900"]
    al = house.registered("al")
    one, two = (house.registrar.wait_register("al", good, timeout=LEASE + 1, count=n) for n in (1, 2))
    assert LEASE / 2 < two.time - one.time < LEASE
    check_all_is_right(house, al)


# -- what it stores and removes ------------------------------------------------------------------------------
@in_each_mode
def test_phones_come_and_go_and_one_row_is_stored(house):
    start(house)
    one, two = house.registered("al"), house.registered("al")
    house.registrar.wait_register("al", good, timeout=LEASE + 1, count=2)
    assert is_right(house)
    one.unregister()
    check_all_is_right(house, two)
    two.unregister()
    house.registrar.wait_removed("al")
    assert house.registrar.contacts("al") == []
    back = house.registered("al")
    check_all_is_right(house, back)


@in_each_mode
def test_star_removes_the_row_although_it_ignores_stars(house):
    start(house)
    al = house.registered("al")
    al.register(0, contacts=["*"])
    removed = house.registrar.wait_removed("al")
    assert removed.contact == house.registrar.of("al")[0].contact != "*"
    assert house.registrar.contacts("al") == []


@in_each_mode
def test_two_identities_have_two_rows(house):
    """In contact mode the same contact of a second user would delete the first one's row."""
    start(house)
    al, bo = house.registered("al"), house.registered("bo")
    for phone in (al, bo):
        house.registrar.wait_register(phone.user, good, timeout=LEASE + 1, count=2)
        check_all_is_right(house, phone)


@in_each_mode
def test_a_phones_query_stores_no_empty_contact(house):
    start(house)
    al = house.registered("al")
    assert [c.uri for c in al.query().contacts] == [al.uri]
    house.fence()
    check_all_is_right(house, al)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@in_each_mode
def test_after_a_restart_of_midreg_one_row_is_stored(house, store):
    start(house, store=store)
    al = house.registered("al")
    house.restart()
    al.registered()
    # Its first, one after the restart if the lease was not stored, and a refresh.
    house.registrar.wait_register("al", good, timeout=LEASE + 1, count=3 if store == "memory" else 2)
    assert is_right(house) and rings(house, al)


# -- what it says when it cannot -------------------------------------------------------------------------------
@pytest.mark.parametrize("state, status, times", [("starting", 503, 1), ("restarting", 410, 2)])
@in_each_mode
def test_after_a_refusal_while_it_starts_the_lease_is_right_within_two_retries(house, state, status, times):
    """One row outlived the restart, one was lost."""
    start(house)
    al, bo = house.registered("al"), house.registered("bo")
    house.registrar.state = state
    failed = {phone: wait_failure(house, status, phone.user, times) for phone in (al, bo)}
    house.registrar.bindings.purge("bo@example.com")
    house.registrar.state = "running"
    for phone, failure in failed.items():
        wait_right(house, status, phone.user)
        again = next(r for r in refreshes(house, phone.user) if r.time > failure.time)
        assert again.time - failure.time < RETRY + 1, "a Retry-After of 300 is not obeyed to the letter"
        check_all_is_right(house, phone)


@in_each_mode
def test_after_a_403_the_lease_is_right_within_two_retries(house):
    start(house)
    al = house.registered("al")
    house.registrar.refuse["al"] = 403
    wait_failure(house, 403)
    del house.registrar.refuse["al"]
    wait_right(house, 403)
    check_all_is_right(house, al)


@in_each_mode
def test_after_a_482_the_lease_is_right_within_two_retries(house):
    """An answer was lost, or the clock was set back: it has seen this CSeq under another branch."""
    start(house)
    al = house.registered("al")
    house.registrar.refuse["al"] = 482
    wait_failure(house, 482)
    del house.registrar.refuse["al"]
    wait_right(house, 482)
    check_all_is_right(house, al)


@in_each_mode
def test_a_482_of_its_own_is_met_with_a_new_cseq(house):
    start(house)
    first = house.registered("al")
    sent = house.registrar.wait_register("al").request
    key = (sent.call_id, "%d REGISTER" % (sent.cseq + 1), sent.from_.tag)
    for ahead in range(1, 2 * LEASE):  # whichever CSeq comes next is known to it already, once
        house.registrar.merged[(key[0], "%d REGISTER" % (sent.cseq + ahead), key[2])] = "z9hG4bKelse"
    refused = wait_failure(house, 482)
    for merged in [k for k in house.registrar.merged if house.registrar.merged[k] == "z9hG4bKelse"]:
        del house.registrar.merged[merged]
    wait_right(house, 482)
    assert refused.request.cseq > sent.cseq
    check_all_is_right(house, first)


@in_each_mode
def test_a_silence_of_two_seconds_after_a_restart_is_outlived(house):
    start(house)
    al = house.registered("al")
    house.registrar.state = "silent"
    house.registrar.wait_register("al", timeout=LEASE + 1, count=2)
    house.registrar.state = "running"
    house.registrar.wait_register("al", good, timeout=8, count=2)
    check_all_is_right(house, al)


@in_each_mode
def test_a_403_that_stays_ends_the_identity_and_the_phone_learns_it(house):
    start(house)
    al = house.registered("al")
    house.registrar.refuse["al"] = 403
    house.registrar.wait_register("al", lambda r: r.status == 403, count=2, timeout=LEASE + 2)
    assert al.register().status == 403
    del house.registrar.refuse["al"]
    al.registered()
    assert is_right(house) and rings(house, al)


# -- what it forgets ----------------------------------------------------------------------------------------------
@in_each_mode
def test_after_a_purge_the_lease_is_right_within_the_lease(house):
    start(house)
    al = house.registered("al")
    house.registrar.wait_register("al", good)
    house.registrar.purge()
    poll(lambda: house.registrar.contacts("al"), "the lease is back", LEASE)
    check_all_is_right(house, al)


@in_each_mode
def test_after_a_purge_a_removal_is_no_harm(house):
    start(house)
    al = house.registered("al")
    house.registrar.purge()
    al.unregister()
    house.registrar.wait_register("al", lambda r: r.removes and r.status == 200)
    assert house.registrar.contacts("al") == []
    back = house.registered("al")
    check_all_is_right(house, back)


# -- phones that it proves: midreg has no means of its own -----------------------------------------------------------
@pytest.mark.parametrize("trouble, status", [("starting", 503), ("restarting", 410), ("purge", 401)])
@in_each_mode
def test_with_digest_the_lease_is_right_again_by_the_phones_refreshes(house, trouble, status):
    al = start_with_digest(house)
    if trouble == "purge":
        house.registrar.purge()
    else:
        house.registrar.state = trouble
        poll(lambda: al.register() and any(r.status == status for r in house.registrar.of("al")[2:]),
             "a refresh is forwarded and fails", LEASE + 1)
        house.registrar.purge()
        house.registrar.state = "running"
    poll(lambda: al.register().status == 200 and house.registrar.contacts("al"), "the lease is back", LEASE + 1)
    assert is_right(house) and rings(house, al)


@pytest.mark.parametrize("status", [403, 482])
@in_each_mode
def test_with_digest_a_refusal_that_passes_is_healed_by_the_next_register(house, status):
    al = start_with_digest(house)
    house.registrar.refuse["al"] = status
    poll(lambda: al.register() and any(r.status == status for r in house.registrar.of("al")),
         "a refresh is forwarded and refused", LEASE + 1)
    del house.registrar.refuse["al"]
    poll(lambda: al.register().status == 200 and house.registrar.of("al")[-1].status == 200, "it is accepted", 2 * RETRY)
    assert is_right(house) and rings(house, al)


@in_each_mode
def test_the_contact_is_made_of_characters_that_it_leaves_alone(house):
    start(house)
    for user in ("al", "a~b", "x!y"):
        house.registered(user)
        contact = house.registrar.wait_register(user).contact
        assert canonical(contact) == contact and Uri(contact).params.keys() == {"mr"}
