"""A program as source text: a Python expression list for NumPy and Numba, or C99."""

from __future__ import annotations

from typing import Literal

from solvary_approximation.answers import Program

_INFIX = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "fma": "{} * {} + {}"}


def source(program: Program, language: Literal["numpy", "c99"] = "numpy", name: str = "f", single: bool = False) -> str:
    """The text of a function `name` of x.

    "numpy" takes arrays, and numbers where Numba compiles it (one constant over another that is 0 raises there); "c99"
    is `double name(double x)` with `fma` of math.h, or `float name(float x)` with `fmaf` where `single`. Constants are
    written with 17 digits, so that they read back exactly.
    """
    count, c99 = program.constants.size, language == "c99"
    names = ["x", *(f"c{k}" for k in range(count)), *(f"v{i}" for i in range(len(program.code)))]
    number, suffix = ("float", "f") if single else ("double", "")
    statement = "    {} {} = {};" if c99 else "    {}{} = {}"
    body = [
        statement.format(f"const {number}" if c99 else "", names[1 + k], repr(float(value)) + (suffix if c99 else ""))
        for k, value in enumerate(program.constants)
    ]
    for i, (operation, *sources) in enumerate(program.code):
        form = f"fma{suffix}({{}}, {{}}, {{}})" if c99 and operation == "fma" else _INFIX[operation]
        text = form.format(*(names[source] for source in sources))
        body.append(statement.format(f"const {number}" if c99 else "", names[1 + count + i], text))
    if c99:
        return "\n".join([f"{number} {name}({number} x) {{", *body, f"    return {names[-1]};", "}"]) + "\n"
    return "\n".join([f"def {name}(x):", *body, f"    return {names[-1]}"]) + "\n"
