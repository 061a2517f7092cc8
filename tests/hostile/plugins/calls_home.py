"""Tries: connect to other machines, resolve a name, reach local services.

Expected: ok
Stopped by: no socket at all; and no network behind it
"""

import socket


def run(arguments):
    escaped = []

    def attempt(name, action):
        try:
            action()
        except OSError:
            return
        escaped.append(name)

    def tcp(address):
        with socket.socket() as end:
            end.settimeout(0.2)
            end.connect(address)

    def udp(address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.connect(address)
            end.send(b"x")

    def unix(address):
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(0.2)
            end.connect(address)

    def vsock():
        with socket.socket(40, socket.SOCK_STREAM) as end:
            end.settimeout(0.2)
            end.connect((2, 1024))

    attempt("tcp", lambda: tcp(("1.1.1.1", 80)))
    attempt("metadata", lambda: tcp(("169.254.169.254", 80)))
    attempt("gateway", lambda: tcp(("172.17.0.1", 22)))
    attempt("udp", lambda: udp(("8.8.8.8", 53)))
    attempt("dns", lambda: socket.getaddrinfo("example.com", 80))
    attempt("abstract", lambda: unix("\0/containerd-shim"))
    attempt("docker", lambda: unix("/var/run/docker.sock"))
    attempt("vsock", vsock)
    return {"escaped": escaped}
