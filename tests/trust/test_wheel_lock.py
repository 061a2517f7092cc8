"""A plugin's lock file, and the wheels that it names."""

from __future__ import annotations

import pytest

from tests.support.dependencies import lock_of, make_dependent, make_library
from trust.outcomes import Failed, Passed
from trust.wheel import Plugin, bounds, inspect_dependencies, inspect_dependency, inspect_wheel

LIBRARY, DATA = make_library()
OTHER, OTHER_DATA = make_library("whispering")


def plugin_with(*dependencies: object, **changes: object) -> Plugin:
    filename, wheel = make_dependent(dependencies, **changes)  # type: ignore[arg-type]
    outcome = inspect_wheel(wheel, filename)
    assert isinstance(outcome, Passed), outcome
    return outcome.value


def codes(outcome: object) -> list[str]:
    assert isinstance(outcome, Failed), outcome
    assert all(p.what and p.expected and p.advice for p in outcome.problems)
    return [p.code for p in outcome.problems]


def refused(lock: str, **changes: object) -> list[str]:
    filename, wheel = make_dependent((), lock=lock, **changes)  # type: ignore[arg-type]
    return codes(inspect_wheel(wheel, filename))


def test_a_plugin_names_its_dependencies() -> None:
    plugin = plugin_with(OTHER, LIBRARY, requires=["shouting>=2", "whispering"])
    assert plugin.dependencies == (LIBRARY, OTHER)
    outcome = inspect_dependencies(plugin, {LIBRARY.sha256: DATA, OTHER.sha256: OTHER_DATA})
    assert isinstance(outcome, Passed)
    assert [wheel.tops for wheel in outcome.value] == [{"shouting"}, {"whispering"}]


def test_a_plugin_without_a_lock_has_none() -> None:
    from tests.support.wheels import make_wheel

    filename, wheel = make_wheel()
    outcome = inspect_wheel(wheel, filename)
    assert isinstance(outcome, Passed)
    assert outcome.value.dependencies == ()
    assert inspect_dependencies(outcome.value, {}) == Passed(())


LOCKS: dict[str, tuple[str, str]] = {
    "no TOML": ("= 1", "lock.invalid"),
    "not UTF-8": ('created-by = "\\ud800"', "lock.invalid"),
    "other version": (lock_of([LIBRARY]).replace('"1.0"', '"2.0"', 1), "lock.invalid"),
    "deep": ("a = " + "[" * 100_000, "lock.invalid"),
    "too large": ("#" * (bounds.MAX_LOCK_BYTES + 1), "lock.too-large"),
    "another Python": (lock_of([LIBRARY], more='requires-python = ">=3.13"'), "lock.python"),
    "package for another Python": (
        lock_of([LIBRARY], each='requires-python = "<3.8"'),
        "lock.python",
    ),
    "extras": (lock_of([LIBRARY], more='extras = ["fast"]'), "lock.choices"),
    "groups": (lock_of([LIBRARY], more='dependency-groups = ["dev"]'), "lock.choices"),
    "twice": (lock_of([LIBRARY, LIBRARY]), "lock.twice"),
    "weak digest": (lock_of([LIBRARY]).replace("sha256 =", "md5 ="), "lock.no-digest"),
    "no wheel": (
        lock_of([LIBRARY]).replace("py3-none-any", "cp311-cp311-linux_x86_64"),
        "lock.no-wheel",
    ),
    "name of another": (
        lock_of([LIBRARY]).replace('name = "shouting"', 'name = "other"'),
        "lock.invalid",
    ),
    "marker of the machine": (
        lock_of([LIBRARY], each="marker = \"platform_machine == 'x86_64'\""),
        "lock.marker",
    ),
    "from a repository": (
        'lock-version = "1.0"\ncreated-by = "t"\n[[packages]]\nname = "shouting"\n'
        'version = "2.0"\n[packages.vcs]\ntype = "git"\nurl = "https://example.com/x"\n'
        'commit-id = "0000"\n',
        "lock.no-wheel",
    ),
}


@pytest.mark.parametrize("case", LOCKS)
def test_a_lock_that_does_not_pin_is_refused(case: str) -> None:
    lock, code = LOCKS[case]
    assert code in refused(lock)


def test_too_many_dependencies() -> None:
    many = [make_library(f"library-{n}")[0] for n in range(bounds.MAX_DEPENDENCIES + 1)]
    assert refused(lock_of(many)) == ["lock.too-many"]


def test_a_package_for_another_system_is_left_out() -> None:
    lock = lock_of([LIBRARY], each="marker = \"sys_platform == 'win32'\"")
    assert plugin_with(lock=lock).dependencies == ()


@pytest.mark.parametrize(
    ("requirement", "code"),
    [
        ("whispering", "lock.not-locked"),
        ("shouting>=3", "lock.other-version"),
        ("shouting @ https://example.com/shouting-2.0-py3-none-any.whl", "lock.not-locked"),
        ("whispering; platform_release == '5'", "lock.requirement"),
    ],
)
def test_what_is_required_but_not_locked_is_refused(requirement: str, code: str) -> None:
    assert refused(lock_of([LIBRARY]), requires=[requirement]) == [code]


def test_extras_of_the_plugin_itself_are_never_chosen() -> None:
    plugin_with(LIBRARY, requires=["shouting", "pytest; extra == 'tests'"])


WHEELS: dict[str, tuple[dict[str, object], str]] = {
    "native code": ({"files": {"shouting/x.so": b"\x7fELF"}}, "wheel.native-code"),
    "start-up file": ({"files": {"evil.pth": "import os"}}, "wheel.pth"),
    "installed elsewhere": ({"files": {"shouting-2.0.data/a.py": ""}}, "dependency.outside"),
    "a loose file": ({"files": {"README.txt": ""}}, "dependency.outside"),
    "a module of Python's": ({"files": {"json/__init__.py": ""}}, "dependency.reserved"),
    "start-up module": ({"files": {"sitecustomize.py": ""}}, "dependency.reserved"),
    "other metadata": (
        {"files": {"shouting-2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: o\n"}},
        "dependency.metadata",
    ),
    "second metadata": ({"files": {"o-1.dist-info/METADATA": ""}}, "dependency.dist-info"),
    "not pure": (
        {"files": {"shouting-2.0.dist-info/WHEEL": "Root-Is-Purelib: false\n"}},
        "dependency.not-pure",
    ),
}


@pytest.mark.parametrize("case", WHEELS)
def test_a_dependency_is_read_as_strictly_as_a_plugin(case: str) -> None:
    changes, code = WHEELS[case]
    dependency, data = make_library(**changes)  # type: ignore[arg-type]
    found = codes(inspect_dependency(data, dependency))
    assert code in found


def test_other_bytes_than_the_locked_ones_are_refused() -> None:
    plugin = plugin_with(LIBRARY)
    for changed in (DATA[:-1], DATA + b"\0", OTHER_DATA, b""):
        outcome = inspect_dependencies(plugin, {LIBRARY.sha256: changed})
        assert codes(outcome) == ["dependency.digest"]


def test_a_missing_dependency_is_named() -> None:
    outcome = inspect_dependencies(plugin_with(LIBRARY), {OTHER.sha256: OTHER_DATA})
    assert codes(outcome) == ["dependency.missing"]


def test_dependencies_may_not_shadow_one_another_or_the_plugin() -> None:
    thief, data = make_library("thief", files={"shouting/__init__.py": ""})
    plugin = plugin_with(LIBRARY, thief)
    wheels = {LIBRARY.sha256: DATA, thief.sha256: data}
    assert codes(inspect_dependencies(plugin, wheels)) == ["dependency.shadows"]
    thief, data = make_library("thief", files={"shouter/__init__.py": ""})
    assert codes(inspect_dependencies(plugin_with(thief), {thief.sha256: data})) == [
        "dependency.shadows"
    ]


def test_what_a_dependency_requires_is_locked_too() -> None:
    needy, data = make_library("needy", metadata=["Requires-Dist: whispering>=2"])
    assert codes(inspect_dependencies(plugin_with(needy), {needy.sha256: data})) == [
        "lock.not-locked"
    ]
    wheels = {needy.sha256: data, OTHER.sha256: OTHER_DATA}
    assert isinstance(inspect_dependencies(plugin_with(needy, OTHER), wheels), Passed)


def test_extras_that_are_asked_for_are_required() -> None:
    rich, data = make_library(
        "rich", metadata=["Provides-Extra: loud", 'Requires-Dist: shouting; extra == "loud"']
    )
    wheels = {rich.sha256: data}
    assert isinstance(inspect_dependencies(plugin_with(rich, requires=["rich"]), wheels), Passed)
    plugin = plugin_with(rich, requires=["rich[loud]"])
    assert codes(inspect_dependencies(plugin, wheels)) == ["lock.not-locked"]
