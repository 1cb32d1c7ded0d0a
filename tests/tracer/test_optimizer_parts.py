"""What an optimizer does around its updates has a name, by the method that made it."""

from collections import Counter

import keras
import networks
import pytest

import tftrace
from tftrace.graph.phases import PARTS
from tftrace.runs.run import open_run

layers = keras.layers
# Two layers with a kernel and a bias each: four variables, and as many gradients.
KINDS = {
    "value": (
        lambda: keras.optimizers.SGD(clipvalue=1.0), {"clipping": {"Minimum": 4, "Maximum": 4}}
    ),
    "norm": (lambda: keras.optimizers.SGD(clipnorm=1.0), {"clipping": {"Sum": 4, "Sqrt": 4}}),
    # The sum of squares of each, and one root of their sum.
    "norm of all": (
        lambda: keras.optimizers.SGD(global_clipnorm=1.0), {"clipping": {"Square": 4, "Sqrt": 1}}
    ),
    "decay": (
        lambda: keras.optimizers.AdamW(weight_decay=0.01),
        {"weight decay": {"AssignSubVariableOp": 4, "Mul": 8}},
    ),
    # Each average is computed and assigned; every second step it takes the variable's place.
    "average": (
        lambda: keras.optimizers.SGD(use_ema=True, ema_overwrite_frequency=2),
        {"moving average": {"AssignVariableOp": 8}},
    ),
    # Each gradient is looked at and divided; the loss is multiplied, and the scale may be doubled
    # or halved.
    "scaled loss": (
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        {"loss scaling": {"IsFinite": 4, "RealDiv": 4, "Mul": 3}},
    ),
    "factor": (
        lambda: keras.optimizers.SGD(loss_scale_factor=8.0),
        {"loss scaling": {"RealDiv": 4, "Mul": 1}},
    ),
    # In the one branch added and divided, and the sums set to zero; in the other added up.
    "accumulation": (
        lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
        {"gradient accumulation": {"RealDiv": 4, "AddV2": 8, "AssignVariableOp": 8}},
    ),
    "several": (
        lambda: keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adam(clipvalue=1.0, weight_decay=0.01, use_ema=True)
        ),
        {
            "loss scaling": {"IsFinite": 4, "RealDiv": 4, "Mul": 3},
            "clipping": {"Minimum": 4, "Maximum": 4},
            "weight decay": {"AssignSubVariableOp": 4, "Mul": 8},
            "moving average": {"AssignVariableOp": 4},
        },
    ),
    "none": (lambda: keras.optimizers.Adam(), {}),
}  # fmt: skip


def fitted(optimizer, **options):
    model = keras.Sequential([keras.Input((16,)), layers.Dense(8), layers.Dense(4)], name="m")
    model.compile(optimizer, "mse", jit_compile=options.pop("jit", False))
    x, y = networks.normal(64, 16), networks.normal(64, 4)
    return tftrace.profile(model, x, y, phase="fit", repeats=0, calibrate=False, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_of_the_method_that_made_it(kind):
    make, wanted = KINDS[kind]
    found = fitted(make(), all_ops=True)
    made = {part: Counter() for part in PARTS}
    for function in open_run(found.folder).manifest.functions[:1]:
        ops = function.ops
        for op_type, part in zip(ops.type, ops.part or [-1] * len(ops.type), strict=True):
            if part >= 0:
                made[PARTS[part]][op_type] += 1
    assert {part for part, types in made.items() if types} == set(wanted)
    for part, types in wanted.items():
        assert {name: made[part][name] for name in types} == types
    rows = found.wall["component"].tolist()
    assert [row for row in rows if row in PARTS] == [part for part in PARTS if part in wanted]
    ran = found.ops[found.ops["calls"] > 0]
    for part in wanted:
        mine = ran[ran["component"] == part]
        assert len(mine)
        assert set(mine["phase"]) == {"optimizer"}
        assert mine["layer"].isna().all()
    assert found.layers["optimizer_ms"].gt(0).sum() == 2
    assert found.wall["wall_ms"].sum() == pytest.approx(found.window_ms)
    assert not any(found.checks.values())


@pytest.mark.parametrize("part", ["clipping", "loss scaling", "moving average"])
def test_under_xla_the_parts_have_the_time_of_their_operations(part):
    optimizers = {
        "clipping": keras.optimizers.SGD(global_clipnorm=1.0),
        "loss scaling": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        "moving average": keras.optimizers.SGD(use_ema=True),
    }
    found = fitted(optimizers[part], jit=True)
    wall = found.wall.set_index("component")["wall_ms"]
    assert part in wall
    assert wall[part] > 0
    assert wall.sum() == pytest.approx(found.window_ms)
    assert not any(found.checks.values())
