"""What native code writes while TensorFlow starts: shown if the start fails, else not."""

import os

import pytest

from tftrace.stderr import held_stderr


@pytest.mark.parametrize(
    ("raised", "shown"),
    [(None, ""), (ImportError, "no such symbol"), (SystemExit, ""), (KeyboardInterrupt, "")],
)
def test_what_is_held_back_is_shown_if_the_start_fails(capfd, raised, shown):
    def start():
        with held_stderr():
            os.write(2, b"no such symbol")
            if raised is not None:
                raise raised

    if raised is None:
        start()
    else:
        with pytest.raises(raised):
            start()
    assert capfd.readouterr().err == shown
