"""CSV cells that a spreadsheet would run."""

import io

import pandas as pd

from tftrace.report.exports.cells import harmless


def test_formulas_become_text_and_all_else_stays():
    bad = [
        "=1+1",
        "+x",
        "-cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "=HYPERLINK(1)",
        "-",
        "-1+1",
    ]
    fine = ["m/dense", "", None, "-5", "+1.5e-3", "-.5", "a=1", "[1, 2]", "'x", "5"]
    table = pd.DataFrame({"name": pd.array([*bad, *fine], "str"), "n": range(len(bad + fine))})
    table["number"] = -1.5
    table["mixed"] = pd.Series([None, True, *["=x"] * (len(table) - 2)], dtype=object)
    found = harmless(table)
    assert found["name"].tolist()[: len(bad)] == ["'" + t.replace("\r", "\n") for t in bad]
    assert found["name"][len(bad) :].equals(table["name"][len(bad) :])
    assert found["n"].equals(table["n"])
    assert found["number"].equals(table["number"])
    assert found["mixed"].tolist()[1:3] == [True, "'=x"]
    assert table["name"].tolist()[: len(bad)] == bad
    read = pd.read_csv(io.StringIO(found.to_csv(index=False)))
    assert (read["number"] == -1.5).all()
