"""What keeps the start of a process short."""

import gc
import ssl

from bot.imports import certificates_read_in_threads, uncollected


def test_what_imports_create_is_not_scanned_again() -> None:
    before = gc.get_freeze_count()
    try:
        with uncollected():
            assert not gc.isenabled()
            created: list[list[int]] = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(created)
    finally:
        gc.unfreeze()


def test_certificate_authorities_are_known_after_they_were_read_aside() -> None:
    expected = ssl.create_default_context().cert_store_stats()
    with certificates_read_in_threads():
        verifying = ssl.create_default_context()
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        trusting.set_default_verify_paths()
    assert verifying.cert_store_stats() == expected
    assert trusting.cert_store_stats()["x509"] == 0
    later = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    later.set_default_verify_paths()
    assert later.cert_store_stats() == expected
