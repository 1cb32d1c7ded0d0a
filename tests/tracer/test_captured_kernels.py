"""Which optimized graph belongs to a traced one."""

from types import SimpleNamespace

from tftrace.tracer.graphs.functions import _kernels


def traced(*names):
    operations = [SimpleNamespace(name=name, type="AddV2") for name in names]
    return SimpleNamespace(get_operations=lambda: operations)


def nodes(*names):
    return SimpleNamespace(node=[SimpleNamespace(name=n, op="AddV2", input=[]) for n in names])


def found(graph, *pairs):
    collection = SimpleNamespace(functions=[(nodes(*b), nodes(*a)) for b, a in pairs])
    return [kernel.name for kernel in _kernels(graph, collection)]


def test_the_graph_of_the_same_operations():
    graph = traced("a", "b", "c", "d", "e")
    assert found(graph, ("xy", "z"), ("abcde", "ab")) == ["a", "b"]


def test_what_was_pruned_before_does_not_matter():
    # As in a fit of ConvNeXt: two of seven operations are constants that nothing reads.
    graph = traced("a", "b", "c", "d", "e", "18704", "18706")
    assert found(graph, ("x", "y"), ("abcde", "ab")) == ["a", "b"]


def test_a_small_function_of_common_names_is_not_it():
    graph = traced("a", "b", "c", "d", "e")
    assert found(graph, ("a", "q"), ("abcde", "r"), ("ab", "s")) == ["r"]


def test_another_function_is_none():
    assert found(traced("a", "b", "c"), ("abxyz", "p"), ("xyz", "q")) == []
