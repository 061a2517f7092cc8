"""Imports from the bytes of a wheel, in memory (PEP 302, PEP 451, importlib.resources.abc)."""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from . import closure

ROOT = "/plugin/"
"""What `__file__` starts with; there is no such folder."""
HEAD_BYTES = 4096
"""How much of a source is looked at for the two lines that may name its encoding."""


class WheelLoader:
    """Finder, loader and resource reader of one wheel, or of a plugin with those that it locks.

    It has the methods of `importlib.abc.InspectLoader`, but not its module, which every container
    would import, with all that this one imports.
    See `install` for where it stands.
    """

    def __init__(self, wheel: bytes) -> None:
        """Open the wheel, or a plugin's with those that it locks; raises zipfile.BadZipFile."""
        self._ahead: dict[str, Any] = {}
        self._archives: dict[str, zipfile.ZipFile] = {}
        for part in closure.split(wheel):
            archive = zipfile.ZipFile(io.BytesIO(part))
            for name in archive.namelist():
                self._archives.setdefault(name, archive)
        self._names = frozenset(self._archives)
        self._folders = frozenset(
            name[:i] for name in self._names for i, c in enumerate(name) if c == "/"
        )

    def _member(self, fullname: str) -> tuple[str, bool]:
        """Return the member of a module, and whether it is a package; raises ImportError."""
        path = fullname.replace(".", "/")
        for member, is_package in ((f"{path}/__init__.py", True), (f"{path}.py", False)):
            if member in self._names:
                return member, is_package
        raise ImportError(f"no module {fullname!r} in the wheel", name=fullname)

    def _read(self, member: str) -> bytes:
        return self._archives[member].read(member)

    def _archive_of(self, folder: str) -> zipfile.ZipFile:
        """Return the archive that has a folder; the first that has anything where none has."""
        owners = (a for name, a in self._archives.items() if name.startswith(folder))
        return next(owners, next(iter(self._archives.values())))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module, a package or a namespace package of the wheel (PEP 420)."""
        folder = fullname.replace(".", "/")
        try:
            member, is_package = self._member(fullname)
        except ImportError:
            if folder not in self._folders:
                return None
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [ROOT + folder]
            return spec
        spec = importlib.machinery.ModuleSpec(
            fullname,
            self,  # type: ignore[arg-type] # it has a loader's methods
            origin=ROOT + member,
            is_package=is_package,
        )
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [ROOT + folder]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Let the import system make the module."""
        return None

    def is_package(self, fullname: str) -> bool:
        """Whether a module of the wheel is a package."""
        return self._member(fullname)[1]

    def get_source(self, fullname: str) -> str:
        """Return a module's source, which tracebacks quote."""
        from importlib.util import decode_source

        return decode_source(self._read(self._member(fullname)[0]))

    def get_filename(self, fullname: str) -> str:
        """Return the made-up path of a module."""
        return ROOT + self._member(fullname)[0]

    def get_code(self, fullname: str) -> Any:
        """Compile a module, or hand over what was compiled ahead."""
        code = self._ahead.pop(fullname, None)
        if code is not None:
            return code
        member = self._member(fullname)[0]
        return self._compile(member, self._read(member))

    @staticmethod
    def _compile(member: str, source: bytes) -> Any:
        return compile(source, ROOT + member, "exec", dont_inherit=True)

    def compile_ahead(self, fullname: str) -> None:
        """Compile a module and the packages around it, as far as that goes; run none of it.

        A source that may name an encoding (PEP 263) is left alone: Python would look for the codec,
        which may be the wheel's own, and remember for ever that there was none yet.
        """
        parts = fullname.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            # what is wrong with it is met again by the import, and is its answer
            with contextlib.suppress(Exception):
                member = self._member(name)[0]
                source = self._read(member)
                lines = source[:HEAD_BYTES].splitlines()
                known = len(lines) > 2 or len(source) <= HEAD_BYTES
                if known and not any(b"coding" in line for line in lines[:2]):
                    self._ahead[name] = self._compile(member, source)

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code in its namespace."""
        spec = module.__spec__
        if spec is None:
            raise ImportError("a module without a spec", name=module.__name__)
        exec(self.get_code(spec.name), module.__dict__)  # noqa: S102 - this is what it is for

    def get_data(self, path: str) -> bytes:
        """Return a member by its made-up path, for `pkgutil.get_data`; raises OSError."""
        member = path.removeprefix(ROOT)
        if member not in self._names:
            raise FileNotFoundError(2, "no such member of the wheel", path)
        return self._read(member)

    def get_resource_reader(self, fullname: str) -> Any:
        """Return the reader that `importlib.resources.files` asks for."""
        folder = fullname.replace(".", "/") + "/"
        return _Resources(self._archive_of(folder), folder)

    def find_distributions(self, context: Any = None) -> Iterator[Any]:
        """Yield the wheel's own metadata, for `importlib.metadata`."""
        import importlib.metadata
        import re

        wanted = getattr(context, "name", None)
        for folder in sorted(self._folders):
            if folder.endswith(".dist-info") and "/" not in folder:
                found = importlib.metadata.PathDistribution(
                    zipfile.Path(self._archive_of(folder + "/"), folder + "/")
                )
                name = re.sub(r"[-_.]+", "-", folder.split("-")[0]).lower()
                if wanted is None or re.sub(r"[-_.]+", "-", wanted).lower() == name:
                    yield found

    def modules(self) -> list[str]:
        """Return the full names of all modules and packages, sorted."""
        names = {
            path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for path in self._names
            if path.endswith(".py")
        }
        return sorted(name for name in names if self.provides(name))

    def provides(self, fullname: str) -> bool:
        """Whether a module of this name comes from the wheel."""
        try:
            self._member(fullname)
        except ImportError:
            return False
        return True


class _Early:
    """Finds a wheel's modules before the file system is searched, but for names that the standard
    library has.
    """

    def __init__(self, loader: WheelLoader) -> None:
        self._loader = loader

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the wheel, if no module of Python's may have its name."""
        if fullname.partition(".")[0] in sys.stdlib_module_names:
            return None
        return self._loader.find_spec(fullname, path, target)


def install(loader: WheelLoader) -> None:
    """Make a wheel importable.

    It stands last on `sys.meta_path`, as site-packages stands after the standard library: a wheel
    cannot replace a module of the standard library. What has no such name need not be looked for
    in the standard library's folders first.
    """
    # what stands last is the search of the file system
    sys.meta_path.insert(len(sys.meta_path) - 1, _Early(loader))
    sys.meta_path.append(loader)


class _Resources:
    """importlib.resources.abc.TraversableResources over a folder of the archive."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive = archive
        self._folder = folder

    def files(self) -> Any:
        return zipfile.Path(self._archive, self._folder)

    def open_resource(self, resource: str) -> Any:
        return self.files().joinpath(resource).open("rb")

    def resource_path(self, resource: str) -> str:
        raise FileNotFoundError(resource)

    def is_resource(self, path: str) -> bool:
        return bool(self.files().joinpath(path).is_file())

    def contents(self) -> Iterable[str]:
        return (item.name for item in self.files().iterdir())
