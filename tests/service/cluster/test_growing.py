"""A batch grows with what waits, in Faust's own take()."""

from seacanary.cluster.growing import Growing


def test_the_size_is_asked_for_at_every_comparison() -> None:
    sizes = [32]
    most = Growing(lambda: sizes[-1])
    taken = 32
    assert taken >= most  # as Faust has it
    sizes.append(128)
    assert taken < most
    taken = 128
    assert taken >= most
